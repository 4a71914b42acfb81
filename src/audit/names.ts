import { LRUCache } from 'lru-cache';
import type { UserId } from '../events/ids.js';
import { sealContext } from '../events/types.js';
import type { AnyModel } from '../projections/rows.js';
import type { UserRow } from '../projections/users/model.js';
import { open } from '../vault/cipher.js';
import type { KeyStore } from '../vault/vault.js';
import { activeModel } from './freshModels.js';
import type { StoredRows } from './storedRows.js';

/** As every memory of what can be erased. */
const KEPT_MS = 55_000;
const MOST_NAMES = 10_000;

/** What people are called, by the read model and the keys there are. */
export class Names {
  readonly #kept = new LRUCache<UserId, string>({ max: MOST_NAMES, ttl: KEPT_MS });

  private constructor(
    private readonly stored: StoredRows,
    private readonly keys: Pick<KeyStore, 'keys'>,
    private readonly users: AnyModel,
  ) {}

  static async open(stored: StoredRows, keys: Pick<KeyStore, 'keys'>): Promise<Names> {
    return new Names(stored, keys, await activeModel(stored, 'users'));
  }

  /** What each of these is called; who is erased, or not in the read model, has only an id. */
  async of(ids: readonly string[]): Promise<(id: string) => string> {
    const absent = [...new Set(ids)].filter((id) => !this.#kept.has(id));
    const found = new Map(absent.length > 0 ? await this.#load(absent) : []);
    for (const [id, name] of found) this.#kept.set(id, name);
    return (id) => found.get(id) ?? this.#kept.get(id) ?? id;
  }

  async #load(ids: readonly UserId[]): Promise<[UserId, string][]> {
    const rows = (await this.stored.get(this.users, ids)).flatMap(([, , , text]) =>
      // A row of `users` is a UserRow.
      text === null ? [] : [JSON.parse(text) as UserRow],
    );
    const keyOf = await this.keys.keys(rows.map(({ userId }) => userId));
    return rows.map(({ userId, username }) => {
      const key = keyOf.get(userId);
      const isErased = key === undefined || key === 'destroyed';
      return [userId, isErased ? `erased user ${userId}` : open(key, username, sealContext.username(userId))];
    });
  }
}
