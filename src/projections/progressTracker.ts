import { type Clock, systemClock } from '../base/clock.js';
import { overloaded } from '../base/errors.js';
import type { Moment } from '../domain/commands.js';
import type { Time } from '../domain/events.js';
import { type CommitExtent, UnfoldedCommits } from './commitBuffer.js';

import type { Progress } from './queries.js';

/** How long a query waits for its models, and how many may wait at once. */
const WAIT_LIMIT_MS = 5000;
const MAX_WAITS = 10_000;

interface Wait {
  readonly moment: Moment;
  readonly since: number;
  readonly resolve: () => void;
}

/** Who waits for which model to reach which moment. */
export class WaitingList {
  readonly #waits = new Map<string, Set<Wait>>();
  readonly #clock: Pick<Clock, 'now' | 'setTimer'>;
  #size = 0;

  constructor(clock: Pick<Clock, 'now' | 'setTimer'>) {
    this.#clock = clock;
  }

  /** Resolves at a release at or above the moment. Rejects with `overloaded` after 5 s, or when too many wait. */
  async add(model: string, moment: Moment): Promise<void> {
    if (this.#size >= MAX_WAITS) throw overloaded('too many queries wait for the read models');
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
        reject(overloaded(`the read model ${model} is behind`));
      }, WAIT_LIMIT_MS);
      waiting.add(entry);
      this.#size++;
    });
  }

  /** The model is stored up to `size` of the partition. */
  release(model: string, partition: number, size: number): void {
    for (const { moment, resolve } of this.#waits.get(model) ?? [])
      if (moment.partition === partition && moment.size <= size) resolve();
  }

  /** Those that somebody waits for, each with since when the first one does. */
  partitions(): ReadonlyMap<number, number> {
    const partitions = new Map<number, number>();
    for (const waiting of this.#waits.values())
      for (const { moment, since } of waiting)
        partitions.set(moment.partition, Math.min(since, partitions.get(moment.partition) ?? since));
    return partitions;
  }
}

/** The times that a lag and a wait are measured by. */
export interface TrackerClock extends Pick<Clock, 'now' | 'setTimer'> {
  /** Milliseconds since 1970. */
  readonly unixNow: () => number;
}

interface ProgressTrackerOptions {
  /** Tree sizes that are folded at the start: by model, then by partition. */
  readonly folded: ReadonlyMap<string, readonly number[]>;
  /** Whether this process folds the partition; if not said, it folds all. */
  readonly owns?: (partition: number) => boolean;
  /** Asks whoever folds the partition to write, without delay, all below `size`. */
  readonly requestWrite: (partition: number, size: number) => void;
  /** Of a partition folded elsewhere: somebody begins to wait, or a commit is not folded yet. */
  readonly onRemoteLag?: (why: 'waited' | 'behind') => void;
  readonly clock?: TrackerClock;
}

type AdvanceHandler = Parameters<Progress['onAdvance']>[0];

/**
 * How far the read models are, and who waits for them. What it is told of progress may be repeated, late or lost: the
 * largest size counts, and for partitions folded elsewhere `awaitedElsewhere` and `laggingElsewhere` say where to look in the store.
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
    // Only now: the answer may come within the call.
    this.#ask(partition, size);
    if (!this.#owns(partition)) this.#options.onRemoteLag?.('waited');
    await waiting;
  }

  // Only of what this process folds: of the rest its owner knows, who refuses commands when it falls behind.
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
    if (size === undefined) throw new RangeError(`no model ${model} is folded of partition ${partition}`);
    return size;
  }

  /** How far each model is in the partition. */
  at(partition: number): readonly ModelAdvance[] {
    return [...this.#folded].map(([model, sizes]) => ({ model, partition, size: sizes[partition] ?? 0 }));
  }

  onAdvance(handler: AdvanceHandler): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** A commit is durable. */
  trackCommit(commit: CommitExtent): void {
    const { partition, size } = commit;
    if (size <= this.#foldedByAll(partition)) return;
    this.#unfolded.add(commit, this.#clock.now());
    if (!this.#owns(partition)) this.#options.onRemoteLag?.('behind');
  }

  /** A model is stored up to `size`, here or elsewhere; what is not known here, or was known, changes nothing. */
  recordAdvance(model: string, partition: number, size: number): void {
    const sizes = this.#folded.get(model);
    const before = sizes?.[partition];
    if (!sizes || before === undefined || size <= before) return;
    sizes[partition] = size;
    this.#waits.release(model, partition, size);
    this.#unfolded.remove(partition, this.#foldedByAll(partition));
    for (const handler of this.#handlers) handler(model, partition, size);
  }

  /** This process begins to fold the partition: from now on its delay counts. */
  restartLag(partition: number): void {
    this.#unfolded.rebase(partition, this.#clock.unixNow());
  }

  /** Of the partitions folded elsewhere, those that somebody waits for, and since when. */
  awaitedElsewhere(): ReadonlyMap<number, number> {
    return new Map([...this.#waits.partitions()].filter(([partition]) => !this.#owns(partition)));
  }

  /** Of the partitions folded elsewhere, those with commits not known to be folded, and since when that is so. */
  laggingElsewhere(): ReadonlyMap<number, number> {
    const since = new Map<number, number>();
    for (const partition of this.#unfolded.partitions) {
      const seenAt = this.#unfolded.seenAt(partition);
      if (seenAt !== undefined && !this.#owns(partition)) since.set(partition, seenAt);
    }
    return since;
  }

  /** Since when the projector sees commits in the log that it has not folded. */
  behind(since: Time | undefined): void {
    this.#behindSince = since;
  }

  /** All that was published is in every model; `overloaded` after 5 s. */
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

/** A model is stored up to a size of a partition. */
export interface ModelAdvance {
  readonly model: string;
  readonly partition: number;
  readonly size: number;
}
