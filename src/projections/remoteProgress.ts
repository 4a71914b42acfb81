import { type Clock, systemClock, systemTimer, type Timer } from '../base/clock.js';
import type { Note } from '../cluster/bus.js';
import type { Time } from '../domain/fields.js';
import type { Advance } from './projector.js';
import { ProgressTracker } from './queryWaits.js';

/** Progress that no node waits for is sent after this time, so that many writes share one note. */
const GATHER_MS = 50;

/** Sends the progress of this node's stored read models to the other nodes, at once if a node waits for it. */
export class ProgressBroadcast {
  readonly #send: (advances: readonly Advance[]) => void;
  readonly #setTimer: Timer;
  /** Sizes that are not sent yet, by partition. */
  readonly #unsent = new Map<number, number>();
  /** The largest size that another node waits for, by partition. */
  readonly #requested = new Map<number, number>();
  #cancel: (() => void) | undefined;

  constructor(send: (advances: readonly Advance[]) => void, setTimer: Timer = systemTimer) {
    this.#send = send;
    this.#setTimer = setTimer;
  }

  /** Records one write of the projector. */
  record(advances: readonly Advance[]): void {
    if (advances.length === 0) return;
    let isAwaited = false;
    for (const { partition, size } of advances) {
      this.#unsent.set(partition, size);
      if (size < (this.#requested.get(partition) ?? Number.POSITIVE_INFINITY)) continue;
      this.#requested.delete(partition);
      isAwaited = true;
    }
    if (isAwaited) this.flush();
    else this.#cancel ??= this.#setTimer(() => this.flush(), GATHER_MS);
  }

  /** Another node waits for this size; `now` is the current progress, which it may have missed. */
  requestFlush({ partition, size }: Advance, now: number): void {
    this.#requested.set(partition, Math.max(size, this.#requested.get(partition) ?? 0));
    this.record([{ partition, size: now }]);
  }

  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#unsent.size === 0) return;
    const advances = [...this.#unsent].map(([partition, size]) => ({ partition, size }));
    this.#unsent.clear();
    this.#send(advances);
  }
}

/**
 * How long a query waits, or a partition lags, before the store is read; and the interval after that. A partition that
 * no query waits for lags by a second and the time of a write.
 */
const WAIT_BEFORE_READ_MS = 100;
const LAG_BEFORE_READ_MS = 3000;
/** The longest delay after repeated failures. */
const MAX_RETRY_MS = 5000;

/** Start times by partition, on the monotonic clock. */
type Since = ReadonlyMap<number, number>;

interface CheckpointPollerOptions {
  /** Partitions folded elsewhere that queries wait for. */
  awaitedElsewhere(): Since;
  /** Partitions folded elsewhere that lag. */
  behind(): Since;
  /** Reads the store's checkpoints of these partitions and passes them on. */
  readCheckpoints(partitions: readonly number[]): Promise<void>;
  /** A read failed; the next one comes later. */
  onRetry(error: unknown): void;
  readonly clock?: Pick<Clock, 'now' | 'setTimer'>;
}

/**
 * Reads checkpoints from the store when notes about progress are lost. Makes one read at a time, and only
 * after a query or a partition has waited for long. So it hardly ever reads while notes arrive, and an idle
 * process never does.
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

  /** A query begins to wait for a partition. */
  onWait(): void {
    this.#schedule(WAIT_BEFORE_READ_MS);
  }

  /** A partition begins to lag. */
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
    const since = [awaitedElsewhere(), behind()] as const;
    const isDue =
      this.#isLonger(since[0], WAIT_BEFORE_READ_MS) || this.#isLonger(since[1], LAG_BEFORE_READ_MS);
    // One query for all partitions.
    const partitions = new Set(since.flatMap((times) => [...times.keys()]));
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
      // Keeps the interval since the last read, however long the wait is.
      const from = Math.max(this.#readAt, Math.min(...since.values()));
      this.#schedule(Math.max(0, from + ms - this.#clock.now()));
    }
  }

  #isLonger(since: Since, ms: number): boolean {
    return [...since.values()].some((time) => time <= this.#clock.now() - ms);
  }
}

/** The projector of this process. */
interface LocalProjector {
  /** Asks it to write everything of the partition below `size` without delay. */
  requestWrite(partition: number, size: number): void;
  /** Reads from the store's checkpoints how far all these tables are in these partitions. */
  readCheckpoints(tables: readonly string[], partitions: readonly number[]): Promise<readonly Advance[]>;
}

