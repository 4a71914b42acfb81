import { type Clock, systemClock } from '../base/clock.js';
import { overloaded } from '../base/errors.js';
import type { Moment } from '../domain/commands.js';
import type { Time } from '../domain/fields.js';
import type { Advance } from './projector.js';

/** The progress of the read models: one size a partition, which all of them have folded. */
export interface Progress {
  /**
   * Resolves when the read models have folded the moment, and asks the projector to write. Rejects with
   * `overloaded` after 5 s.
   */
  waitFor(moment: Moment): Promise<void>;
  /** The age of the oldest unfolded commit in milliseconds; 0 when all are folded. */
  lagMs(): number;
  /** The tree size of the partition that is folded. A later read includes every offset below. */
  folded(partition: number): number;
  /** Calls the handler whenever a partition has advanced; returns a function that removes it. */
  onAdvance(handler: (partition: number, size: number) => void): () => void;
}

/** How long a query waits for the read models, and how many waits there may be. */
const QUERY_WAIT_MS = 5000;
const MAX_WAITS = 10_000;

interface Wait {
  readonly moment: Moment;
  readonly since: number;
  readonly resolve: () => void;
}

/** The queries that wait until a moment is folded. */
class WaitingList {
  /** Added by `add` only. */
  readonly waits = new Set<Wait>();
  readonly #clock: Pick<Clock, 'now' | 'setTimer'>;

  constructor(clock: Pick<Clock, 'now' | 'setTimer'>) {
    this.#clock = clock;
  }

  /**
   * Resolves when `release` reaches the moment. Rejects with `overloaded` after 5 s, or when too many queries
   * wait.
   */
  async add(moment: Moment): Promise<void> {
    if (this.waits.size >= MAX_WAITS)
      throw overloaded('too many queries wait for the read models; try again later');
    await new Promise<void>((resolve, reject) => {
      const cancel = this.#clock.setTimer(() => {
        this.waits.delete(wait);
        reject(overloaded('the read models are behind; try again later'));
      }, QUERY_WAIT_MS);
      const wait: Wait = {
        moment,
        since: this.#clock.now(),
        resolve: () => {
          cancel();
          this.waits.delete(wait);
          resolve();
        },
      };
      this.waits.add(wait);
    });
  }

  /** Resolves the waits for moments up to `size` of the partition. */
  release(partition: number, size: number): void {
    for (const { moment, resolve } of this.waits)
      if (moment.partition === partition && moment.size <= size) resolve();
  }

  /** The partitions that queries wait for, each with the start of its oldest wait. */
  partitions(): ReadonlyMap<number, number> {
    const partitions = new Map<number, number>();
    for (const { moment, since } of this.waits)
      partitions.set(moment.partition, Math.min(since, partitions.get(moment.partition) ?? since));
    return partitions;
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
  /** By the clock of the process that recorded it. */
  recordedAt: Time;
  /** Milliseconds on the monotonic clock of this process. */
  readonly seenAt: number;
}

/** The published commits that some read model has not folded yet. */
class UnfoldedCommits {
  /** By partition, oldest first. A list is never empty. */
  readonly #entries = new Map<number, Entry[]>();

