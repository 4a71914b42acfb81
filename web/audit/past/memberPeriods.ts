import type { EventRow } from '../auditTypes.js';

/** A time during which a user was a member of a room, in one role. */
export interface Period {
  /** ISO 8601. */
  readonly from: string;
  /** Undefined: up to now. */
  readonly to: string | undefined;
  /** Undefined in a private room, which has no roles. */
  readonly role: string | undefined;
}

/** The periods of each member, by user id, in the order of joining. */
export type MemberPeriods = ReadonlyMap<string, readonly Period[]>;

/** The types of events that change who is in a room. */
export const isMembership = (type: string): boolean =>
  type === 'RoomCreated' || type === 'MemberJoined' || type === 'MemberLeft' || type === 'MemberRoleChanged';

/** Folds the events of a room, in their order, to who was in it when. */
export function foldMembers(events: readonly EventRow[]): MemberPeriods {
  const periods = new Map<string, Period[]>();
  const close = (userId: string, to: string): boolean => {
    const last = periods.get(userId)?.pop();
    if (!last) return false;
    periods.get(userId)?.push(last.to === undefined ? { ...last, to } : last);
    return last.to === undefined;
  };
  const open = (userId: string, from: string, role: string | undefined): void =>
    void periods.set(userId, [...(periods.get(userId) ?? []), { from, to: undefined, role }]);
  for (const { type, data, recordedAt } of events) {
    const { userId, role, members } = data;
    if (type === 'RoomCreated' && Array.isArray(members))
      for (const member of members) open(String(member), recordedAt, undefined);
    if (typeof userId !== 'string') continue;
    const roleName = typeof role === 'string' ? role : undefined;
    if (type === 'MemberJoined') open(userId, recordedAt, roleName);
    if (type === 'MemberLeft') close(userId, recordedAt);
    if (type === 'MemberRoleChanged' && close(userId, recordedAt)) open(userId, recordedAt, roleName);
  }
  return periods;
}
