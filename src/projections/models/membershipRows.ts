import type { Recorded } from '../../domain/events.js';
import type { Time } from '../../domain/fields.js';
import type { GroupMember, GroupRole } from '../../domain/groups/groupMembers.js';
import { type Period, windowsIn } from '../../domain/groups/groupState.js';
import { isGroupId, type RoomId, streamOf, type UserId } from '../../domain/ids.js';
import type { Projection } from '../projection.js';
import type { Model, Row, RowReader } from '../store/rowStore.js';
import { groupsModel } from './groupRows.js';

/** The place of a member's newest `MessagesRead`. */
export interface ReadOffsets {
  readonly offset: number;
  /** If it was for the member's own devices only: the newest that others were told of, null if there is none. */
  readonly told?: number | null;
}

/** The offset of a member's newest mark that others were told of; null: there is none. */
export const toldOffset = (read: ReadOffsets | undefined): number | null =>
  read === undefined ? null : read.told === undefined ? read.offset : read.told;

/** What a `MessagesRead` at this offset makes of the member's newest mark. */
export const readAt = (
  offset: number,
  { own }: { readonly own?: true },
  before: ReadOffsets | undefined,
): ReadOffsets => (own ? { offset, told: toldOffset(before) } : { offset });

/** Somebody's membership of a group, from their first joining on. Those who have left keep it. */
export interface MembershipRow {
  /** Null of somebody who has left. */
  readonly role: GroupRole | null;
  /** The time of the last joining. */
  readonly since: Time;
  /** In the order of joining, each as `Period`. */
  readonly periods: readonly PeriodRow[];
  readonly mark: number;
  /** The newest `MessagesRead`. A mark that was moved by sending was not pushed. */
  readonly read?: ReadOffsets;
  readonly hasWritten?: true;
}

type PeriodRow = readonly [from: number, to: number | null, joined: number, left: number | null, at: number];

/** The key of a membership; those of one group sort together. */
export const membershipKey = (roomId: RoomId, userId: UserId): string => `${roomId}/${userId}`;

/** The two ids in a membership's key. */
export function membershipIn(key: string): { readonly roomId: RoomId; readonly userId: UserId } {
  const [roomId = '', userId = ''] = key.split('/');
  return { roomId, userId };
}

/**
 * Indexes: `user` has all memberships of a user by the time of joining, those that have ended at 0. `members` orders the members of
 * a group by their joining.
 */
export const membershipsModel: Model<MembershipRow> = {
  name: 'memberships',
  version: 1,
  indexes: {
    user: ({ key, value }) => ({
      terms: [membershipIn(key).userId],
      sort: value.role === null ? 0 : Date.parse(value.since),
    }),
    members: ({ key, value }) =>
      value.role === null
        ? undefined
        : { terms: [membershipIn(key).roomId], sort: value.periods.at(-1)?.[2] ?? 0 },
  },
};

/** The member whose membership an event of a group changes. */
function memberOf(event: Recorded): UserId | undefined {
  switch (event.type) {
    case 'MemberJoined':
    case 'MemberLeft':
    case 'MemberRoleChanged':
    case 'MessagesRead':
    case 'MemberErased':
      return event.data.userId;
    case 'MessageSent':
      return event.actor;
    default:
      return undefined;
  }
}

/** The key of the membership that an event changes; undefined of an event that changes none. */
export function changedMembership(event: Recorded): string | undefined {
  const member = memberOf(event);
  if (member === undefined || !('roomId' in event.data) || !isGroupId(event.data.roomId)) return undefined;
  return membershipKey(event.data.roomId, member);
}

/** Folds one row for each member of a group. A message changes only that of its sender. */
export const membershipsProjection: Projection<MembershipRow> = {
  model: membershipsModel,
  keys(event) {
    const key = changedMembership(event);
    return key === undefined ? [] : [key];
  },
  evolve(row, event, key) {
    if (event.type === 'MemberJoined') return join(row ?? undefined, event);
    if (!row) throw new Error(`${event.type} at offset ${event.offset} comes before the joining of ${key}`);
    return applyEvent(row, event);
  },
};

function join(
  row: MembershipRow | undefined,
  { offset, recordedAt, data: { role, from, at } }: Recorded<'MemberJoined'>,
): MembershipRow {
  const periods = [...(row?.periods ?? []), [from, null, offset, null, at] as const];
  return { ...row, role, since: recordedAt, periods, mark: at };
}

function applyEvent(row: MembershipRow, event: Recorded): MembershipRow {
  switch (event.type) {
    case 'MessageSent':
      return { ...row, mark: event.data.seq, hasWritten: true };
    case 'MessagesRead':
      return {
        ...row,
        mark: Math.max(row.mark, event.data.upTo),
        read: readAt(event.offset, event.data, row.read),
      };
    case 'MemberRoleChanged':
      return { ...row, role: event.data.role };
    case 'MemberLeft': {
      const [from = 1, , joined = 0, , at = 0] = row.periods.at(-1) ?? [];
      const last = [from, event.data.upTo, joined, event.offset, at] as const;
      return { ...row, role: null, periods: [...row.periods.slice(0, -1), last] };
    }
    case 'MemberErased': {
      const { hasWritten: _, ...rest } = row;
      return rest;
    }
    default:
      return row;
  }
}

