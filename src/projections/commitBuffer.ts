import type { CommitFrame } from '../cluster/bus.js';
import { decodeLeaf } from '../domain/codec.js';
import type { Time } from '../domain/events.js';
import { type Commit, type Hash, HoleError } from '../log/log.js';
import { follow, type TailReader } from '../log/logReader.js';
import { TILE_WIDTH } from '../log/merkle.js';
import type { Folded } from './projection.js';

/** What projections are folded from. */
export interface LogSource {
  /** As `EventLog.read`. */
  read(partition: number, after: number, limit: number): Promise<Commit[]>;
}

/** What a projector needs of a commit. */
export interface LeafCommit extends Omit<Commit, 'id' | 'epoch' | 'root' | 'frontier' | 'hash'> {
  /** As in `HashedCommit`, if they have been computed already. */
  readonly leafHashes?: readonly Hash[];
  readonly filled?: readonly Hash[];
}

/** A commit with its events decoded. */
export interface DecodedCommit extends Pick<CommitFrame, 'partition' | 'position' | 'size'> {
  readonly events: readonly Folded[];
}

/** Throws `UnknownEventType`. */
export function decodeCommit(commit: LeafCommit): DecodedCommit {
  const { partition, position, firstOffset, size, leaves, leafHashes, filled } = commit;
  const firstTile = Math.floor(firstOffset / TILE_WIDTH);
  const events = leaves.map((leaf, i) => {
    const end = firstOffset + i + 1;
    const tileHash = end % TILE_WIDTH === 0 ? filled?.[end / TILE_WIDTH - 1 - firstTile] : undefined;
    // The event was made just now and is nobody else's: added to, not copied.
    const event = decodeLeaf(leaf, partition, end - 1);
    return Object.assign(event, { leaf, leafHash: leafHashes?.[i], tileHash, position });
  });
  return { partition, position, size, events };
}

/** As `LogSource.read`; a hole that is still there when read again is one. */
export async function readRetryingHole(
  log: LogSource,
  partition: number,
  after: number,
  limit: number,
): Promise<Commit[]> {
  try {
    return await log.read(partition, after, limit);
  } catch (error) {
    if (!(error instanceof HoleError)) throw error;
    return log.read(partition, after, limit);
  }
}

/** Commits a partition whose times are kept apart; beyond, they count as old as the last one kept. */
const MAX_TIMES = 1024;

/** How far a commit takes its partition, and when it was recorded. */
export interface CommitExtent {
  readonly partition: number;
  /** The tree size after it. */
  readonly size: number;
  readonly recordedAt: Time;
}

interface Entry {
  size: number;
  /** Milliseconds since 1970, on the clock of the process that recorded it. */
  recordedAt: number;
  /** On the monotonic clock of this process. */
  readonly seenAt: number;
}

/** The commits that this process was told of and that are not in every read model yet. */
export class UnfoldedCommits {
  /** Oldest first, by partition; never an empty list. */
  readonly #entries = new Map<number, Entry[]>();

  add({ partition, size, recordedAt }: CommitExtent, ticks: number) {
    const entries = this.#entries.get(partition) ?? [];
    const last = entries.at(-1);
    if (last && entries.length >= MAX_TIMES) last.size = Math.max(last.size, size);
    else entries.push({ size, recordedAt: Date.parse(recordedAt), seenAt: ticks });
    this.#entries.set(partition, entries);
  }

  /** All below `size` is in every model. */
  remove(partition: number, size: number): void {
    const entries = this.#entries.get(partition);
    while (entries?.[0] && entries[0].size <= size) entries.shift();
    if (entries?.length === 0) this.#entries.delete(partition);
  }

