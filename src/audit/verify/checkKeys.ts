import { leafTest } from '../../domain/codec.js';
import type { Recorded } from '../../domain/events.js';
import type { Sealed } from '../../domain/fields.js';
import { parseStream, type RoomId, type UserId } from '../../domain/ids.js';
import { textContext } from '../../domain/messages/sealedMessages.js';
import { reportName } from '../../domain/moderation/reports.js';
import { usernameContext } from '../../domain/users.js';
import { readRange } from '../../log/checkLog.js';
import { decodeCommit } from '../../projections/commitBuffer.js';
import { foldEvents, type Projection, type Rows } from '../../projections/projection.js';
import { CipherError, open } from '../../vault/dataKeys.js';
import type { OpenVault } from '../../vault/openVault.js';
import {
  addBranches,
  encodeTrees,
  generationOf,
  listCutOut,
  openText,
  type Person,
  RoomKeys,
  roomKeysId,
  roomPath,
  type SeqRange,
  type Trees,
} from '../../vault/textKeys.js';
import type { RoomRow } from '../../vault/vaultStore.js';
import type { AuditedLog } from '../storedRows.js';
import { addGroupUse, compareGroupKey, type GroupKeyUse, groupKeyIn, openOr } from './checkGroupKeys.js';
import { compareReport, isReportKey, type ReportUse, reportUseKey, requireHeld } from './checkHolds.js';
import * as serverKeys from './checkServerKeys.js';
import { type Mismatch, MismatchError } from './report.js';

/** A text that its key must open. */
interface Sample {
  readonly generation: number;
  readonly seq: number;
  readonly rev: number;
  readonly messageId: string;
  readonly text: Sealed;
}

interface Place {
  readonly partition: number;
  readonly offset: number;
}

/** What the log says of the keys of one person, or of one person's texts in one room. */
export interface KeyUse {
  readonly username?: Sealed;
  /** The event that erased the person. */
  readonly erased?: Place;
  /** Texts that are not deleted, a few of each generation. */
  readonly samples: readonly Sample[];
  /** Deleted messages: `seq`, and the offset of the event. */
  readonly deleted: readonly (readonly [seq: number, offset: number])[];
  /** Of the key of a group. */
  readonly group?: GroupKeyUse;
  /** A report: see `reportUseKey`. */
  readonly report?: ReportUse;
  readonly serverKey?: serverKeys.ServerKeyUse;
}

/** Samples of each generation: more than one, because the newest text may be deleted. */
const SAMPLES = 4;
/** One in this number of texts replaces an older sample. */
const SAMPLE_EVERY = 64;

const NO_USE: KeyUse = { samples: [], deleted: [] };

/**
 * Folds what must be true of the vault. Keys are owners of keys, `<user id>/<room id>` for texts, and those of
 * `reportUseKey`.
 */
export const keyUses: Projection<KeyUse> = {
  model: { name: 'key_uses', version: 1, indexes: {} },
  keys(event) {
    switch (event.type) {
      case 'UserRegistered':
      case 'UserErased':
        return [event.data.userId];
      case 'MessageSent':
      case 'MessageEdited':
        return [roomKeysId({ owner: event.actor, roomId: event.data.roomId })];
      case 'MessageDeleted':
        return [roomKeysId({ owner: event.data.senderId, roomId: event.data.roomId })];
      case 'MessageReported':
      case 'ReportDecided':
        return [reportUseKey(reportName(parseStream(event.stream).id, event.data.reportId))];
      default: {
        const key = groupKeyIn(event) ?? serverKeys.serverKeyIn(event);
        return key === undefined ? [] : [key];
      }
    }
  },
  evolve: (value, event) => addUse(value ?? NO_USE, event),
};

function addUse(use: KeyUse, event: Recorded): KeyUse {
  const { partition, offset } = event;
  switch (event.type) {
    case 'UserRegistered':
      return { ...use, username: event.data.username };
    case 'UserErased':
      return { ...use, erased: { partition, offset } };
    case 'MessageDeleted': {
      const { seq } = event.data;
      const samples = use.samples.filter((sample) => sample.seq !== seq);
      return { ...use, samples, deleted: [...use.deleted, [seq, offset]] };
    }
    case 'MessageSent':
      return addSample(use, event.data, 0);
    case 'MessageEdited':
      return addSample(use, event.data, event.data.rev);
    case 'MessageReported': {
      const { roomId, evidence } = event.data;
      const made = { reportedAt: event.recordedAt, offset, evidence: evidence ?? [] };
      return { ...use, report: { ...use.report, ...made, ...(roomId === undefined ? {} : { roomId }) } };
    }
    case 'ReportDecided':
      return { ...use, report: { decidedAt: offset, ...use.report } };
    default: {
      const serverKey = serverKeys.addServerKeyUse(use.serverKey, event);
      return serverKey ? { ...use, serverKey } : { ...use, group: addGroupUse(use.group, event) };
    }
  }
}

