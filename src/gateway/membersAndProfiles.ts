import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { ExpiringCache } from '../base/collections.js';
import type { Moment } from '../domain/commands.js';
import { type RoomId, streamOf, type UserId } from '../domain/ids.js';
import type { User } from '../domain/userMessageChat.js';
import { changeUserPush } from '../domain/users.js';
import { partitionOf } from '../log/log.js';
import type { Queries } from '../projections/queries.js';
import { SECRET_TTL_MS } from '../vault/vault.js';
import type { Vector } from './cursor.js';
import type { GroupIndex } from './groupIndex.js';
import type { Hub } from './openConnections.js';
import { pushText } from './protocol.js';

const MAX_PROFILES = 20_000;
const MAX_ROOMS = 50_000;

/** Caches users in the form that clients see, for pushes and answers. Names expire as all cached secrets do. */
export class Profiles {
  readonly #queries: Pick<Queries, 'users'>;
  readonly #cache = new ExpiringCache<User>({ ttlMs: SECRET_TTL_MS, maxEntries: MAX_PROFILES });
  /** Of users whose profile has changed: the moment from which on it is read. By then the read models have it. */
  readonly #changed = new ExpiringCache<Moment>({ ttlMs: SECRET_TTL_MS, maxEntries: MAX_PROFILES });
  #forgotten = 0;

  constructor(queries: Pick<Queries, 'users'>) {
    this.#queries = queries;
  }

  /** The user if they are cached; undefined: load them first. */
  known(user: UserId): User | undefined {
    return this.#cache.get(user);
  }

