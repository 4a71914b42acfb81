import { randomBytes, randomUUID } from 'node:crypto';
import { encodeEvent, type UnplacedEvent } from '../../src/domain/codec.js';
import type { NewEvent } from '../../src/domain/events.js';
import { groupNote } from '../../src/domain/groups/groupEvents.js';
import { checksumOf } from '../../src/domain/groups/groupState.js';
import { groupKeyOwner, type RoomId, roomIdOf, streamOf, type UserId } from '../../src/domain/ids.js';
import { textContext } from '../../src/domain/messages/sealedMessages.js';
import { DEFAULT_PREFERENCES } from '../../src/domain/userMessageChat.js';
import { usernameContext } from '../../src/domain/users.js';
import { buildCommit, emptyHead, type Head } from '../../src/log/commit.js';
import { type EventLog, partitionOf } from '../../src/log/log.js';
import { allProjections } from '../../src/projections/allProjections.js';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import { MessageIdBatches } from '../../src/projections/messageIdBatches.js';
import { messageIdsModel } from '../../src/projections/models/messageIdIndex.js';
import { Projector } from '../../src/projections/projector.js';
import { type Engine, openEngine, openLog } from '../../src/projections/store/engine.js';
import { seal } from '../../src/vault/dataKeys.js';
import { openVault } from '../../src/vault/openVault.js';
import { RoomKeys, sealText } from '../../src/vault/textKeys.js';
import { createPlaintextCache, createTextOpener } from '../../src/vault/textOpener.js';

const START = Date.UTC(2026, 0, 1);

/** A small system that is not running, with three users who chat. */
export interface SmallLog {
  readonly engine: Engine;
  readonly masterKey: Buffer;
  readonly ann: UserId;
  readonly bob: UserId;
  readonly cid: UserId;
  readonly annAndBob: string;
  readonly annAndCid: string;
  /** If there are groups: one of Ann and Bob, and one of Bob and Cid. */
  readonly groups: readonly [RoomId, RoomId];
  /** Events in the order in which they happened. */
  readonly events: readonly UnplacedEvent[];
}

export interface SmallLogOptions {
  readonly partitions?: number;
  readonly messages?: number;
  /** Also makes two groups, in each of which a message is sent. */
  readonly hasGroups?: boolean;
  /** Also deletes the second message of Ann and Bob, and erases a fourth user, with their keys. */
  readonly hasDestroyed?: boolean | 'in the log only';
  /** Keeps the time of each event in its leaf, so that some differ from the time of their commit. */
  readonly keepsTimes?: boolean;
  /** Appends all events to partition 0, whichever they belong to. */
  readonly isInFirst?: boolean;
  /** The ids of Ann, Bob and Cid. */
  readonly ids?: readonly [UserId, UserId, UserId];
  /** Changes an event before it is appended: the log stays whole, but says what no writer would. */
  readonly forge?: (event: UnplacedEvent) => UnplacedEvent;
  /** The text of the message with this number; by default `message <n>`. */
  readonly textOf?: (n: number) => string;
  /** Another log whose ids and keys are reused. */
  readonly like?: SmallLog;
}

/** Writes the log and folds its read models. */
export async function smallLog(engine: Engine, options: SmallLogOptions = {}): Promise<SmallLog> {
  const masterKey = options.like?.masterKey ?? randomBytes(32);
  const [ann = randomUUID(), bob = randomUUID(), cid = randomUUID()] = options.like
    ? [options.like.ann, options.like.bob, options.like.cid]
    : (options.ids ?? []);
  const groups: [RoomId, RoomId] = [randomUUID(), randomUUID()];
  const sent = await eventsOf(engine, masterKey, { people: [ann, bob, cid], groups }, options);
  const events = options.forge ? sent.map(options.forge) : sent;
  const log = await openLog(engine, options.partitions ?? 1);
  try {
    await append(log, events, options);
  } finally {
    await log.close();
  }
  await foldAll(engine, masterKey);
  if (options.hasDestroyed) await saveProgress(engine, masterKey);
  return {
    engine,
    masterKey,
    ann,
    bob,
    cid,
    annAndBob: roomIdOf(ann, bob),
    annAndCid: roomIdOf(ann, cid),
    groups,
    events,
  };
}

interface Made {
  readonly people: readonly [UserId, UserId, UserId];
  readonly groups: readonly [RoomId, RoomId];
}

