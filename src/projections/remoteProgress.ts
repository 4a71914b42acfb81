import { type Clock, systemClock, systemTimer, type Timer } from '../base/clock.js';
import type { Note } from '../cluster/bus.js';
import type { Time } from '../domain/events.js';
import { type ModelAdvance, ProgressTracker } from './progressTracker.js';

/** What a model has stored gathers for so long: progress for which nobody waits is not worth a note each. */
const GATHER_MS = 50;

/** Tells the other nodes how far this one has stored the read models: gathered, unless one of them waits. */
export class ProgressBroadcast {
  readonly #send: (advances: readonly ModelAdvance[]) => void;
  readonly #setTimer: Timer;
  /** Not told yet, by model and partition. */
  readonly #unsent = new Map<string, ModelAdvance>();
  /** The largest size that another node waits for, by partition. */
  readonly #requested = new Map<number, number>();
  #cancel: (() => void) | undefined;

  constructor(send: (advances: readonly ModelAdvance[]) => void, setTimer: Timer = systemTimer) {
    this.#send = send;
    this.#setTimer = setTimer;
  }

  /** The projector has written these, all at once. */
  record(advances: readonly ModelAdvance[]): void {
    if (advances.length === 0) return;
    for (const advance of advances) this.#unsent.set(`${advance.model}/${advance.partition}`, advance);
    const met = [...this.#requested].filter(([partition, size]) => {
      const here = advances.filter((advance) => advance.partition === partition);
      return here.length > 0 && here.every((advance) => advance.size >= size);
    });
    for (const [partition] of met) this.#requested.delete(partition);
    if (met.length > 0) this.flush();
    else this.#cancel ??= this.#setTimer(() => this.flush(), GATHER_MS);
  }

  /** Another node waits for this size; `now` is how far each model is, which it may not have heard. */
  requestFlush(partition: number, size: number, now: readonly ModelAdvance[]): void {
    this.#requested.set(partition, Math.max(size, this.#requested.get(partition) ?? 0));
    this.record(now);
  }

  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#unsent.size === 0) return;
    const advances = [...this.#unsent.values()];
    this.#unsent.clear();
    this.#send(advances);
  }
}

/** How long somebody waits, or a partition seems behind, before the store is looked at; and then how often it is. */
const WAIT_BEFORE_READ_MS = 100;
const LAG_BEFORE_READ_MS = 500;
/** After failures in a row it looks ever more seldom, but at least so often. */
const MAX_RETRY_MS = 5000;

/** Partitions, each with since when, on the clock of `ticks`. */
type Since = ReadonlyMap<number, number>;

interface CheckpointPollerOptions {
  /** Partitions folded elsewhere that somebody waits for. */
  awaitedElsewhere(): Since;
  /** Partitions folded elsewhere that seem behind. */
  behind(): Since;
  /** Reads the store's checkpoints of these partitions and passes them on. */
  readCheckpoints(partitions: readonly number[]): Promise<void>;
  /** A look failed; the next comes later. */
  onRetry(error: unknown): void;
  readonly clock?: Pick<Clock, 'now' | 'setTimer'>;
}

/**
 * Looks at the store for the progress that no note brought: one look at a time, and none while nobody waits for long
 * and nothing seems behind for long. So where notes arrive it hardly ever looks, and an idle process never.
 */
export class CheckpointPoller {
  readonly #options: CheckpointPollerOptions;
  readonly #clock: Pick<Clock, 'now' | 'setTimer'>;
  #next: { readonly at: number; readonly cancel: () => void } | undefined;
  #isReading = false;
  #isStopped = false;
  #failures = 0;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(options: CheckpointPollerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Somebody waits for a partition. */
  onWait(): void {
    this.#schedule(WAIT_BEFORE_READ_MS);
  }

  /** A partition seems behind. */
  onLag(): void {
    this.#schedule(LAG_BEFORE_READ_MS);
  }

  stop(): void {
    this.#isStopped = true;
    this.#next?.cancel();
  }

