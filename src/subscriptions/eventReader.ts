import { type CommitFrame, commitFrame } from '../cluster/bus.js';
import { deliveredTypes, type Recorded } from '../domain/events.js';
import { findLastCommit } from '../log/checkLog.js';
import type { EventLog } from '../log/log.js';
import type { Selection } from '../vault/subscriptionStore.js';

/** Commits of one read of the log, and the most text of them that is kept. */
const PAGE_COMMITS = 16;
const PAGE_CHARACTERS = 256 * 1024;
/** Commits that one call looks at. It bounds the work of a selection that matches little. */
const MOST_COMMITS = 512;

export type ReadableLog = Pick<EventLog, 'partitions' | 'history'> &
  Pick<EventLog, 'read' | 'places' | 'tail'>;

const delivered: ReadonlySet<string> = new Set(deliveredTypes);

/** Makes the test whether an event goes to a receiver. */
export function selects({ types, rooms }: Selection): (event: Recorded) => boolean {
  const wantedTypes: ReadonlySet<string> = types === undefined ? delivered : new Set(types);
  const wantedStreams = rooms && new Set<string>(rooms.map((room) => `room:${room}`));
  return ({ type, stream }) =>
    wantedTypes.has(type) && (wantedStreams === undefined || wantedStreams.has(stream));
}

/** The limits of one read: events, and characters of what the log holds of them. There is at least one event. */
export interface ReadLimits {
  readonly events: number;
  readonly characters: number;
  /** Only events below this offset. */
  readonly upTo?: number;
}

/** The events of a read, and the characters that the log holds of them. */
export interface ReadEvents {
  readonly events: readonly Recorded[];
  readonly characters: number;
  /** The log has no more, as far as is known. */
  readonly isAtEnd: boolean;
}

/** Reads the selected events of one partition in order, from any place on. Keeps at most one small page in memory. */
export class EventReader {
  readonly #log: ReadableLog;
  readonly #partition: number;
  /** The position of the last commit that was read to its end; undefined until it is looked for. */
  #position: number | undefined;
  /** The commits behind it that were read already. */
  #page: CommitFrame[] = [];
  #size: number;
  /** The highest position that the log is known to have. */
  #tail = 0;
  #isReading = false;

  constructor(log: ReadableLog, partition: number, size: number) {
    this.#log = log;
    this.#partition = partition;
    this.#size = size;
  }

  /** Every event at an offset below it was given or is not selected. */
  get size(): number {
    return this.#size;
  }

  /** Goes on from this offset. */
  seek(size: number): void {
    this.#size = size;
    this.#position = undefined;
    this.#page = [];
  }

  /** The log has at least this position. */
  noteTail(position: number): void {
    if (position > this.#tail) this.#tail = position;
  }

  /** A commit of the bus: kept if it comes next and nothing else is kept, so that it needs no read. */
  offer(frame: CommitFrame): void {
    this.noteTail(frame.position);
    if (this.#isReading || this.#page.length > 0 || this.#position !== frame.position - 1) return;
    this.#page = [frame];
  }

  /** The next events. */
  async read(isSelected: (event: Recorded) => boolean, limits: ReadLimits): Promise<ReadEvents> {
    this.#isReading = true;
    try {
      this.#position ??= await this.#findPosition();
      const found = new Found(isSelected, limits);
      for (let visited = 0; visited < MOST_COMMITS; visited++) {
        const commit = await this.#nextCommit();
        if (!commit) return found.end(true);
        if (!this.#take(commit, found)) return found.end(false);
      }
      return found.end(false);
    } finally {
      this.#isReading = false;
    }
  }

  async #findPosition(): Promise<number> {
    const upTo = (await this.#log.tail(this.#partition))?.position ?? 0;
    this.noteTail(upTo);
    if (this.#size === 0) return 0;
    const range = { partition: this.#partition, after: 0, upTo };
    return findLastCommit(this.#log, range, ({ size }) => size <= this.#size);
  }

  async #nextCommit(): Promise<CommitFrame | undefined> {
    const position = this.#position ?? 0;
    if (this.#page.length === 0 && position < this.#tail) {
      const commits = await this.#log.read(this.#partition, position, PAGE_COMMITS);
      let characters = 0;
      const kept = commits.findIndex(({ leaves }) => {
        characters += leaves.reduce((sum, leaf) => sum + leaf.length, 0);
        return characters >= PAGE_CHARACTERS;
      });
      this.#page = commits
        .slice(0, kept < 0 ? commits.length : kept + 1)
        .map((commit) => commitFrame(commit));
    }
    return this.#page[0];
  }

  /** Takes the events of a commit. Returns false if the limits end before or in it. */
  #take({ events, leaves, firstOffset, position, size }: CommitFrame, found: Found): boolean {
    for (let i = Math.max(0, this.#size - firstOffset); i < leaves.length; i++) {
      const [event, leaf = ''] = [events[i], leaves[i]];
      if (event === undefined || !found.add(event, leaf.length)) return false;
      this.#size = firstOffset + i + 1;
    }
    this.#size = Math.max(this.#size, size);
    this.#position = position;
    this.#page.shift();
    return !found.isFull;
  }
}

/** The events that a read has found. */
class Found {
  readonly #events: Recorded[] = [];
  #characters = 0;

  constructor(
    private readonly isSelected: (event: Recorded) => boolean,
    private readonly limits: ReadLimits,
  ) {}

  get isFull(): boolean {
    const { events, characters } = this.limits;
    return this.#events.length >= events || this.#characters >= characters;
  }

  end(isAtEnd: boolean): ReadEvents {
    return { events: this.#events, characters: this.#characters, isAtEnd };
  }

  /** Returns false if the event is behind the limits. */
  add(event: Recorded, characters: number): boolean {
    if (this.isFull || event.offset >= (this.limits.upTo ?? Number.POSITIVE_INFINITY)) return false;
    if (!this.isSelected(event)) return true;
    if (this.#events.length > 0 && this.#characters + characters > this.limits.characters) return false;
    this.#events.push(event);
    this.#characters += characters;
    return true;
  }
}