  /** Whoever folds the partition from now on is not to blame for what lay there before. */
  rebase(partition: number, now: number): void {
    for (const entry of this.#entries.get(partition) ?? []) entry.recordedAt = now;
  }

  get partitions(): readonly number[] {
    return [...this.#entries.keys()];
  }

  /** When the oldest one was recorded; undefined if there is none. */
  recordedAt(partition: number): number | undefined {
    return this.#entries.get(partition)?.[0]?.recordedAt;
  }

  /** When this process was told of the oldest one; undefined if there is none. */
  seenAt(partition: number): number | undefined {
    return this.#entries.get(partition)?.[0]?.seenAt;
  }

  /** The largest size told of; 0 if there is none. */
  size(partition: number): number {
    return Math.max(0, ...(this.#entries.get(partition) ?? []).map(({ size }) => size));
  }
}

/** What waits to be taken, in characters of leaves; a reader that finds it full waits, and reads the log later. */
const MAX_BUFFERED_CHARS = 4 * 1024 * 1024;

interface CommitBufferOptions {
  readonly log: LogSource;
  /** There is something to take, or a reader has stopped. */
  onArrival(): void;
  /** The log could not be read; it will be tried again. */
  onRetry(error: unknown): void;
}

/** What a partition's reader has come to. */
interface Arrivals {
  waiting: DecodedCommit[];
  /** When the last commit read from the log was recorded, where the end of the log has not been seen. */
  behind: Time | undefined;
}

/** Commits of several partitions, from the doorbell and from the log, decoded and without gap, until they are taken. */
export class CommitBuffer {
  readonly #options: CommitBufferOptions;
  readonly #readers = new Map<
    number,
    { readonly reader: TailReader<LeafCommit>; readonly arrivals: Arrivals }
  >();
  #size = 0;
  #hasSpace: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isRunning = false;

  constructor(options: CommitBufferOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Those that are read now. */
  get partitions(): readonly number[] {
    return [...this.#readers.keys()];
  }

  /** From now on partitions may be entered. */
  start(): void {
    this.#failure = undefined;
    this.#isRunning = true;
  }

  /** Begins to read a partition, which is not being read, behind this position. */
  startReading(partition: number, after: number): void {
    const arrivals: Arrivals = { waiting: [], behind: undefined };
    const reader = follow<LeafCommit>({
      partition,
      after,
      read: (position, limit) => this.#read(arrivals, partition, position, limit),
      handle: (commit) => this.#push(arrivals, commit),
      onStop: (error) => this.#fail(error),
      onReadError: this.#options.onRetry,
    });
    this.#readers.set(partition, { reader, arrivals });
  }

  /** Reads a partition no more, and lets go of what was not taken of it. */
  async stopReading(partition: number): Promise<void> {
    const entry = this.#readers.get(partition);
    this.#readers.delete(partition);
    const stopped = entry?.reader.stop();
    // Its reader may be waiting for space.
    this.#makeSpace();
    await stopped;
  }

  /** The doorbell: a durable commit. What it skips is read from the log. */
  notify(commit: LeafCommit): void {
    this.#readers.get(commit.partition)?.reader.notify(commit);
  }

  /** What has arrived, by partition, in order. Throws what stopped a reader. */
  take(): DecodedCommit[][] {
    if (this.#failure) throw this.#failure.error;
    const taken: DecodedCommit[][] = [];
    for (const { arrivals } of this.#readers.values()) {
      if (arrivals.waiting.length > 0) taken.push(arrivals.waiting);
      arrivals.waiting = [];
    }
    this.#makeSpace();
    return taken;
  }

  /** Since when commits wait in the log that this has yet to come to; undefined at the end of the log. */
  behindSince(): Time | undefined {
    let oldest: Time | undefined;
    for (const { arrivals } of this.#readers.values()) {
      const { behind } = arrivals;
      if (behind !== undefined && (oldest === undefined || behind < oldest)) oldest = behind;
    }
    return oldest;
  }

  /** Reads nothing more, and lets go of what was not taken. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.partitions.map((partition) => this.stopReading(partition)));
  }

  async #read(
    arrivals: Arrivals,
    partition: number,
    after: number,
    limit: number,
  ): Promise<readonly LeafCommit[]> {
    const page = await this.#options.log.read(partition, after, limit);
    const wasBehind = arrivals.behind !== undefined;
    arrivals.behind = page.at(-1)?.recordedAt;
    if (wasBehind && page.length === 0) this.#options.onArrival();
    return page;
  }

  #push(arrivals: Arrivals, commit: LeafCommit): void | Promise<void> {
    arrivals.waiting.push(decodeCommit(commit));
    for (const leaf of commit.leaves) this.#size += leaf.length;
    this.#options.onArrival();
    if (this.#size < MAX_BUFFERED_CHARS) return;
    this.#hasSpace ??= withResolver();
    return this.#hasSpace.promise;
  }

  #makeSpace(): void {
    this.#size = 0;
    this.#hasSpace?.resolve();
    this.#hasSpace = undefined;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#options.onArrival();
  }
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
