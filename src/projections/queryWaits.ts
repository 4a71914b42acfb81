import { type Clock, systemClock } from '../base/clock.js';
import { overloaded } from '../base/errors.js';
import type { Moment } from '../domain/commands.js';
import type { Time } from '../domain/fields.js';
import { type CommitExtent, UnfoldedCommits } from './commitBuffer.js';

import type { Progress } from './queries.js';

/** How long a query waits for its models, and how many waits there may be. */
const QUERY_WAIT_MS = 5000;
const MAX_WAITS = 10_000;

interface Wait {
  readonly moment: Moment;
  readonly since: number;
  readonly resolve: () => void;
}

/** The queries that wait for a model to fold a moment. */
export class WaitingList {
  readonly #waits = new Map<string, Set<Wait>>();
  readonly #clock: Pick<Clock, 'now' | 'setTimer'>;
  #size = 0;

  constructor(clock: Pick<Clock, 'now' | 'setTimer'>) {
    this.#clock = clock;
  }

  /**
   * Resolves when `release` reaches the moment. Rejects with `overloaded` after 5 s, or when too many queries
   * wait.
   */
  async add(model: string, moment: Moment): Promise<void> {
    if (this.#size >= MAX_WAITS)
      throw overloaded('too many queries wait for the read models; try again later');
    await new Promise<void>((resolve, reject) => {
      const waiting = this.#waits.get(model) ?? new Set();
      this.#waits.set(model, waiting);
      const entry: Wait = {
        moment,
        since: this.#clock.now(),
        resolve: () => {
          cancel();
          leave();
          resolve();
        },
      };
      const leave = () => {
        waiting.delete(entry);
        this.#size--;
      };
      const cancel = this.#clock.setTimer(() => {
        leave();
        reject(overloaded(`the read model ${model} is behind; try again later`));
      }, QUERY_WAIT_MS);
      waiting.add(entry);
      this.#size++;
    });
  }

  /** Resolves the waits for moments up to `size` of the partition. */
  release(model: string, partition: number, size: number): void {
    for (const { moment, resolve } of this.#waits.get(model) ?? [])
      if (moment.partition === partition && moment.size <= size) resolve();
  }

  /** The partitions that queries wait for, each with the start of its oldest wait. */
  partitions(): ReadonlyMap<number, number> {
    const partitions = new Map<number, number>();
    for (const waiting of this.#waits.values())
      for (const { moment, since } of waiting)
        partitions.set(moment.partition, Math.min(since, partitions.get(moment.partition) ?? since));
    return partitions;
  }
}

/** The clock that lags and waits are measured by. */
export interface TrackerClock extends Pick<Clock, 'now' | 'setTimer'> {
  /** Milliseconds since 1970. */
  readonly unixNow: () => number;
}

interface ProgressTrackerOptions {
  /** Tree sizes that are folded at the start, by model, then by partition. */
  readonly folded: ReadonlyMap<string, readonly number[]>;
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
  readonly #folded: Map<string, number[]>;
  readonly #waits: WaitingList;
  readonly #handlers = new Set<AdvanceHandler>();
  /** The largest size asked for, by partition. */
  readonly #asked = new Map<number, number>();
  readonly #unfolded = new UnfoldedCommits();
  #behindSince: Time | undefined;

  constructor(options: ProgressTrackerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? { ...systemClock, unixNow: Date.now };
    this.#waits = new WaitingList(this.#clock);
    this.#folded = new Map([...options.folded].map(([model, sizes]) => [model, [...sizes]]));
  }

  async waitFor(model: string, moment: Moment): Promise<void> {
    const { partition, size } = moment;
    if (this.folded(model, partition) >= size) return;
    const waiting = this.#waits.add(model, moment);
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
    const behind = this.#behindSince === undefined ? undefined : Date.parse(this.#behindSince);
    return Math.max(0, ...[...times, behind].map((time) => (time === undefined ? 0 : now - time)));
  }

  folded(model: string, partition: number): number {
    const size = this.#folded.get(model)?.[partition];
    if (size === undefined) throw new RangeError(`there is no model ${model} or no partition ${partition}`);
    return size;
  }

  /** The size that each model has folded of the partition. */
  at(partition: number): readonly ModelAdvance[] {
    return [...this.#folded].map(([model, sizes]) => ({ model, partition, size: sizes[partition] ?? 0 }));
  }

  onAdvance(handler: AdvanceHandler): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** Counts a durable commit as unfolded until every model has folded it. */
  trackCommit(commit: CommitExtent): void {
    const { partition, size } = commit;
    if (size <= this.#foldedByAll(partition)) return;
    this.#unfolded.add(commit, this.#clock.now());
    if (!this.#owns(partition)) this.#options.onRemoteLag?.('behind');
  }

  /**
   * Records that a model is stored up to `size`, here or elsewhere. Unknown models and smaller sizes change
   * nothing.
   */
  recordAdvance(model: string, partition: number, size: number): void {
    const sizes = this.#folded.get(model);
    const before = sizes?.[partition];
    if (!sizes || before === undefined || size <= before) return;
    sizes[partition] = size;
    this.#waits.release(model, partition, size);
    this.#unfolded.remove(partition, this.#foldedByAll(partition));
    for (const handler of this.#handlers) handler(model, partition, size);
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

  /** Sets the recording time of the oldest commit in the log that the projector has not folded. */
  behind(since: Time | undefined): void {
    this.#behindSince = since;
  }

  /** Resolves when every model has folded everything published; rejects with `overloaded` after 5 s. */
  async waitForAll(): Promise<void> {
    const moments = this.#unfolded.partitions.map((partition) => ({
      partition,
      size: this.#unfolded.size(partition),
    }));
    const models = [...this.#folded.keys()];
    await Promise.all(moments.flatMap((moment) => models.map((model) => this.waitFor(model, moment))));
  }

  #ask(partition: number, size: number): void {
    if (size <= (this.#asked.get(partition) ?? 0)) return;
    this.#asked.set(partition, size);
    this.#options.requestWrite(partition, size);
  }

  #owns(partition: number): boolean {
    return this.#options.owns?.(partition) ?? true;
  }

  #foldedByAll(partition: number): number {
    return Math.min(...[...this.#folded.values()].map((sizes) => sizes[partition] ?? 0));
  }
}

/** The size of a partition up to which a model is stored. */
export interface ModelAdvance {
  readonly model: string;
  readonly partition: number;
  readonly size: number;
}