/** The events of short conversations, one minute apart, sealed with keys of the engine's vault. */
async function eventsOf(
  engine: Engine,
  masterKey: Buffer,
  { people: [ann, bob, cid], groups }: Made,
  { messages = 6, textOf = (n) => `message ${n}`, hasDestroyed = false, hasGroups = false }: SmallLogOptions,
): Promise<UnplacedEvent[]> {
  const vault = await openVault({ engine, masterKey });
  const events: UnplacedEvent[] = [];
  const versions = new Map<string, number>();
  const add = (actor: UserId | 'system', event: NewEvent) => {
    const version = (versions.get(event.stream) ?? 0) + 1;
    versions.set(event.stream, version);
    const recordedAt = new Date(START + events.length * 60_000).toISOString();
    // The fields of one type stay together, because they come from one event.
    events.push({ ...event, version, actor, recordedAt, commandId: randomUUID() } as UnplacedEvent);
  };
  const keyOf = async (owner: string): Promise<Buffer> => {
    const key = await vault.keys.getKey(owner);
    if (key === 'destroyed') throw new Error('no key was destroyed yet');
    return key;
  };
  const register = async (userId: UserId, name: string) => {
    await vault.keys.create(userId);
    const claim = { userId, username: name, backgroundColor: '#aabbcc', passwordHash: '', registered: true };
    await vault.credentials.claim(name, claim);
    const username = seal(await keyOf(userId), name, usernameContext(userId));
    const data = { userId, username, backgroundColor: '#aabbcc' };
    add(userId, { type: 'UserRegistered', stream: streamOf('user', userId), data });
    add(userId, { type: 'UserWentOnline', stream: streamOf('user', userId), data: { userId } });
  };
  const send = async (owner: UserId, roomId: RoomId, seq: number) => {
    const messageId = randomUUID();
    const [keys] = (await vault.keys.getRoomKeys([{ owner, roomId }])).values();
    if (!(keys instanceof RoomKeys)) throw new Error('no key was destroyed yet');
    const text = sealText(keys, { seq, rev: 0 }, textOf(seq), textContext({ roomId, messageId }));
    add(owner, {
      type: 'MessageSent',
      stream: streamOf('room', roomId),
      data: { roomId, messageId, seq, text },
    });
  };
  const makeGroup = async (roomId: RoomId, owner: UserId, member: UserId) => {
    const stream = streamOf('room', roomId);
    await vault.keys.create(groupKeyOwner(roomId));
    const { context } = groupNote(roomId, 'name', '');
    const name = seal(await keyOf(groupKeyOwner(roomId)), 'a small group', context);
    const settings = { history: 'joined', whoAdds: 'members', whoSends: 'members' } as const;
    add(owner, {
      type: 'GroupCreated',
      stream,
      data: { roomId, name, settings, named: checksumOf([member]) },
    });
    for (const [place, userId] of [owner, member].entries()) {
      const role = userId === owner ? 'owner' : 'member';
      const joined = { roomId, userId, by: owner, role, from: 1, at: 0, place } as const;
      add(owner, { type: 'MemberJoined', stream, data: joined });
    }
    await send(owner, roomId, 1);
  };
  await register(ann, 'ann');
  await register(bob, 'bob');
  await register(cid, 'cid');
  add('system', {
    type: 'RoleGiven',
    stream: streamOf('user', cid),
    data: { userId: cid, role: 'auditor' },
  });
  add(ann, {
    type: 'FriendAdded',
    stream: streamOf('room', roomIdOf(ann, bob)),
    data: { by: ann, target: bob },
  });
  add(bob, {
    type: 'MemberBlocked',
    stream: streamOf('room', roomIdOf(bob, cid)),
    data: { roomId: roomIdOf(bob, cid), by: bob, target: cid },
  });
  const preferences = { ...DEFAULT_PREFERENCES, findable: false };
  add(bob, {
    type: 'PreferencesChanged',
    stream: streamOf('user', bob),
    data: { userId: bob, ...preferences },
  });
  for (const other of [bob, cid]) {
    const members: readonly [UserId, UserId] = ann < other ? [ann, other] : [other, ann];
    const roomId = roomIdOf(ann, other);
    const stream = streamOf('room', roomId);
    const created = { roomId, roomType: 'PRIVATE', members } as const;
    add(ann, { type: 'RoomCreated', stream, data: created });
    for (const userId of members) add(ann, { type: 'ChatOpened', stream, data: { roomId, userId } });
    for (let seq = 1; seq <= messages; seq++) await send(ann, roomId, seq);
    const read = { roomId, userId: other, upTo: messages };
    add(other, { type: 'MessagesRead', stream, data: read });
  }
  if (hasGroups) {
    await makeGroup(groups[0], ann, bob);
    await makeGroup(groups[1], bob, cid);
  }
  if (hasDestroyed) {
    const second = events.find((event) => event.type === 'MessageSent' && event.data.seq === 2);
    if (second?.type !== 'MessageSent') throw new Error('there is no second message');
    const { roomId, messageId, seq } = second.data;
    const deleted = { roomId, messageId, seq, senderId: ann, by: 'system' };
    add('system', { type: 'MessageDeleted', stream: streamOf('room', roomId), data: deleted });
    const isDestroyed = hasDestroyed === true;
    if (isDestroyed) await vault.keys.destroyTexts({ owner: ann, roomId }, [seq]);
    const userId = randomUUID();
    await register(userId, 'dee');
    add('system', { type: 'UserErased', stream: streamOf('user', userId), data: { userId } });
    await vault.credentials.erase('dee');
    if (isDestroyed) await vault.keys.destroy(userId);
  }
  await vault.close();
  return events;
}

