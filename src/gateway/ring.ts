import type { UserId } from '../events/ids.js';
import type { Vector } from './cursor.js';
import { Deque } from './deque.js';

/** A stored push as it went out, kept for those who come back soon. */
export interface RingEntry {
  readonly partition: number;
  readonly offset: number;
  readonly to: readonly UserId[];
  /** The WebSocket frame, with the live cursor of its moment. */
  readonly frame: Buffer;
  /** Of a read mark: whose mark in which room; a replay sends only the newest. */
  readonly mark?: string;
}

// What an entry costs beside its frame: the object, its place in the ring and with each user.
const OVERHEAD = 160;

/**
 * The recent stored pushes of a node, in the order of the fan-out, so that their cursors hold for a connection that
 * gets them all. Bounded by bytes; what falls out raises `floor`, below which only the read models know.
 */
export class Ring {
  readonly #limit: number;
  readonly #floor: number[];
  readonly #entries = new Deque<RingEntry>();
  readonly #byUser = new Map<UserId, Deque<RingEntry>>();
  #bytes = 0;

  /** `start`: the vector at which it begins to listen. */
  constructor(limitBytes: number, start: Vector) {
    this.#limit = limitBytes;
    this.#floor = [...start];
  }

  add(entry: RingEntry): void {
    this.#entries.push(entry);
    this.#bytes += entry.frame.length + OVERHEAD;
    for (const user of entry.to) {
      let list = this.#byUser.get(user);
      if (!list) {
        list = new Deque();
        this.#byUser.set(user, list);
      }
      list.push(entry);
    }
    while (this.#bytes > this.#limit) this.#evict();
  }

  /**
   * What the user has been pushed since, in order; of read marks only the newest. Undefined when it reaches
   * further back than the ring.
   */
  since(user: UserId, at: Vector): RingEntry[] | undefined {
    if (this.#floor.some((floor, partition) => (at[partition] ?? 0) < floor)) return undefined;
    const missed: RingEntry[] = [];
    for (const entry of this.#byUser.get(user) ?? [])
      if (entry.offset >= (at[entry.partition] ?? 0)) missed.push(entry);
    const newest = new Map<string, RingEntry>();
    for (const entry of missed) if (entry.mark !== undefined) newest.set(entry.mark, entry);
    return missed.filter((entry) => entry.mark === undefined || newest.get(entry.mark) === entry);
  }

  #evict(): void {
    const entry = this.#entries.shift();
    if (!entry) return;
    this.#bytes -= entry.frame.length + OVERHEAD;
    this.#floor[entry.partition] = entry.offset + 1;
    for (const user of entry.to) {
      const list = this.#byUser.get(user);
      list?.shift();
      if (list?.length === 0) this.#byUser.delete(user);
    }
  }
}
