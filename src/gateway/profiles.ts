import type { UserId } from '../events/ids.js';
import type { User } from '../events/schemas.js';
import type { Queries } from '../projections/queries.js';
import { Expiring } from '../vault/expiring.js';

/** Opened names live for less than a minute in memory, so that an erased one is gone. */
const TTL_MS = 55_000;

/** People as clients are shown them, kept for a minute: what pushes and answers are joined with. */
export class Profiles {
  readonly #queries: Pick<Queries, 'users'>;
  readonly #cache = new Expiring<User>({ ttlMs: TTL_MS, maxEntries: 20_000 });
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
