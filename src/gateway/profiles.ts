import { LRUCache } from 'lru-cache';
import type { UserId } from '../events/ids.js';
import type { User } from '../events/schemas.js';
import type { Queries } from '../projections/queries.js';

/** Opened names live no longer than this in memory, so that an erased one is gone. */
const TTL_MS = 60_000;

/** People as clients are shown them, kept for a minute: what pushes and answers are joined with. */
export class Profiles {
  readonly #queries: Pick<Queries, 'users'>;
  readonly #cache = new LRUCache<UserId, User>({ max: 20_000, ttl: TTL_MS });

  constructor(queries: Pick<Queries, 'users'>) {
    this.#queries = queries;
  }

  /** What is at hand; undefined: load it first. */
  known(user: UserId): User | undefined {
    return this.#cache.get(user);
  }

  /** Brings them to hand; those that do not exist are left out. */
  async load(users: readonly UserId[]): Promise<Map<UserId, User>> {
    const missing = users.filter((user) => !this.#cache.has(user));
    const found = missing.length > 0 ? await this.#queries.users(missing, []) : new Map<UserId, User>();
    for (const [id, user] of found) this.#cache.set(id, user);
    for (const id of users) {
      const user = this.#cache.get(id);
      if (user) found.set(id, user);
    }
    return found;
  }
}
