import { LRUCache } from 'lru-cache';
import type { Moment } from '../commands/commands.js';
import { partitionOf, type RoomId, streamOf, type UserId } from '../events/ids.js';
import type { Queries } from '../projections/queries.js';

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