/** The offset at which somebody left who is no member any more. */
export const lastLeft = ({ periods }: MembershipRow): number => periods.at(-1)?.[3] ?? -1;

export const periodsOf = ({ periods }: MembershipRow): Period[] =>
  periods.map(([from, to, joined, left, at]) => ({ from, to, joined, left, at }));

/** A membership as deciders see it. */
export function memberIn(row: MembershipRow): GroupMember {
  const [from, , joinedAt = 0] = row.periods.at(-1) ?? [];
  return {
    role: row.role ?? undefined,
    from: row.role === null ? 0 : (from ?? 0),
    joinedAt,
    mark: row.mark,
    hasWritten: row.hasWritten === true,
    closed: windowsIn(periodsOf(row)).filter(([, to]) => to !== null),
  };
}

/** Rows of one read. */
const ROWS_PER_READ = 1000;

/** The memberships of a group, also those that have ended, a page at a time. */
export async function* membershipsIn(
  rows: Pick<RowReader, 'range'>,
  roomId: RoomId,
): AsyncGenerator<Row<MembershipRow>[]> {
  for (let after = `${roomId}/`; ; ) {
    // The character behind `/`.
    const page = await rows.range(membershipsModel, { after, before: `${roomId}0`, limit: ROWS_PER_READ });
    if (page.length > 0) yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < ROWS_PER_READ) return;
    after = last.key;
  }
}

/** A membership; undefined of somebody who never was a member. */
export async function membershipOf(
  rows: Pick<RowReader, 'get'>,
  roomId: RoomId,
  userId: UserId,
): Promise<MembershipRow | undefined> {
  return (await membershipsOfIn(rows, userId, [roomId])).get(roomId);
}

/** The memberships of a user in these groups, of those groups in which they ever were. */
export async function membershipsOfIn(
  rows: Pick<RowReader, 'get'>,
  userId: UserId,
  roomIds: readonly RoomId[],
): Promise<ReadonlyMap<RoomId, MembershipRow>> {
  if (roomIds.length === 0) return new Map();
  const found = await rows.get(
    membershipsModel,
    roomIds.map((roomId) => membershipKey(roomId, userId)),
  );
  return new Map(
    roomIds.flatMap((roomId) => {
      const row = found.get(membershipKey(roomId, userId))?.value;
      return row ? [[roomId, row] as const] : [];
    }),
  );
}

/** All memberships of a user, by room, also those that have ended; behind the room `after`. */
export async function membershipsOf(
  rows: Pick<RowReader, 'find'>,
  userId: UserId,
  after?: RoomId,
): Promise<Row<MembershipRow>[]> {
  const found: Row<MembershipRow>[] = [];
  for (let from = after === undefined ? undefined : { sort: 0, key: `${after}0` }; ; ) {
    const page = await rows.find(membershipsModel, 'user', {
      terms: [userId],
      byKey: true,
      limit: ROWS_PER_READ,
      ...(from === undefined ? {} : { from }),
    });
    // An index is not trusted.
    found.push(...page.filter(({ key, value }) => value !== null && membershipIn(key).userId === userId));
    const last = page.at(-1);
    if (last === undefined || page.length < ROWS_PER_READ) return found;
    from = { sort: 0, key: last.key };
  }
}

/** A group of a user among their chats. Its time is that of its last message, or of their joining if that came later. */
export interface PlacedGroup {
  readonly roomId: RoomId;
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly sort: number;
}

/** The groups that a user is in, in any order. It reads indexes alone, so a caller that shows a group must check its rows. */
export async function placedGroups(
  rows: Pick<RowReader, 'places'>,
  userId: UserId,
): Promise<readonly PlacedGroup[]> {
  const joined = await rows.places(membershipsModel, 'user', { terms: [userId], above: 0 });
  const current = [...joined].map(([key, sort]) => {
    const { roomId } = membershipIn(key);
    return { roomId, key: streamOf('room', roomId), sort };
  });
  const terms = current.map(({ key }) => key);
  const messages = await rows.places(groupsModel, 'activity', { terms });
  // A message from before the joining, which may be hidden, is never later: times ascend in a partition.
  return current.map((one) => ({ ...one, sort: Math.max(one.sort, messages.get(one.key) ?? 0) }));
}

/** The number of groups that each of these users is in. */
export async function countGroups(
  rows: Pick<RowReader, 'find'>,
  users: readonly UserId[],
): Promise<ReadonlyMap<UserId, number>> {
  const counts = new Map<UserId, number>();
  for (const userId of users) {
    const found = await membershipsOf(rows, userId);
    counts.set(userId, found.filter(({ value }) => value?.role).length);
  }
  return counts;
}