function addSample(use: KeyUse, said: Omit<Sample, 'generation' | 'rev'>, rev: number): KeyUse {
  const { seq, messageId, text } = said;
  const generation = generationOf(text);
  const isNew = use.samples.length < SAMPLES || use.samples.at(-1)?.generation !== generation;
  // Most texts are no samples, because nearly all events come here.
  if (!isNew && seq % SAMPLE_EVERY !== 0) return use;
  const others = use.samples.filter((sample) => sample.generation !== generation);
  const own = use.samples.filter((sample) => sample.generation === generation).slice(-SAMPLES + 1);
  return { ...use, samples: [...others, ...own, { generation, seq, rev, messageId, text }] };
}

/** Uses of keys, by the key of their row. */
export type KeyUses = ReadonlyMap<string, KeyUse>;

/** What the keys are compared with beside the uses. */
export interface KeyFacts {
  readonly partition: number;
  /** The number of events whose deletions had been carried out when the check began. */
  readonly destroyed: number;
  /** Uses by the events behind the end of the check, which a running server has appended since. */
  behind(): Promise<KeyUses>;
}

/** Compares keys with their uses. A running server may change both meanwhile, so a mismatch is looked at twice. */
export async function checkKeys(
  vault: OpenVault,
  uses: KeyUses,
  facts: KeyFacts,
): Promise<Mismatch | undefined> {
  const first = await compareKeys(vault, uses, facts, async () => new Map());
  return first && compareKeys(vault, uses, facts, facts.behind);
}

/** What the vault has of the people and rooms of a page. */
interface VaultRows {
  readonly erasing: ReadonlySet<UserId>;
  readonly people: ReadonlyMap<UserId, Person | 'destroyed'>;
  readonly rooms: ReadonlyMap<string, RoomRow>;
}

/** In this order: what is destroyed while it is read is in the log, and in the row of the room, by then. */
async function readRows({ erasures, inspector }: OpenVault, uses: KeyUses): Promise<VaultRows> {
  const erasing = new Set((await erasures.list()).map(({ userId }) => userId));
  const keys = [...uses.keys()].filter((key) => !isReportKey(key) && !serverKeys.isServerKeyUse(key));
  const people = await inspector.people([...new Set(keys.map(ownerOf))]);
  const rooms = await inspector.rooms(keys.flatMap(roomIn));
  return { erasing, people, rooms };
}

const ownerOf = (key: string): UserId => key.split('/')[0] ?? '';

function roomIn(key: string): { owner: UserId; roomId: RoomId }[] {
  const [owner = '', roomId] = key.split('/');
  return roomId === undefined ? [] : [{ owner, roomId }];
}

async function compareKeys(
  vault: OpenVault,
  uses: KeyUses,
  facts: KeyFacts,
  readBehind: () => Promise<KeyUses>,
): Promise<Mismatch | undefined> {
  try {
    const rows = await readRows(vault, uses);
    const behind = await readBehind();
    // Together, because claims are looked up one by one.
    const compareOne = async ([key, use]: readonly [string, KeyUse]): Promise<void> => {
      if (serverKeys.isServerKeyUse(key)) return;
      if (isReportKey(key)) return compareReport(vault.holds, key, use, { ...facts, late: behind.get(key) });
      const person = rows.people.get(ownerOf(key));
      const [room] = roomIn(key);
      const late = behind.get(key) ?? NO_USE;
      if (use.group) {
        const own = person === 'destroyed' ? person : person?.own;
        return compareGroupKey(key, use.group, { ...facts, key: own, late: late.group });
      }
      if (!room) await comparePerson(vault, key, use, { person, rows, late });
      else if (person === undefined) throw noRow(ownerOf(key));
      // Whether the person may be destroyed is asked where the person registered.
      else if (person !== 'destroyed')
        await requireHeld(vault.holds, {
          ...{ room, partition: facts.partition },
          kept: compareRoom(vault, { room, person, rows }, use, { ...facts, late }),
        });
    };
    await Promise.all([...uses].map(compareOne));
    return undefined;
  } catch (error) {
    if (error instanceof MismatchError) return error.mismatch;
    if (!(error instanceof Error && (isDamage(error) || isDamage(error.cause)))) throw error;
    return { what: `the vault was changed: ${error.message}` };
  }
}

/** What reading a changed row throws: it does not open, or is no bytes, or none of a tree. An outage throws other errors. */
const isDamage = (error: unknown): boolean =>
  error instanceof CipherError || error instanceof TypeError || error instanceof RangeError;

const noRow = (owner: UserId): MismatchError =>
  new MismatchError({ what: `the vault has neither a key nor a tombstone of user ${owner}` });

interface PersonParts {
  readonly person: Person | 'destroyed' | undefined;
  readonly rows: VaultRows;
  readonly late: KeyUse;
}

