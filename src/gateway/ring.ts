import { Deque } from '../base/collections.js';
import type { UserId } from '../domain/ids.js';
import type { Vector } from './cursor.js';

/** A stored push as it went out, kept for clients that come back soon. */
export interface RingEntry {
  readonly partition: number;
  readonly offset: number;
  readonly to: readonly UserId[];
  /** The users whose names or words the frame holds. */
  readonly shows: readonly UserId[];
  /** The WebSocket frame, with the live cursor of its moment. */
  readonly frame: Buffer;
  /** The message that the frame shows, by `messageTerm`. */
  readonly message?: string | undefined;
  /** Only of a read mark: its room and user. A replay sends only the newest of each. */
  readonly mark?: string | undefined;
  /** Set by the ring: 1, 2, 3 … in the order of the fan-out. */
  place?: number;
}

type KeptEntry = RingEntry & { readonly place: number };

/** Bytes of an entry besides its frame: the object, and its places in the ring and in the lists of users. */
const ENTRY_BYTES = 160;
/** Pushes are kept for a disconnected user for this time. */
const GONE_USERS_KEPT_MS = 600_000;
/** The limit of disconnected users. Beyond it, the first to leave are forgotten first. */
const MAX_GONE_USERS = 50_000;

interface Hosted {
  /** By partition: pushes below it are not kept. They are from before the user came, or showed an erased user. */
  readonly since: number[];
  /** In the order of the ring. Made by the first entry, because most users have none. */
  entries: Deque<KeptEntry> | undefined;
  /** By mark, the place of the newest entry. Made by the first mark. */
  newest: Map<string, number> | undefined;
}

/** A part of what a user has missed, and whether there is nothing behind it. */
export interface RingSlice {
  readonly entries: readonly KeptEntry[];
  readonly isLast: boolean;
}

/**
 * Keeps the recent stored pushes of a node to its hosted users. A user is hosted while connected here and for 10 min
 * more. The order is that of the fan-out, so that a connection that gets all of them can resume from each cursor. The
 * ring is bounded by bytes: older pushes are dropped, and must be read from the read models.
 */
export class Ring {
  readonly #maxBytes: number;
  /** By partition: pushes below it are kept for no user. */
  readonly #floor: number[];
  readonly #entries = new Deque<KeptEntry>();
  readonly #hosted = new Map<UserId, Hosted>();
  /** Hosted users who are not connected, and when they left, in the order of leaving. */
  readonly #gone = new Map<UserId, number>();
  #bytes = 0;
  #lastPlace = 0;

  /** `start`: the vector at which the fan-out begins. */
  constructor(maxBytes: number, start: Vector) {
    this.#maxBytes = maxBytes;
    this.#floor = [...start];
  }

  hosts(user: UserId): boolean {
    return this.#hosted.has(user);
  }

