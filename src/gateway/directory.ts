import { LRUCache } from 'lru-cache';
import { ExpiringCache } from '../base/collections.js';
import type { Moment } from '../domain/commands.js';
import { type RoomId, streamOf, type UserId } from '../domain/ids.js';
import type { User } from '../domain/shapes.js';
import { partitionOf } from '../log/log.js';
import type { Queries } from '../projections/queries.js';

/** Opened names live for less than a minute in memory, so that an erased one is gone. */
const TTL_MS = 55_000;

/** People as clients are shown them, kept for a minute: what pushes and answers are joined with. */
export class Profiles {
  readonly #queries: Pick<Queries, 'users'>;
  readonly #cache = new ExpiringCache<User>({ ttlMs: TTL_MS, maxEntries: 20_000 });
  #forgotten = 0;

  constructor(queries: Pick<Queries, 'users'>) {
    this.#queries = queries;
  }

  /** What is at hand; undefined: load it first. */
  known(user: UserId): User | undefined {
    return this.#cache.get(user);
  }

  /** Brings them to hand; those that do not exist are left out. */
  async load(users: readonly UserId[]): Promise<Map<UserId, User>> {
    const missing = users.filter((user) => this.#cache.get(user) === undefined);
    const forgotten = this.#forgotten;
    const found = missing.length > 0 ? await this.#queries.users(missing, []) : new Map<UserId, User>();
    // What was read before somebody was forgotten may be of them.
    if (forgotten === this.#forgotten) for (const [id, user] of found) this.#cache.set(id, user);
    for (const id of users) {
      const user = this.#cache.get(id);
      if (user) found.set(id, user);
    }
    return found;
  }

  /** For one who has been erased. */
  forget(user: UserId): void {
    this.#forgotten++;
    this.#cache.delete(user);
  }

  close(): void {
    this.#cache.close();
  }
}

/** Who is in which room. Members never change, so what was found once holds. */
export class Rooms {
  readonly #queries: Pick<Queries, 'members' | 'activeFor'>;
  readonly #partitions: number;
  readonly #cache = new LRUCache<RoomId, readonly UserId[]>({ max: 50_000 });
  /** Only of rooms that are active for all: that stays so. */
  readonly #active = new LRUCache<RoomId, readonly UserId[]>({ max: 50_000 });

  constructor(queries: Pick<Queries, 'members' | 'activeFor'>, partitions: number) {
    this.#queries = queries;
    this.#partitions = partitions;
  }

  partitionOf(room: RoomId): number {
    return partitionOf(streamOf('room', room), this.#partitions);
  }

  /** Undefined: no such room, as of `at`. */
  async members(room: RoomId, at: readonly Moment[]): Promise<readonly UserId[] | undefined> {
    const known = this.#cache.get(room);
    if (known) return known;
    const members = await this.#queries.members(room, at);
    if (members) this.#cache.set(room, members);
    return members;
  }

  /** The members for whom the chat is active, as of `at`: the others do not know of it yet. */
  async activeFor(room: RoomId, at: readonly Moment[]): Promise<readonly UserId[]> {
    const known = this.#active.get(room);
    if (known) return known;
    const active = await this.#queries.activeFor(room, at);
    if (active.length === this.#cache.get(room)?.length) this.#active.set(room, active);
    return active;
  }
}
