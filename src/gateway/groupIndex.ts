import type { StoredPush } from '../domain/defineEvent.js';
import { isGroupAudience } from '../domain/defineEvent.js';
import type { Recorded } from '../domain/events.js';
import { type Period, periodAt, sawAt } from '../domain/groups/groupState.js';
import type { RoomId, UserId } from '../domain/ids.js';
import type { PlacedMembership } from '../projections/queries.js';
import type { Vector } from './cursor.js';

/** A hosted user's membership of a group. */
interface Membership {
  periods: readonly Period[];
  /** They are a member by what has been fanned out. */
  isMember: boolean;
}

interface HostedGroup {
  readonly memberships: Map<UserId, Membership>;
  /** The number of hosted members, as above. */
  members: number;
  /** The hosted members at the offsets below `until`, from that at which it was made on. */
  cached: { readonly from: number; readonly until: number; readonly users: readonly UserId[] } | undefined;
}

interface HostedUser {
  readonly rooms: Set<RoomId>;
  /** Their memberships are being read: the events about them that were fanned out meanwhile. */
  noted: Recorded[] | undefined;
  /** Settles when they are known. */
  loading: Promise<void>;
}

const nobody: readonly UserId[] = [];

/**
 * The groups of the users of this node, with the times in which each was a member. The fan-out changes them in the order
 * of the log. What was read of a user may be ahead of the fan-out: so each question names the offset of an event. Nobody
 * gets a push from before they came or from behind their leaving.
 */
export class GroupIndex {
  readonly #load: (user: UserId) => Promise<readonly PlacedMembership[]>;
  readonly #fannedOut: () => Vector;
  readonly #users = new Map<UserId, HostedUser>();
  readonly #groups = new Map<RoomId, HostedGroup>();

  /** `load` reads the memberships of a user as of the present vector or later. */
  constructor(load: (user: UserId) => Promise<readonly PlacedMembership[]>, fannedOut: () => Vector) {
    this.#load = load;
    this.#fannedOut = fannedOut;
  }

  /** Whether the groups of the user are known. While they are being read they are not. */
  isKnown(user: UserId): boolean {
    const hosted = this.#users.get(user);
    return hosted !== undefined && hosted.noted === undefined;
  }

  /**
   * Reads the user's groups, or waits for them if they are being read for a connection that came before. Rejects if they
   * cannot be read; then the user is not here.
   */
  add(user: UserId): Promise<void> {
    const known = this.#users.get(user);
    if (known) return known.loading;
    const hosted: HostedUser = { rooms: new Set(), noted: [], loading: Promise.resolve() };
    this.#users.set(user, hosted);
    hosted.loading = this.#read(user, hosted);
    return hosted.loading;
  }

  async #read(user: UserId, hosted: HostedUser): Promise<void> {
    try {
      const found = await this.#load(user);
      if (this.#users.get(user) !== hosted) return;
      const at = this.#fannedOut();
      for (const { roomId, partition, periods } of found) {
        // What was read may be ahead: somebody may be about to leave, or to come.
        const last = (at[partition] ?? 0) - 1;
        const isMember = periods.some(({ joined, left }) => joined <= last && (left === null || left > last));
        this.#enter(roomId, user, { periods, isMember });
      }
      const noted = hosted.noted ?? [];
      hosted.noted = undefined;
      for (const event of noted) this.fold(event);
    } catch (error) {
      if (this.#users.get(user) === hosted) this.#users.delete(user);
      throw error;
    }
  }

  /** The user is hosted no more. */
  remove(user: UserId): void {
    for (const room of this.#users.get(user)?.rooms ?? []) {
      const group = this.#groups.get(room);
      if (!group) continue;
      if (group.memberships.get(user)?.isMember) group.members--;
      group.memberships.delete(user);
      group.cached = undefined;
      if (group.memberships.size === 0) this.#groups.delete(room);
    }
    this.#users.delete(user);
  }

  /** Whether any user of this node is a member. */
  hasMembers(room: RoomId): boolean {
    return (this.#groups.get(room)?.members ?? 0) > 0;
  }

  /** The members of this node by what has been fanned out. */
  membersNow(room: RoomId): UserId[] {
    const memberships = this.#groups.get(room)?.memberships ?? [];
    return [...memberships].flatMap(([user, { isMember }]) => (isMember ? [user] : []));
  }

  /** Takes an event of the log, before its pushes are delivered. */
  fold(event: Recorded): void {
    if (event.type !== 'MemberJoined' && event.type !== 'MemberLeft') return;
    const { roomId, userId } = event.data;
    const user = this.#users.get(userId);
    if (!user) return;
    if (user.noted) {
      user.noted.push(event);
      return;
    }
    const before = this.#groups.get(roomId)?.memberships.get(userId)?.periods ?? [];
    const isMember = event.type === 'MemberJoined';
    this.#enter(roomId, userId, {
      periods: isMember ? joined(before, event) : left(before, event),
      isMember,
    });
  }

  /** The users of this node whom an event's push is for. */
  receiversOf({ to, seq }: Pick<StoredPush, 'to' | 'seq'>, offset: number): readonly UserId[] {
    if (!isGroupAudience(to)) return to;
    const group = this.#groups.get(to.group);
    const { joinedBefore, and } = to;
    const members = group ? membersAt(group, offset) : nobody;
    if (joinedBefore === undefined && seq === undefined && and === undefined) return members;
    const told = members.filter((user) => {
      const periods = group?.memberships.get(user)?.periods ?? [];
      const came = periodAt(periods, offset)?.joined ?? Number.POSITIVE_INFINITY;
      return came < (joinedBefore ?? Number.POSITIVE_INFINITY) && (!seq || sawAt(periods, seq, offset));
    });
    return and === undefined ? told : [...new Set([...told, ...and])];
  }

  #enter(room: RoomId, user: UserId, membership: Membership): void {
    let group = this.#groups.get(room);
    if (!group) {
      group = { memberships: new Map(), members: 0, cached: undefined };
      this.#groups.set(room, group);
    }
    const wasMember = group.memberships.get(user)?.isMember ?? false;
    group.members += Number(membership.isMember) - Number(wasMember);
    group.memberships.set(user, membership);
    group.cached = undefined;
    this.#users.get(user)?.rooms.add(room);
  }
}

/** What was read may have the event already. */
function joined(
  periods: readonly Period[],
  { offset, data: { from, at } }: Recorded<'MemberJoined'>,
): readonly Period[] {
  if (periods.some((period) => period.joined >= offset)) return periods;
  return [...periods, { from, to: null, joined: offset, left: null, at }];
}

function left(
  periods: readonly Period[],
  { offset, data: { upTo } }: Recorded<'MemberLeft'>,
): readonly Period[] {
  return periods.map((period) =>
    period.left === null && period.joined < offset ? { ...period, to: upTo, left: offset } : period,
  );
}

/** The hosted members at an offset: one list for all events until somebody comes or goes. */
function membersAt(group: HostedGroup, offset: number): readonly UserId[] {
  const { cached } = group;
  if (cached && cached.from <= offset && offset < cached.until) return cached.users;
  const users: UserId[] = [];
  let until = Number.POSITIVE_INFINITY;
  for (const [user, { periods }] of group.memberships) {
    if (periodAt(periods, offset)) users.push(user);
    for (const { joined, left } of periods) {
      if (joined > offset) until = Math.min(until, joined);
      if (left !== null && left >= offset) until = Math.min(until, left + 1);
    }
  }
  group.cached = { from: offset, until, users };
  return users;
}