  /** Returns these users, and caches them. Those that do not exist are left out. */
  async load(users: readonly UserId[]): Promise<Map<UserId, User>> {
    const missing = users.filter((user) => this.#cache.get(user) === undefined);
    const forgotten = this.#forgotten;
    const found = missing.length > 0 ? await this.#read(missing) : new Map<UserId, User>();
    // If a user was forgotten meanwhile, the result may still show that user.
    if (forgotten === this.#forgotten) for (const [id, user] of found) this.#cache.set(id, user);
    for (const id of users) {
      const user = this.#cache.get(id);
      if (user) found.set(id, user);
    }
    return found;
  }

  #read(users: readonly UserId[]): Promise<Map<UserId, User>> {
    const at = users.flatMap((user) => this.#changed.get(user) ?? []);
    return this.#queries.users(users, at);
  }

  /** Drops a user whose profile an event has changed. Later loads include the event at that moment. */
  expire(user: UserId, at: Moment): void {
    this.forget(user);
    this.#changed.set(user, at);
  }

  /** Drops a user who has been erased. */
  forget(user: UserId): void {
    this.#forgotten++;
    this.#cache.delete(user);
  }

  close(): void {
    this.#cache.close();
    this.#changed.close();
  }
}

type MemberQueries = Pick<Queries, 'members' | 'activeFor'> & Pick<Queries, 'membersFor'>;

/** Caches the members of rooms. They never change, so a list that was found once stays true. */
export class RoomMembers {
  readonly #queries: MemberQueries;
  readonly #partitions: number;
  readonly #cache = new LRUCache<RoomId, readonly UserId[]>({ max: MAX_ROOMS });
  /** Only of rooms that are active for all members: they stay so. */
  readonly #active = new LRUCache<RoomId, readonly UserId[]>({ max: MAX_ROOMS });

  constructor(queries: MemberQueries, partitions: number) {
    this.#queries = queries;
    this.#partitions = partitions;
  }

  partitionOf(room: RoomId): number {
    return partitionOf(streamOf('room', room), this.#partitions);
  }

  /** The members; undefined: there is no such room, as of `at`. */
  async members(room: RoomId, at: readonly Moment[]): Promise<readonly UserId[] | undefined> {
    const known = this.#cache.get(room);
    if (known) return known;
    const members = await this.#queries.members(room, at);
    if (members) this.#cache.set(room, members);
    return members;
  }

  /**
   * As `members`, for a member; for others undefined. A cached room of others is asked for all the same, so that the
   * time does not tell them that it exists.
   */
  async membersFor(
    user: UserId,
    room: RoomId,
    at: readonly Moment[],
  ): Promise<readonly UserId[] | undefined> {
    const known = this.#cache.get(room);
    if (known?.includes(user)) return known;
    const members = await this.#queries.membersFor(user, room, at);
    if (members) this.#cache.set(room, members);
    return members;
  }

  /** The members for whom the chat is active, as of `at`. The others do not know of it yet. */
  async activeFor(room: RoomId, at: readonly Moment[]): Promise<readonly UserId[]> {
    const known = this.#active.get(room);
    if (known) return known;
    const active = await this.#queries.activeFor(room, at);
    if (active.length === this.#cache.get(room)?.length) this.#active.set(room, active);
    return active;
  }
}

/** Users whose changed profiles wait to be pushed. More are not pushed: the push is not stored, and queries show it. */
const MAX_WAITING = 10_000;
/** How often the push of one profile is tried. */
const MAX_TRIES = 3;

type ProfileQueries = Pick<Queries, 'peers' | 'self'> & {
  readonly groups: Pick<Queries['groups'], 'memberships'>;
};

export interface ProfileChangesDeps {
  readonly queries: ProfileQueries;
  readonly profiles: Pick<Profiles, 'expire' | 'load'>;
  readonly live: {
    readonly hub: Pick<Hub, 'connectionsOf'>;
    readonly groups: Pick<GroupIndex, 'membersNow'>;
  };
  /** The node's present vector. */
  readonly vector: () => Vector;
  readonly logger: Logger;
}

/**
 * Pushes changed profiles to those who share a chat or a friendship with their users and are connected to this node.
 * One is pushed at a time, as it is then. So changes that follow each other closely may be pushed as one, and an older
 * profile never comes after a newer one.
 */
export class ProfileChanges {
  readonly #deps: ProfileChangesDeps;
  readonly #waiting = new Set<UserId>();
  #isPushing = false;
  #isStopped = false;

  constructor(deps: ProfileChangesDeps) {
    this.#deps = deps;
  }

  /** The event has changed the user's profile. */
  note(user: UserId, { partition, offset }: { readonly partition: number; readonly offset: number }): void {
    this.#deps.profiles.expire(user, { partition, size: offset + 1 });
    if (this.#isStopped || this.#waiting.size >= MAX_WAITING) return;
    this.#waiting.add(user);
    if (!this.#isPushing) void this.#pushAll();
  }

  stop(): void {
    this.#isStopped = true;
    this.#waiting.clear();
  }

  async #pushAll(): Promise<void> {
    this.#isPushing = true;
    for (const user of this.#waiting) {
      this.#waiting.delete(user);
      await this.#push(user);
    }
    this.#isPushing = false;
  }

  async #push(user: UserId): Promise<void> {
    const { logger } = this.#deps;
    for (let tries = 1; tries <= MAX_TRIES && !this.#isStopped; tries++)
      try {
        return await this.#pushNow(user);
      } catch (err) {
        logger.debug({ err, user, tries }, 'a changed profile could not be pushed');
      }
  }

  async #pushNow(user: UserId): Promise<void> {
    const { queries, profiles, live, vector } = this.#deps;
    const present: Moment[] = vector().map((size, partition) => ({ partition, size }));
    const others = await queries.peers(user, present);
    for (const { roomId, isMember } of await queries.groups.memberships(user, present))
      if (isMember) for (const member of live.groups.membersNow(roomId)) others.add(member);
    others.delete(user);
    const shown = (await profiles.load([user])).get(user);
    if (shown) this.#send(others, shown);
    if (live.hub.connectionsOf(user).length === 0) return;
    const self = await queries.self(user, present);
    if (self) this.#send([user], self);
  }

  #send(users: Iterable<UserId>, user: User): void {
    // An erasure is pushed by itself.
    if (user.erased || this.#isStopped) return;
    let text: string | undefined;
    for (const to of users)
      for (const connection of this.#deps.live.hub.connectionsOf(to))
        if (connection.session) {
          text ??= pushText(changeUserPush.name, JSON.stringify({ user }));
          connection.sendText(text);
        }
  }
}