/**
 * Appends each partition's events in commits of one to three, after an empty commit like that of a take-over.
 */
async function append(
  log: EventLog,
  events: readonly UnplacedEvent[],
  { keepsTimes = false, isInFirst = false }: SmallLogOptions,
): Promise<void> {
  const heads = Array.from({ length: log.partitions }, (_, partition): Head => emptyHead(partition));
  const commit = async (partition: number, some: readonly UnplacedEvent[]) => {
    const head = heads[partition] ?? emptyHead(partition);
    const recordedAt = some.at(-1)?.recordedAt ?? new Date(START).toISOString();
    const leaves = some.map((event) => encodeEvent(keepsTimes ? event : { ...event, recordedAt }));
    const next = buildCommit({ head, id: randomUUID(), epoch: 1, recordedAt, leaves });
    await log.append(next.commit);
    heads[partition] = next.head;
  };
  for (const { partition } of heads) await commit(partition, []);
  const waiting = heads.map((): UnplacedEvent[] => []);
  for (const [i, event] of events.entries()) {
    const partition = isInFirst ? 0 : partitionOf(event.stream, log.partitions);
    const batch = waiting[partition] ?? [];
    batch.push(event);
    if (batch.length > i % 3) await commit(partition, batch.splice(0));
  }
  for (const [partition, batch] of waiting.entries()) if (batch.length > 0) await commit(partition, batch);
}

/** Notes that everything that the log deletes is destroyed. */
async function saveProgress(engine: Engine, masterKey: Buffer): Promise<void> {
  const { log, partitions, close } = await openEngine(engine);
  const vault = await openVault({ engine, masterKey });
  for (let partition = 0; partition < partitions; partition++)
    for (let [position, size] = [0, 0]; ; ) {
      const last = (await log.read(partition, position, 100)).at(-1);
      if (!last) {
        await vault.keys.saveDestructionProgress(partition, size);
        break;
      }
      ({ position, size } = last);
    }
  await vault.close();
  await close();
}

/** Folds what the log holds beyond the read models. */
async function foldAll(engine: Engine, masterKey: Buffer): Promise<void> {
  const { store, log, partitions, close } = await openEngine(engine);
  const vault = await openVault({ engine, masterKey });
  const memory = createPlaintextCache();
  const names = createTextOpener(vault.keys, memory);
  const all = allProjections(names);
  // As the projector's thread does it.
  const index = all.find(({ model }) => engine.kind === 'sqlite' && model.name === messageIdsModel.name);
  const live = all.filter((projection) => projection !== index);
  const projector = await Projector.open(store, live, partitions);
  const owned = Array.from({ length: partitions }, (_, partition) => partition);
  const ids = await MessageIdBatches.open({ store, log, partitions }, projector, index, { owned });
  for (let partition = 0; partition < partitions; partition++)
    for (;;) {
      const commits = await log.read(partition, projector.position(partition), 5);
      if (commits.length === 0) break;
      await projector.fold(commits.map(decodeCommit));
      await projector.write();
    }
  await ids.flush();
  memory.close();
  await vault.close();
  await close();
}