  add({ partition, size, recordedAt }: CommitExtent, ticks: number) {
    const entries = this.#entries.get(partition) ?? [];
    const last = entries.at(-1);
    if (last && entries.length >= MAX_TIMES) last.size = Math.max(last.size, size);
    else entries.push({ size, recordedAt, seenAt: ticks });
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
    const time = new Date(now).toISOString();
    for (const entry of this.#entries.get(partition) ?? []) entry.recordedAt = time;
  }

  get partitions(): readonly number[] {
    return [...this.#entries.keys()];
  }

  /** When the oldest commit was recorded, in milliseconds since 1970; undefined if there is none. */
  recordedAt(partition: number): number | undefined {
    const oldest = this.#entries.get(partition)?.[0];
    return oldest && Date.parse(oldest.recordedAt);
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

/** The clock that lags and waits are measured by. */
export interface TrackerClock extends Pick<Clock, 'now' | 'setTimer'> {
  /** Milliseconds since 1970. */
  readonly unixNow: () => number;
}

interface ProgressTrackerOptions {
  /** Tree sizes that are folded at the start, by partition. */
  readonly folded: readonly number[];
  /** Whether this process folds the partition; by default it folds all. */
  readonly owns?: (partition: number) => boolean;
  /** Asks the owner of the partition to write everything below `size` without delay. */
  readonly requestWrite: (partition: number, size: number) => void;
  /**
   * Called for a partition that another process folds: a query begins to wait, or a commit is not folded yet.
   */
  readonly onRemoteLag?: (why: 'waited' | 'behind') => void;
  readonly clock?: TrackerClock;
}

type AdvanceHandler = Parameters<Progress['onAdvance']>[0];

/**
 * Tracks how far the read models are, and the queries that wait for them. Reports of progress may be
 * repeated, late or lost, because the largest size counts. For partitions that other processes fold,
 * `awaitedElsewhere` and `laggingElsewhere` name those whose checkpoints should be read.
 */
export class ProgressTracker implements Progress {
  readonly #options: ProgressTrackerOptions;
  readonly #clock: TrackerClock;
  readonly #folded: number[];
  readonly #waits: WaitingList;
  readonly #handlers = new Set<AdvanceHandler>();
  /** The largest size asked for, by partition. */
  readonly #asked = new Map<number, number>();
  readonly #unfolded = new UnfoldedCommits();
  /** The recording time of the oldest commit in the log that the projector has not folded. */
  behindSince: Time | undefined;

  constructor(options: ProgressTrackerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? { ...systemClock, unixNow: Date.now };
    this.#waits = new WaitingList(this.#clock);
    this.#folded = [...options.folded];
  }

  async waitFor(moment: Moment): Promise<void> {
    const { partition, size } = moment;
    if (this.folded(partition) >= size) return;
    const waiting = this.#waits.add(moment);
    // After `add`, because the answer may come within the call.
    this.#ask(partition, size);
    if (!this.#owns(partition)) this.#options.onRemoteLag?.('waited');
    await waiting;
  }

  // Counts this process's partitions only. The owner of any other one knows its lag, and refuses commands
  // itself.
  lagMs(): number {
    const now = this.#clock.unixNow();
    const times = this.#unfolded.partitions.map((partition) =>
      this.#owns(partition) ? this.#unfolded.recordedAt(partition) : undefined,
    );
    const behind = this.behindSince === undefined ? undefined : Date.parse(this.behindSince);
    return Math.max(0, ...[...times, behind].map((time) => (time === undefined ? 0 : now - time)));
  }

  folded(partition: number): number {
    const size = this.#folded[partition];
    if (size === undefined) throw new RangeError(`there is no partition ${partition}`);
    return size;
  }

  onAdvance(handler: AdvanceHandler): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** Counts a durable commit as unfolded until it is folded. */
  readonly trackCommit = (commit: CommitExtent): void => {
    const { partition, size } = commit;
    if (size <= (this.#folded[partition] ?? 0)) return;
    this.#unfolded.add(commit, this.#clock.now());
    if (this.#options.owns && !this.#options.owns(partition)) this.#options.onRemoteLag?.('behind');
  };

  /** Records that the partition is stored up to `size`, here or elsewhere. A smaller size changes nothing. */
  recordAdvance({ partition, size }: Advance): void {
    if (size <= (this.#folded[partition] ?? Number.POSITIVE_INFINITY)) return;
    this.#folded[partition] = size;
    if (this.#waits.waits.size > 0) this.#waits.release(partition, size);
    this.#unfolded.remove(partition, size);
    for (const handler of this.#handlers) handler(partition, size);
  }

  /** Restarts the lag of a partition that this process begins to fold. */
  restartLag(partition: number): void {
    this.#unfolded.rebase(partition, this.#clock.unixNow());
  }

  /** The partitions folded elsewhere that queries wait for, with the start of the oldest wait. */
  awaitedElsewhere(): ReadonlyMap<number, number> {
    return new Map([...this.#waits.partitions()].filter(([partition]) => !this.#owns(partition)));
  }

  /** The partitions folded elsewhere with commits that may be unfolded, with the time of the oldest one. */
  laggingElsewhere(): ReadonlyMap<number, number> {
    const since = new Map<number, number>();
    for (const partition of this.#unfolded.partitions) {
      const seenAt = this.#unfolded.seenAt(partition);
      if (seenAt !== undefined && !this.#owns(partition)) since.set(partition, seenAt);
    }
    return since;
  }

  /** Resolves when everything published is folded; rejects with `overloaded` after 5 s. */
  async waitForAll(): Promise<void> {
    const { partitions } = this.#unfolded;
    await Promise.all(
      partitions.map((partition) => this.waitFor({ partition, size: this.#unfolded.size(partition) })),
    );
  }

  #ask(partition: number, size: number): void {
    if (size <= (this.#asked.get(partition) ?? 0)) return;
    this.#asked.set(partition, size);
    this.#options.requestWrite(partition, size);
  }

  #owns(partition: number): boolean {
    return this.#options.owns?.(partition) ?? true;
  }
}

/** The progress of the read models of a single process, which folds all partitions. See `SharedProgress`. */
export class LocalProgress {
  readonly tracker: ProgressTracker;

  constructor(options: Pick<ProgressTrackerOptions, 'folded' | 'requestWrite'>) {
    this.tracker = new ProgressTracker(options);
  }

  recordWritten(
    _tables: readonly string[],
    advances: readonly Advance[],
    behindSince: Time | undefined,
  ): void {
    this.tracker.behindSince = behindSince;
    for (const advance of advances) this.tracker.recordAdvance(advance);
  }

  // There is no other process.
  own(): void {}
  readFrom(): void {}
  receive(): void {}
  stop(): void {}
}
