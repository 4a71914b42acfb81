import { assertNever, notFound } from '../../base/errors.js';
import type { SealedNote } from '../../domain/defineEvent.js';
import type { Recorded } from '../../domain/events.js';
import { groupNote, type Happening } from '../../domain/groups/groupEvents.js';
import type { Period } from '../../domain/groups/groupState.js';
import type { RoomId, UserId } from '../../domain/ids.js';
import type { User } from '../../domain/userMessageChat.js';
import { cutPage, fromNext, nextOf, type PageAsked } from '../answerPages.js';
import type { Projection } from '../projection.js';
import { elementAt, findCheckedInOrder, type Model, type Row, type RowReader } from '../store/rowStore.js';
import { membershipOf, periodsOf } from './membershipRows.js';
import { messageKey, shortId } from './messageKeys.js';
import { usersById, type ViewSource } from './userRows.js';

/** What happened in a group, with its texts sealed. `place`: as of `MemberJoined`, absent for 0. */
type HappeningRow = Happening & { readonly place?: number };

type GroupEvent = Recorded<
  'GroupCreated' | 'GroupChanged' | 'MemberJoined' | 'MemberLeft' | 'MemberRoleChanged'
>;

function isGroupEvent(event: Recorded): event is GroupEvent {
  switch (event.type) {
    case 'GroupCreated':
    case 'GroupChanged':
    case 'MemberJoined':
    case 'MemberLeft':
    case 'MemberRoleChanged':
      return true;
    default:
      return false;
  }
}

function happeningOf(event: GroupEvent): HappeningRow {
  const time = event.recordedAt;
  switch (event.type) {
    case 'GroupCreated': {
      const { roomId: _, named: __, settings, ...texts } = event.data;
      return { kind: 'created', at: 0, by: event.actor, time, ...texts, ...settings };
    }
    case 'GroupChanged': {
      const { roomId: _, ...changes } = event.data;
      return { kind: 'changed', by: event.actor, time, ...changes };
    }
    case 'MemberJoined': {
      const { at, by, userId, role, place } = event.data;
      return { kind: 'joined', at, by, time, userId, role, ...(place > 0 ? { place } : {}) };
    }
    case 'MemberLeft': {
      const { upTo, by, userId } = event.data;
      return { kind: 'left', at: upTo, by, time, userId };
    }
    case 'MemberRoleChanged': {
      const { roomId: _, ...change } = event.data;
      return { kind: 'role', time, ...change };
    }
    default:
      return assertNever(event);
  }
}

/** What precedes, as a key, all that happened in a room at this `seq`, and follows what happened before. */
const seqBound = (roomId: RoomId, at: number): string => `${messageKey(roomId, at)}/`;

/** Keys of one room sort in the order of the log, because `at` never goes back. */
function happeningKey(roomId: RoomId, at: number, offset: number): string {
  const digits = offset.toString(36);
  return `${seqBound(roomId, at)}${digits.length.toString(36)}${digits}`;
}

/** Of an event at an offset, or of what `happeningKey` made. */
const offsetIn = (key: string): number => Number.parseInt(key.slice(key.lastIndexOf('/') + 2), 36);

/** Who came to groups and went, and what was changed. The index has what set who sees the history from before. */
const happeningsModel: Model<HappeningRow> = {
  name: 'happenings',
  version: 1,
  indexes: {
    history: ({ key, value }) =>
      'history' in value ? { terms: [key.slice(0, key.indexOf('/'))], sort: offsetIn(key) } : undefined,
  },
};

/** Folds a row for each such event. A message has none. */
export const happeningsProjection: Projection<HappeningRow> = {
  model: happeningsModel,
  keys: (event) =>
    isGroupEvent(event) ? [happeningKey(event.data.roomId, happeningOf(event).at, event.offset)] : [],
  creates: () => true,
  evolve: (value, event) => (isGroupEvent(event) ? happeningOf(event) : (value ?? null)),
  isRarelyChanged: () => true,
};

const earlier = (a: string, b: string): string => [a, b].sort()[0] ?? a;
const later = (a: string, b: string): string => [a, b].sort()[1] ?? a;

/** Some keys of a room, both exclusive. */
interface Span {
  readonly after: string;
  readonly before: string;
}

const startOf = (roomId: RoomId): string => `${shortId(roomId)}/`;
/** The character behind `/`. */
const endOf = (roomId: RoomId): string => `${shortId(roomId)}0`;

/** What set the group's `history` as it was at this offset. */
async function historyAt(
  rows: RowReader,
  roomId: RoomId,
  offset: number,
): Promise<{ readonly offset: number; readonly value: HappeningRow } | undefined> {
  const [found] = await findCheckedInOrder(rows, happeningsModel, 'history', {
    find: { terms: [shortId(roomId)], below: offset, reverse: true, limit: 1 },
    // An index is not trusted.
    isWanted: ({ key, value }) =>
      key.startsWith(startOf(roomId)) && offsetIn(key) < offset && value !== null && 'history' in value,
    sortOf: (_, key) => offsetIn(key),
  });
  return found && { offset: offsetIn(found.key), value: found.value };
}

/**
 * What happened while somebody was a member, from the command by which they came: its other members and a new group's
 * creation are in it. Where they see all messages from before, it begins with the group.
 */