interface SharedProgressOptions {
  /** The tables that are read here, and their tree sizes by partition. */
  readonly start: { readonly tables: readonly string[]; readonly folded: readonly number[] };
  /** Partitions folded here from the start; undefined means all. */
  readonly owned: readonly number[] | undefined;
  readonly projector: LocalProjector;
  /** Sends a note to the other processes. */
  send(note: Note): void;
  /** The store could not be read; the next attempt comes later. */
  onRetry(error: unknown): void;
}

/**
 * The progress of the read models on all nodes. The projector reports this node's partitions. Notes report
 * the others, and so do the store's checkpoints when notes are lost. Only this node's progress is sent to
 * others. A note counts only if its sender folds all tables that are read here: another version has others.
 */
export class SharedProgress {
  readonly tracker: ProgressTracker;
  readonly #options: SharedProgressOptions;
  readonly #poller: CheckpointPoller;
  readonly #notes: ProgressBroadcast;
  /** The tables that are read here, and those that the projector folds. */
  #read: readonly string[];
  #written: readonly string[];
  #owned: ReadonlySet<number> | undefined;

  constructor(options: SharedProgressOptions) {
    this.#options = options;
    this.#owned = options.owned && new Set(options.owned);
    const { start, projector } = options;
    this.#read = start.tables;
    this.#written = start.tables;
    this.#notes = new ProgressBroadcast((advances) => this.#broadcast(advances));
    this.#poller = new CheckpointPoller({
      awaitedElsewhere: () => this.tracker.awaitedElsewhere(),
      behind: () => this.tracker.laggingElsewhere(),
      readCheckpoints: async (partitions) =>
        this.#advance(await projector.readCheckpoints(this.#read, partitions)),
      onRetry: options.onRetry,
    });
    this.tracker = new ProgressTracker({
      folded: start.folded,
      owns: (partition) => this.owns(partition),
      requestWrite: (partition, size) => this.#requestWrite(partition, size),
      onRemoteLag: (why) => (why === 'waited' ? this.#poller.onWait() : this.#poller.onLag()),
    });
  }

  /** Whether this process folds the partition. */
  owns(partition: number): boolean {
    return this.#owned?.has(partition) ?? true;
  }

  /** Makes these the partitions that this process folds. */
  own(partitions: readonly number[]): void {
    for (const partition of partitions) if (!this.owns(partition)) this.tracker.restartLag(partition);
    this.#owned = new Set(partitions);
    // A query may be waiting for a partition that has left.
    this.#poller.onWait();
  }

  /** Reads these tables from now on. They must be folded as far as the earlier ones. */
  readFrom(tables: readonly string[]): void {
    this.#read = tables;
  }

  /** Records what this process's projector has written of its tables, and since when commits wait in the log. */
  recordWritten(
    tables: readonly string[],
    advances: readonly Advance[],
    behindSince: Time | undefined,
  ): void {
    this.#written = tables;
    this.tracker.behindSince = behindSince;
    this.#advance(advances);
    this.#notes.record(advances);
  }

  /** Handles a note from another process. */
  receive(note: Note): void {
    if (note.kind === 'progress' && this.#read.every((table) => note.tables.includes(table)))
      this.#advance(note.advances.map(([partition, size]) => ({ partition, size })));
    if (note.kind !== 'requestProgress' || !this.owns(note.partition)) return;
    this.#notes.requestFlush(note, this.tracker.folded(note.partition));
    this.#options.projector.requestWrite(note.partition, note.size);
  }

  /** Sends the remaining progress, and reads no more checkpoints. */
  stop(): void {
    this.#poller.stop();
    this.#notes.flush();
  }

  #requestWrite(partition: number, size: number): void {
    if (this.owns(partition)) this.#options.projector.requestWrite(partition, size);
    else this.#options.send({ kind: 'requestProgress', partition, size });
  }

  #broadcast(advances: readonly Advance[]): void {
    const told = advances.map(({ partition, size }) => [partition, size] as const);
    this.#options.send({ kind: 'progress', tables: this.#written, advances: told });
  }

  #advance(advances: readonly Advance[]): void {
    for (const advance of advances) this.tracker.recordAdvance(advance);
  }
}
