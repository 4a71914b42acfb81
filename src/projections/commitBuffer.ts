import type { CommitFrame } from '../cluster/bus.js';
import { decodeLeaf } from '../domain/codec.js';
import type { Time } from '../domain/fields.js';
import { type Commit, type Hash, HoleError } from '../log/log.js';
import { follow, type TailReader } from '../log/logReader.js';
import { TILE_WIDTH } from '../log/merkle.js';
import type { Folded } from './projection.js';

/** The log as projections read it. */
export interface CommitSource {
  /** Like `EventLog.read`. */
  read(partition: number, after: number, limit: number): Promise<Commit[]>;
}

/** The fields of a commit that a projector needs. */
export interface LeafCommit extends Omit<Commit, 'id' | 'epoch' | 'root' | 'frontier' | 'hash'> {
  /** Hashes as in `HashedCommit`, if they are computed already. */
  readonly leafHashes?: readonly Hash[];
  readonly filled?: readonly Hash[];
}

/** A commit with its events decoded. */
export interface DecodedCommit extends Pick<CommitFrame, 'partition' | 'position' | 'size'> {
  readonly events: readonly Folded[];
}

/** Decodes the events of a commit. Throws `UnknownEventType`. */
export function decodeCommit(commit: LeafCommit): DecodedCommit {
  const { partition, position, firstOffset, size, leaves, leafHashes, filled } = commit;
  const firstTile = Math.floor(firstOffset / TILE_WIDTH);
  const events = leaves.map((leaf, i) => {
    const end = firstOffset + i + 1;
    const tileHash = end % TILE_WIDTH === 0 ? filled?.[end / TILE_WIDTH - 1 - firstTile] : undefined;
    // The event is new and has no other owner, so it is extended instead of copied.
    const event = decodeLeaf(leaf, partition, end - 1);
    return Object.assign(event, { leaf, leafHash: leafHashes?.[i], tileHash, position });
  });
  return { partition, position, size, events };
}

/** Reads like `CommitSource.read`, once more after a `HoleError`: a concurrent append can look like a hole. */
export async function readRetryingHole(
  log: CommitSource,
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

/** Times that are kept for each partition. Later commits count as old as the last one kept. */
const MAX_TIMES = 1024;

/** The tree size that a commit reaches, and the time it was recorded. */
export interface CommitExtent {
  readonly partition: number;
  /** The tree size after the commit. */
  readonly size: number;
  readonly recordedAt: Time;
}

interface Entry {
  size: number;
  /** Milliseconds since 1970, by the clock of the process that recorded it. */
  recordedAt: number;
  /** Milliseconds on the monotonic clock of this process. */
  readonly seenAt: number;
}

/** The published commits that some read model has not folded yet. */
export class UnfoldedCommits {
  /** By partition, oldest first. A list is never empty. */
  readonly #entries = new Map<number, Entry[]>();

  add({ partition, size, recordedAt }: CommitExtent, ticks: number) {
    const entries = this.#entries.get(partition) ?? [];
    const last = entries.at(-1);
    if (last && entries.length >= MAX_TIMES) last.size = Math.max(last.size, size);
    else entries.push({ size, recordedAt: Date.parse(recordedAt), seenAt: ticks });
    this.#entries.set(partition, entries);
  }

  /** Removes commits that every model has folded. */
  remove(partition: number, size: number): void {
    const entries = this.#entries.get(partition);
    while (entries?.[0] && entries[0].size <= size) entries.shift();
    if (entries?.length === 0) this.#entries.delete(partition);
  }

  /** Restarts the age of a partition's commits, so that its new owner is not blamed for the old lag. */
  rebase(partition: number, now: number): void {
    for (const entry of this.#entries.get(partition) ?? []) entry.recordedAt = now;
  }

  get partitions(): readonly number[] {
    return [...this.#entries.keys()];
  }

  /** When the oldest commit was recorded; undefined if there is none. */
  recordedAt(partition: number): number | undefined {
    return this.#entries.get(partition)?.[0]?.recordedAt;
  }

  /** When this process learned of the oldest commit; undefined if there is none. */
  seenAt(partition: number): number | undefined {
    return this.#entries.get(partition)?.[0]?.seenAt;
  }

  /** The largest published size; 0 if there is none. */
  size(partition: number): number {
    return Math.max(0, ...(this.#entries.get(partition) ?? []).map(({ size }) => size));
  }
}

/** Characters of leaves that may wait. A reader that finds the buffer full stops, and reads the log later. */
const MAX_BUFFERED_CHARS = 4 * 1024 * 1024;

interface CommitBufferOptions {
  readonly log: CommitSource;
  /** A commit waits to be taken, or a reader has failed. */
  onArrival(): void;
  /** The log could not be read; the reader tries again. */
  onRetry(error: unknown): void;
}

/** The commits that the reader of one partition has delivered. */
interface Arrivals {
  waiting: DecodedCommit[];
  /** When the last commit read from the log was recorded; undefined once the end of the log was seen. */
  behind: Time | undefined;
}

/**
 * Holds decoded commits of several partitions until they are taken. They come from notifications and from the
 * log, without a gap.
 */
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

  /** The partitions that are being read. */
  get partitions(): readonly number[] {
    return [...this.#readers.keys()];
  }

  /** Allows `startReading`. */
  start(): void {
    this.#failure = undefined;
    this.#isRunning = true;
  }

  /** Starts to read a partition behind this position. It must not be read already. */
  startReading(partition: number, after: number): void {
    const arrivals: Arrivals = { waiting: [], behind: undefined };
    const reader = follow<LeafCommit>(
      {
        partition,
        after,
        read: (position, limit) => this.#read(arrivals, partition, position, limit),
      },
      {
        handle: (commit) => this.#push(arrivals, commit),
        onStop: (error) => this.#fail(error),
        onReadError: this.#options.onRetry,
      },
    );
    this.#readers.set(partition, { reader, arrivals });
  }

  /** Stops to read a partition, and drops its waiting commits. */
  async stopReading(partition: number): Promise<void> {
    const entry = this.#readers.get(partition);
    this.#readers.delete(partition);
    const stopped = entry?.reader.stop();
    // The reader may be waiting for space.
    this.#makeSpace();
    await stopped;
  }

  /** Delivers a durable commit. Commits that were skipped are read from the log. */
  notify(commit: LeafCommit): void {
    this.#readers.get(commit.partition)?.reader.notify(commit);
  }

  /**
   * Returns the waiting commits, a list for each partition, in order. Throws the error that stopped a reader.
   */
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

  /**
   * Recording time of the oldest commit that was read last from the log; undefined when all reads have
   * reached the end.
   */
  behindSince(): Time | undefined {
    let oldest: Time | undefined;
    for (const { arrivals } of this.#readers.values()) {
      const { behind } = arrivals;
      if (behind !== undefined && (oldest === undefined || behind < oldest)) oldest = behind;
    }
    return oldest;
  }

  /** Stops all readers, and drops the waiting commits. */
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