async function spanOf(
  rows: RowReader,
  roomId: RoomId,
  { from, to, joined, left, at }: Period,
  { place = 0 }: { readonly place?: number },
): Promise<Span> {
  const before = left === null ? endOf(roomId) : happeningKey(roomId, to ?? 0, left + 1);
  let first = joined - place;
  if (from <= at) return { after: startOf(roomId), before };
  // With no message yet, the window of both kinds of history begins at 1.
  const set = at === 0 ? await historyAt(rows, roomId, joined) : undefined;
  if (set && 'history' in set.value && set.value.history === 'all') return { after: startOf(roomId), before };
  if (set?.value.kind === 'created' && set.offset === first - 1) first = set.offset;
  return { after: first === 0 ? seqBound(roomId, at) : happeningKey(roomId, at, first - 1), before };
}

/** What somebody sees of a group's happenings, in order, without an overlap. */
async function spansOf(rows: RowReader, roomId: RoomId, periods: readonly Period[]): Promise<Span[]> {
  const keys = periods.map(({ at, joined }) => happeningKey(roomId, at, joined));
  const found = await rows.get(happeningsModel, keys);
  const seen = await Promise.all(
    periods.map((period, i) => spanOf(rows, roomId, period, found.get(elementAt(keys, i))?.value ?? {})),
  );
  const spans: { after: string; before: string }[] = [];
  for (const span of seen.sort((a, b) => (a.after < b.after ? -1 : 1))) {
    const last = spans.at(-1);
    if (last && span.after < last.before) last.before = later(last.before, span.before);
    else spans.push({ ...span });
  }
  return spans;
}

/** Which happenings are asked for: `after` and `before` are `seq`s, exclusive. */
export interface HappeningsAsked extends PageAsked {
  readonly roomId: RoomId;
  readonly after?: number;
  readonly before?: number;
}

/** The newest rows in these spans that are asked for, one more than fit if there are more. The newest one is first. */
async function newestRows(
  rows: RowReader,
  spans: readonly Span[],
  { roomId, after, before, limit, next }: HappeningsAsked,
): Promise<Row<HappeningRow>[]> {
  const found: Row<HappeningRow>[] = [];
  const least = after === undefined ? startOf(roomId) : seqBound(roomId, after + 1);
  const { key: end = endOf(roomId) } = fromNext('happenings', next).from ?? {};
  const most = before === undefined ? end : earlier(end, seqBound(roomId, before));
  for (const span of spans.toReversed()) {
    const bounds = { after: later(span.after, least), before: earlier(span.before, most) };
    if (bounds.after >= bounds.before) continue;
    found.push(
      ...(await rows.range(happeningsModel, { ...bounds, reverse: true, limit: limit + 1 - found.length })),
    );
    if (found.length > limit) break;
  }
  return found;
}

/** The texts of a row, as they are sealed. */
function notesOf(roomId: RoomId, value: HappeningRow): SealedNote[] {
  if (value.kind !== 'created' && value.kind !== 'changed') return [];
  const { name, about } = value;
  return [
    ...(typeof name === 'string' ? [groupNote(roomId, 'name', name)] : []),
    ...(typeof about === 'string' ? [groupNote(roomId, 'about', about)] : []),
  ];
}

/** A row as its readers see it. A text whose key was destroyed is null. */
function openedHappening(row: HappeningRow, textOf: (sealed: string) => string | null): Happening {
  const { place: _, ...happening } = row;
  if (happening.kind !== 'created' && happening.kind !== 'changed') return happening;
  const { name, about } = happening;
  return {
    ...happening,
    ...(typeof name === 'string' ? { name: textOf(name) } : {}),
    ...(typeof about === 'string' ? { about: textOf(about) } : {}),
  };
}

const namedBy = (happening: Happening): readonly UserId[] =>
  'userId' in happening ? [happening.userId, happening.by] : [happening.by];

/** A page of what happened in a group, for somebody who is or was a member. Throws `not_found` for others. */
export async function happeningsPage(
  source: ViewSource,
  me: UserId,
  asked: HappeningsAsked,
): Promise<{ happenings: Happening[]; users: User[]; next?: string }> {
  const { rows, open } = source;
  const { roomId, limit } = asked;
  const membership = await membershipOf(rows, roomId, me);
  if (!membership) throw notFound('there is no such group among yours');
  const found = await newestRows(rows, await spansOf(rows, roomId, periodsOf(membership)), asked);
  const notes = found.flatMap(({ value }) => (value ? notesOf(roomId, value) : []));
  const [texts, users] = await Promise.all([
    open.notes(notes),
    usersById(
      source,
      found.flatMap(({ value }) => (value ? namedBy(value) : [])),
    ),
  ]);
  const opened = new Map(notes.map(({ sealed }, i) => [sealed, elementAt(texts, i)]));
  const { shown, end } = cutPage(found.slice(0, limit), found.length > limit, ({ value }) => {
    if (!value) return undefined;
    const happening = openedHappening(value, (sealed) => opened.get(sealed) ?? null);
    // A page has each user once, and counts them with the first row that names them. The host is no user.
    const named = namedBy(happening).flatMap((userId) => users.get(userId) ?? []);
    for (const { userId } of named) users.delete(userId);
    return { happening, users: [...new Set(named)] };
  });
  return {
    happenings: shown.map(({ happening }) => happening).reverse(),
    users: shown.flatMap((one) => one.users),
    ...nextOf('happenings', end, ({ key }) => ({ sort: 0, key })),
  };
}