  #schedule(ms: number): void {
    if (this.#isStopped || this.#isReading) return;
    const at =
      this.#clock.now() + (this.#failures === 0 ? ms : Math.min(ms * 2 ** this.#failures, MAX_RETRY_MS));
    if (this.#next && this.#next.at <= at) return;
    this.#next?.cancel();
    this.#next = { at, cancel: this.#clock.setTimer(() => void this.#run(), at - this.#clock.now()) };
  }

  async #run(): Promise<void> {
    this.#next = undefined;
    this.#isReading = true;
    const { awaitedElsewhere, behind, readCheckpoints, onRetry } = this.#options;
    const laggingElsewhere = [awaitedElsewhere(), behind()] as const;
    const isDue =
      this.#isLonger(laggingElsewhere[0], WAIT_BEFORE_READ_MS) ||
      this.#isLonger(laggingElsewhere[1], LAG_BEFORE_READ_MS);
    // One query for all, so that partitions do not bring a look each.
    const partitions = new Set(laggingElsewhere.flatMap((since) => [...since.keys()]));
    try {
      if (isDue) await readCheckpoints([...partitions]);
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      if (!this.#isStopped) onRetry(error);
    }
    this.#isReading = false;
    if (isDue) this.#readAt = this.#clock.now();
    this.#scheduleNext();
  }

  #scheduleNext(): void {
    const { awaitedElsewhere, behind } = this.#options;
    for (const [since, ms] of [
      [awaitedElsewhere(), WAIT_BEFORE_READ_MS],
      [behind(), LAG_BEFORE_READ_MS],
    ] as const) {
      if (since.size === 0) continue;
      // Never sooner after a look than this, however long it has been so.
      const from = Math.max(this.#readAt, Math.min(...since.values()));
      this.#schedule(Math.max(0, from + ms - this.#clock.now()));
    }
  }

  #isLonger(since: Since, ms: number): boolean {
    return [...since.values()].some((time) => time <= this.#clock.now() - ms);
  }
}

/** A model as it is folded at the start. */
interface StartingModel {
  readonly name: string;
  /** The table by which other processes are told of it: those of other versions may fold it into another one. */
  readonly table: string;
  /** Tree sizes, by partition. */
  readonly folded: readonly number[];
}

/** The projector of this process. */
interface LocalProjector {
  /** Asks it to write, without delay, all of the partition below `size`. */
  requestWrite(partition: number, size: number): void;
  /** How far the models are in these partitions by the store's checkpoints. */
  readCheckpoints(partitions: readonly number[]): Promise<readonly ModelAdvance[]>;
}

interface SharedProgressOptions {
  readonly models: readonly StartingModel[];
  /** Partitions folded here from the start; all, if not said. */
  readonly owned: readonly number[] | undefined;
  readonly projector: LocalProjector;
  /** Tells the other processes. */
  send(note: Note): void;
  /** The store could not be looked at; it will be tried again. */
  onRetry(error: unknown): void;
}

/**
 * How far the read models are, whoever folds them. Of its own partitions it knows from the projector; of the others by
 * notes, and from the store's checkpoints where notes are lost. What it gives others to know are its own.
 */
export class SharedProgress {
  readonly tracker: ProgressTracker;
  readonly #options: SharedProgressOptions;
  readonly #poller: CheckpointPoller;
  readonly #notes: ProgressBroadcast;
  readonly #tableOf: ReadonlyMap<string, string>;
  readonly #modelOf: ReadonlyMap<string, string>;
  #owned: ReadonlySet<number> | undefined;

  constructor(options: SharedProgressOptions) {
    this.#options = options;
    this.#owned = options.owned && new Set(options.owned);
    const { models, projector } = options;
    this.#tableOf = new Map(models.map(({ name, table }) => [name, table]));
    this.#modelOf = new Map(models.map(({ name, table }) => [table, name]));
    this.#notes = new ProgressBroadcast((advances) => this.#broadcast(advances));
    this.#poller = new CheckpointPoller({
      awaitedElsewhere: () => this.tracker.awaitedElsewhere(),
      behind: () => this.tracker.laggingElsewhere(),
      readCheckpoints: async (partitions) => this.#advance(await projector.readCheckpoints(partitions)),
      onRetry: options.onRetry,
    });
    this.tracker = new ProgressTracker({
      folded: new Map(models.map(({ name, folded }) => [name, folded])),
      owns: (partition) => this.owns(partition),
      requestWrite: (partition, size) => this.#requestWrite(partition, size),
      onRemoteLag: (why) => (why === 'waited' ? this.#poller.onWait() : this.#poller.onLag()),
    });
  }

  /** Whether this process folds the partition. */
  owns(partition: number): boolean {
    return this.#owned?.has(partition) ?? true;
  }

  /** From now on it folds these. */
  own(partitions: readonly number[]): void {
    for (const partition of partitions) if (!this.owns(partition)) this.tracker.restartLag(partition);
    this.#owned = new Set(partitions);
    // Somebody may be waiting for one that went.
    this.#poller.onWait();
  }

  /** The projector of this process has written these, and sees commits it has yet to fold since `behindSince`. */
  recordWritten(advances: readonly ModelAdvance[], behindSince: Time | undefined): void {
    this.tracker.behind(behindSince);
    this.#advance(advances);
    this.#notes.record(advances);
  }

  /** What another process tells. */
  receive(note: Note): void {
    if (note.kind === 'progress')
      for (const [table, partition, size] of note.advances) {
        const model = this.#modelOf.get(table);
        if (model !== undefined) this.tracker.recordAdvance(model, partition, size);
      }
    if (note.kind !== 'want' || !this.owns(note.partition)) return;
    this.#notes.requestFlush(note.partition, note.size, this.tracker.at(note.partition));
    this.#options.projector.requestWrite(note.partition, note.size);
  }

  /** Tells what is left to be told, and looks no more. */
  stop(): void {
    this.#poller.stop();
    this.#notes.flush();
  }

  #requestWrite(partition: number, size: number): void {
    if (this.owns(partition)) this.#options.projector.requestWrite(partition, size);
    else this.#options.send({ kind: 'want', partition, size });
  }

  #broadcast(advances: readonly ModelAdvance[]): void {
    const told = advances.map(
      ({ model, partition, size }) => [this.#tableOf.get(model) ?? model, partition, size] as const,
    );
    this.#options.send({ kind: 'progress', advances: told });
  }

  #advance(advances: readonly ModelAdvance[]): void {
    for (const { model, partition, size } of advances) this.tracker.recordAdvance(model, partition, size);
  }
}
