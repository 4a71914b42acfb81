import { LRUCache } from 'lru-cache';
import type { Moment } from '../commands/commands.js';
import { partitionOf, type RoomId, streamOf, type UserId } from '../events/ids.js';
import type { Queries } from '../projections/queries.js';

/** Who is in which room. Members never change, so what was found once holds. */
export class Rooms {
  readonly #queries: Pick<Queries, 'members'>;
  readonly #partitions: number;
  readonly #cache = new LRUCache<RoomId, readonly UserId[]>({ max: 50_000 });

  constructor(queries: Pick<Queries, 'members'>, partitions: number) {
    this.#queries = queries;
    this.#partitions = partitions;
  }

  partitionOf(room: RoomId): number {
    return partitionOf(streamOf('room', room), this.#partitions);
  }

  /** Who is in it, if that has been asked before. */
  known(room: RoomId): readonly UserId[] | undefined {
    return this.#cache.get(room);
  }

  /** Undefined: no such room, as of `at`. */
  async members(room: RoomId, at: readonly Moment[]): Promise<readonly UserId[] | undefined> {
    const known = this.#cache.get(room);
    if (known) return known;
    const members = await this.#queries.members(room, at);
    if (members) this.#cache.set(room, members);
    return members;
  }
}
