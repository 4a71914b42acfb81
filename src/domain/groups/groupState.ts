import { z } from 'zod';
import type { Sealed, Time } from '../fields.js';
import type { RoomId, UserId } from '../ids.js';
import { GROUP_ROLES, type GroupMembers, type GroupRole, type Window } from './groupMembers.js';

/** The state of a group, and who sees what of it. */

/** Which messages somebody sees who joins a group: those from then on, or all. */
const HISTORIES = ['joined', 'all'] as const;
const MEMBERS_OR_ADMINS = ['members', 'admins'] as const;

export const GroupSettings = z.strictObject({
  history: z.enum(HISTORIES),
  whoAdds: z.enum(MEMBERS_OR_ADMINS),
  whoSends: z.enum(MEMBERS_OR_ADMINS),
});
export type GroupSettings = z.infer<typeof GroupSettings>;

/** The settings of a command or an event that names some. */
export const SomeSettings = {
  history: GroupSettings.shape.history.exactOptional(),
  whoAdds: GroupSettings.shape.whoAdds.exactOptional(),
  whoSends: GroupSettings.shape.whoSends.exactOptional(),
};

export function settingsIn({ history, whoAdds, whoSends }: Partial<GroupSettings>): Partial<GroupSettings> {
  return {
    ...(history === undefined ? {} : { history }),
    ...(whoAdds === undefined ? {} : { whoAdds }),
    ...(whoSends === undefined ? {} : { whoSends }),
  };
}

export const RoleName = z.enum(GROUP_ROLES);

/** The name of a group and what is said about it, sealed with the key of the room. */
export interface GroupTexts {
  readonly name: Sealed;
  readonly about?: Sealed;
}

/** A group as it was created, so that a repeat can be told from another creation. */
export interface Creation extends GroupTexts {
  readonly by: UserId;
  readonly settings: GroupSettings;
  /** A checksum of the ids that it named. */
  readonly named: number;
}

/** A group. Marks and `lastSeq` never go back. */
export interface Group {
  readonly exists: true;
  readonly roomType: 'GROUP';
  readonly roomId: RoomId;
  readonly createdAt: Time;
  /** The newest message's `seq`; 0 in an empty room. */
  readonly lastSeq: number;
  readonly settings: GroupSettings;
  readonly texts: GroupTexts;
  readonly created: Creation;
  /** The ids of the pinned messages, in the order of pinning. */
  readonly pins: readonly string[];
  /** Stored apart, one row each. Undefined in the stored state. */
  readonly members: GroupMembers | undefined;
}

/** The members of a group that is being decided about. Throws for a stored state. */
export function membersOf({ roomId, members }: Group): GroupMembers {
  if (!members) throw new TypeError(`the members of group ${roomId} were not loaded`);
  return members;
}

export const isAdminRole = (role: GroupRole | undefined): boolean => role === 'owner' || role === 'admin';

/** The windows of somebody who is or was a member, in the order of joining. */
export function windowsOf({
  role,
  from,
  closed,
}: Pick<Member, 'role' | 'from' | 'closed'>): readonly Window[] {
  return role === undefined ? closed : [...closed, [from, null]];
}

type Member = NonNullable<ReturnType<GroupMembers['get']>>;

export const isInWindows = (windows: readonly Window[], seq: number): boolean =>
  windows.some(([from, to]) => from <= seq && (to === null || seq <= to));

/** The number of messages above `above` that lie in the windows, which may overlap. */
export function countInWindows(windows: readonly Window[], above: number, lastSeq: number): number {
  let [count, reached] = [0, above];
  for (const [from, to] of windows.toSorted((a, b) => a[0] - b[0])) {
    const first = Math.max(from, reached + 1);
    const last = Math.min(to ?? lastSeq, lastSeq);
    if (last < first) continue;
    count += last - first + 1;
    reached = last;
  }
  return count;
}

/** The newest `seq` in the windows; 0 if no message lies in them. */
export function newestInWindows(windows: readonly Window[], lastSeq: number): number {
  let newest = 0;
  for (const [from, to] of windows) {
    const last = Math.min(to ?? lastSeq, lastSeq);
    if (last >= from) newest = Math.max(newest, last);
  }
  return newest;
}

/**
 * A time in which somebody was a member: its window, and the offsets of the events by which they came and left. `to` and
 * `left` are null as long as it lasts. The window of a time in which nothing was said is empty.
 */
export interface Period {
  readonly from: number;
  readonly to: number | null;
  readonly joined: number;
  readonly left: number | null;
  /** The newest `seq` when they came. They were sent the messages behind it. */
  readonly at: number;
}

/** Whether a message was pushed to them: they were members when it was sent. */
export const wasSent = (periods: readonly Period[], seq: number): boolean =>
  periods.some(({ at, to }) => at < seq && (to === null || seq <= to));

/** The period in which an event at this offset lies; the events by which they came and left lie in it. */
export const periodAt = (periods: readonly Period[], offset: number): Period | undefined =>
  periods.find(({ joined, left }) => joined <= offset && (left === null || offset <= left));

/** Whether a message was visible at this offset to somebody who was a member then. */
export const sawAt = (periods: readonly Period[], seq: number, offset: number): boolean =>
  periods.some(
    ({ from, to, joined, left }) =>
      joined <= offset && from <= seq && (to === null || seq <= to || (left !== null && offset < left)),
  );

/** The windows of these periods. */
export const windowsIn = (periods: readonly Period[]): Window[] =>
  periods.flatMap(({ from, to }) => (to !== null && to < from ? [] : [[from, to] as const]));

/** A checksum of ids, whatever their order: FNV-1a with 32 bits. */
export function checksumOf(ids: readonly string[]): number {
  let hash = 0x811c9dc5;
  for (const id of [...new Set(ids)].sort())
    for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
