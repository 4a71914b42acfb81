import { Deque } from '../base/collections.js';
import type { UserId } from '../domain/ids.js';
import type { Vector } from './cursor.js';

/** A stored push as it went out, kept for those who come back soon. */
export interface RingEntry {
  readonly partition: number;
  readonly offset: number;
  readonly to: readonly UserId[];
  /** Whose names or words the frame holds. */
  readonly shows: readonly UserId[];
  /** The WebSocket frame, with the live cursor of its moment. */
  readonly frame: Buffer;
  /** Of a read mark: whose mark in which room; a replay sends only the newest. */
  readonly mark?: string;
}

/** What an entry costs beside its frame: the object, its place in the ring and with each user. */
const OVERHEAD = 160;
/** Whoever has gone is still hosted for this long; of more than so many, the first to go are not. */
const LINGER_MS = 600_000;
const MOST_GONE = 50_000;

interface Hosted {
  /** By partition, what lies below is not kept: of before the user came, or of one who has been forgotten. */
  readonly since: number[];
  /** In the order of the ring. */
  readonly entries: Deque<RingEntry>;
}

/**
 * The recent stored pushes of a node to the users it hosts, in the order of the fan-out, so that their cursors hold
 * for a connection that gets them all. A user is hosted while connected here and for ten minutes more; of the others
 * nothing is kept. Bounded by bytes; what falls out raises `floor`, below which only the read models know.
 */
export class Ring {
  readonly #limit: number;
  readonly #floor: number[];
  readonly #entries = new Deque<RingEntry>();
  readonly #hosted = new Map<UserId, Hosted>();
  /** Those of them who are not connected, and when they went: the first to go first. */
  readonly #gone = new Map<UserId, number>();
  #bytes = 0;

  /** `start`: the vector at which it begins to listen. */
  constructor(limitBytes: number, start: Vector) {
    this.#limit = limitBytes;
    this.#floor = [...start];
  }

  hosts(user: UserId): boolean {
    return this.#hosted.has(user);
  }

  /** The user is connected: everything behind `vector`, which is the node's now, is kept for them from here on. */
  host(user: UserId, vector: Vector): void {
    this.#gone.delete(user);
    if (!this.#hosted.has(user)) this.#hosted.set(user, { since: [...vector], entries: new Deque() });
  }

  /** The last connection of the user has gone. */
  leave(user: UserId, now: number): void {
    this.#gone.set(user, now);
    if (this.#gone.size > MOST_GONE) this.forget(now);
  }

  /** Lets go of those who went too long ago, or of whom there are too many. */
  forget(now: number): void {
    for (const [user, at] of this.#gone) {
      if (now - at < LINGER_MS && this.#gone.size <= MOST_GONE) return;
      this.#gone.delete(user);
      this.#hosted.delete(user);
    }
  }

  /** Keeps it for those of its users who are hosted. */
  add(entry: RingEntry): void {
    let kept = false;
    for (const user of entry.to) {
      const hosted = this.#hosted.get(user);
      hosted?.entries.push(entry);
      kept ||= hosted !== undefined;
    }
    if (!kept) return;
    this.#entries.push(entry);
    this.#bytes += entry.frame.length + OVERHEAD;
    while (this.#bytes > this.#limit) this.#evict();
  }

  /**
   * What the user has been pushed since, in order; of read marks only the newest. Undefined when it reaches
   * further back than the ring, or than the user has been hosted.
   */
  since(user: UserId, at: Vector): RingEntry[] | undefined {
    const hosted = this.#hosted.get(user);
    if (!hosted || isBehind(at, hosted.since) || isBehind(at, this.#floor)) return undefined;
    const missed: RingEntry[] = [];
    for (const entry of hosted.entries) if (entry.offset >= (at[entry.partition] ?? 0)) missed.push(entry);
    const newest = new Map<string, RingEntry>();
    for (const entry of missed) if (entry.mark !== undefined) newest.set(entry.mark, entry);
    return missed.filter((entry) => entry.mark === undefined || newest.get(entry.mark) === entry);
  }

  /** Lets go of all that shows a user: who missed something of that is told of it from the read models. */
  forgetUser(user: UserId): void {
    const isOfUser = ({ shows }: RingEntry) => shows.includes(user);
    const gone = [...this.#entries].filter(isOfUser);
    if (gone.length === 0) return;
    this.#entries.removeWhere(isOfUser);
    const touched = new Set<Hosted>();
    for (const { partition, offset, to, frame } of gone) {
      this.#bytes -= frame.length + OVERHEAD;
      for (const hosted of to.flatMap((member) => this.#hosted.get(member) ?? [])) {
        hosted.since[partition] = Math.max(offset + 1, hosted.since[partition] ?? 0);
        touched.add(hosted);
      }
    }
    for (const { entries } of touched) entries.removeWhere(isOfUser);
  }

  #evict(): void {
    const entry = this.#entries.shift();
    if (!entry) return;
    this.#bytes -= entry.frame.length + OVERHEAD;
    this.#floor[entry.partition] = entry.offset + 1;
    for (const user of entry.to) {
      // Who was not hosted then has no such entry: who has, has it first.
      const entries = this.#hosted.get(user)?.entries;
      if (entries?.first === entry) entries.shift();
    }
  }
}

/** Whether it lacks something of what the bound has. */
export const isBehind = (at: Vector, bound: Vector): boolean =>
  bound.some((size, partition) => (at[partition] ?? 0) < size);