  /** Keeps pushes for the user, who has connected, from now on. `vector`: the node's present one. */
  host(user: UserId, vector: Vector): void {
    this.#gone.delete(user);
    if (this.#hosted.has(user)) return;
    this.#hosted.set(user, { since: [...vector], entries: undefined, newest: undefined });
  }

  /** The last connection of the user has gone. */
  leave(user: UserId, now: number): void {
    this.#gone.set(user, now);
    if (this.#gone.size > MAX_GONE_USERS) this.forget(now);
  }

  /** Forgets users who left too long ago, and the first to leave beyond the limit. */
  forget(now: number): void {
    for (const [user, at] of this.#gone) {
      if (now - at < GONE_USERS_KEPT_MS && this.#gone.size <= MAX_GONE_USERS) return;
      this.#gone.delete(user);
      this.#hosted.delete(user);
    }
  }

  /** Keeps the push for those of its users who are hosted, and gives it its place. */
  add(entry: RingEntry): void {
    entry.place = this.#lastPlace + 1;
    const kept = entry as KeptEntry; // It has its place now.
    let isKept = false;
    for (const user of entry.to) {
      const hosted = this.#hosted.get(user);
      if (!hosted) continue;
      isKept = true;
      hosted.entries ??= new Deque();
      hosted.entries.push(kept);
      if (entry.mark === undefined) continue;
      hosted.newest ??= new Map();
      hosted.newest.set(entry.mark, kept.place);
    }
    if (!isKept) return;
    this.#lastPlace = kept.place;
    this.#entries.push(kept);
    this.#bytes += entry.frame.length + ENTRY_BYTES;
    while (this.#bytes > this.#maxBytes) this.#evict();
  }

  /**
   * The next pushes to the user since the vector: at most `maxBytes` of frames, or one that is larger. `behind` is the
   * place of the last entry of the slice before, 0 at first; the vector is then that entry's. Of read marks only the
   * newest are given. Undefined when the vector is older than the ring, or than the time from which the user is hosted.
   */
  since(user: UserId, at: Vector, behind: number, maxBytes: number): RingSlice | undefined {
    const hosted = this.#hosted.get(user);
    if (!hosted || isBehind(at, hosted.since) || isBehind(at, this.#floor)) return undefined;
    const slice: KeptEntry[] = [];
    let bytes = 0;
    for (let i = indexBehind(hosted.entries, behind); ; i++) {
      const entry = hosted.entries?.at(i);
      if (!entry) return { entries: slice, isLast: true };
      if (entry.offset < (at[entry.partition] ?? 0)) continue;
      if (entry.mark !== undefined && hosted.newest?.get(entry.mark) !== entry.place) continue;
      bytes += entry.frame.length;
      if (bytes > maxBytes && slice.length > 0) return { entries: slice, isLast: false };
      slice.push(entry);
    }
  }

  /** Drops all pushes that show an erased user. Clients that missed one of them read it from the read models. */
  forgetUser(user: UserId): void {
    this.#forgetWhere(({ shows }) => shows.includes(user));
  }

  /** Drops all pushes that show a deleted message, by its `messageTerm`, as `forgetUser` does. */
  forgetMessage(message: string): void {
    this.#forgetWhere((entry) => entry.message === message);
  }

  #forgetWhere(isGone: (entry: KeptEntry) => boolean): void {
    const gone = [...this.#entries].filter(isGone);
    if (gone.length === 0) return;
    this.#entries.removeWhere(isGone);
    const touched = new Set<Hosted>();
    for (const entry of gone) {
      const { partition, offset, to, frame } = entry;
      this.#bytes -= frame.length + ENTRY_BYTES;
      for (const hosted of to.flatMap((member) => this.#hosted.get(member) ?? [])) {
        hosted.since[partition] = Math.max(offset + 1, hosted.since[partition] ?? 0);
        forgetMark(hosted, entry);
        touched.add(hosted);
      }
    }
    for (const { entries } of touched) entries?.removeWhere(isGone);
  }

  #evict(): void {
    const entry = this.#entries.shift();
    if (!entry) return;
    this.#bytes -= entry.frame.length + ENTRY_BYTES;
    this.#floor[entry.partition] = entry.offset + 1;
    for (const user of entry.to) {
      // The user may not have been hosted then. If they have the entry, it is their first.
      const hosted = this.#hosted.get(user);
      if (hosted?.entries?.first !== entry) continue;
      hosted.entries.shift();
      if (hosted.entries.length === 0) hosted.entries = undefined;
      forgetMark(hosted, entry);
    }
  }
}

/** The index of the first entry whose place is above `place`. */
function indexBehind(entries: Deque<KeptEntry> | undefined, place: number): number {
  if (!entries) return 0;
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries.at(middle)?.place ?? 0) > place) high = middle;
    else low = middle + 1;
  }
  return low;
}

function forgetMark({ newest }: Hosted, { mark, place }: KeptEntry): void {
  if (mark !== undefined && newest?.get(mark) === place) newest.delete(mark);
}

/** Whether the vector lacks something that the bound has. */
export const isBehind = (at: Vector, bound: Vector): boolean =>
  bound.some((size, partition) => (at[partition] ?? 0) < size);