async function comparePerson(
  vault: OpenVault,
  owner: UserId,
  { username, erased }: KeyUse,
  { person, rows, late }: PersonParts,
): Promise<void> {
  if (person === undefined) throw noRow(owner);
  const isErasing = rows.erasing.has(owner);
  if (person === 'destroyed') {
    if (erased || late.erased || isErasing) return;
    throw new MismatchError({ what: `the key of user ${owner} is destroyed, but no event erased the user` });
  }
  if (erased) {
    if (isErasing) return;
    throw new MismatchError({ ...erased, what: `the key of user ${owner} exists, but the user was erased` });
  }
  if (username === undefined) return;
  const name = openOr(() => open(person.own, username, usernameContext(owner)));
  if (name === undefined)
    throw new MismatchError({ what: `the key of user ${owner} does not open the name` });
  const claim = await vault.credentials.find(name);
  const isClaimed = claim !== undefined && claim !== 'erased' && claim.userId === owner;
  if (!isClaimed && !isErasing && !late.erased)
    throw new MismatchError({ what: `the vault has no claim of user ${owner} to the user's name` });
}

interface RoomParts {
  readonly room: { readonly owner: UserId; readonly roomId: RoomId };
  readonly person: Person;
  readonly rows: VaultRows;
}

/** Returns the deleted messages whose keys exist: a report must keep each of them. */
function compareRoom(
  { inspector }: OpenVault,
  { room, person, rows }: RoomParts,
  use: KeyUse,
  { partition, destroyed, late }: KeyFacts & { readonly late: KeyUse },
): KeyUse['deleted'] {
  const whose = `of user ${room.owner} in room ${room.roomId}`;
  const row = rows.rooms.get(roomKeysId(room));
  const stored: Trees = row ? inspector.treesIn(person, row) : new Map();
  const path = roomPath(person.salt, room.roomId);
  const trees = addBranches(stored, person.trees, path);
  if (!trees) throw new MismatchError({ what: `the vault lacks the keys of the texts ${whose}` });
  const isPending = [...use.deleted, ...late.deleted].some(([, offset]) => offset >= destroyed);
  const newest = Math.max(...trees.keys());
  const oldest = Math.min(...trees.keys());
  let kept: KeyUse['deleted'] = [];
  for (const [generation, tree] of trees) {
    const cut = listCutOut(tree);
    const root = person.trees.get(generation) ?? null;
    const isLeft = addBranches(new Map(), new Map([[generation, root]]), path) !== undefined;
    if (stored.has(generation) && isLeft && !isPending)
      throw new MismatchError({ what: `destroyed keys of texts ${whose} can be made again` });
    // A deletion cuts every generation that there is; a later one may use the `seq` again.
    if (generation === oldest)
      kept = use.deleted.filter(([seq, offset]) => offset < destroyed && !isIn(cut, seq));
    if (generation !== newest) continue;
    const known = new Set([...use.deleted, ...late.deleted].map(([seq]) => seq));
    const lost = cut.find(([from, to]) => to - from >= known.size || !isWhole(known, from, to));
    if (lost)
      throw new MismatchError({
        what: `the key of message ${lost[0]} ${whose} is destroyed, but no event deleted it`,
        partition,
      });
  }
  compareSamples(trees, use, { room, late });
  return kept;
}

const isIn = (ranges: readonly SeqRange[], seq: number): boolean =>
  ranges.some(([from, to]) => from <= seq && seq <= to);

function isWhole(known: ReadonlySet<number>, from: number, to: number): boolean {
  for (let seq = from; seq <= to; seq++) if (!known.has(seq)) return false;
  return true;
}

/** A text of each generation must open. */
function compareSamples(
  trees: Trees,
  { samples }: KeyUse,
  { room: { owner, roomId }, late }: Pick<RoomParts, 'room'> & { readonly late: KeyUse },
): void {
  const keys = RoomKeys.from(encodeTrees(trees));
  const tried = new Set<number>();
  for (const { generation, text, ...place } of samples.toReversed()) {
    if (tried.has(generation)) continue;
    const opened = openOr(() => openText(keys, place, text, textContext({ roomId, ...place })));
    if (opened === undefined)
      throw new MismatchError({
        what: `the keys of user ${owner} in room ${roomId} do not open message ${place.seq}`,
      });
    if (opened === null && !late.deleted.some(([seq]) => seq === place.seq))
      throw new MismatchError({
        what: `the key of message ${place.seq} of user ${owner} in room ${roomId} is destroyed, but no event deleted it`,
      });
    if (opened !== null) tried.add(generation);
  }
}

const DESTROYING = ['MessageDeleted', 'MemberLeft', 'UserErased', 'MessageReported', 'ReportDecided'];
const isDestruction = [...DESTROYING, ...serverKeys.SERVER_KEY_EVENTS].map((type) => leafTest({ type }));

/** The uses of keys by events that destroy or keep them, behind a position. */
export async function usesBehind(log: AuditedLog, partition: number, after: number): Promise<KeyUses> {
  const rows: Rows = new Map();
  const upTo = (await log.tail(partition))?.position ?? 0;
  for await (const commit of readRange(log, { partition, after, upTo }))
    if (commit.leaves.some((leaf) => isDestruction.some((isOne) => isOne(leaf))))
      foldEvents(keyUses, decodeCommit(commit).events, () => undefined, rows);
  // `keyUses` makes these rows, and none is a tombstone.
  return new Map([...rows].map(([key, { value }]) => [key, value as KeyUse]));
}
