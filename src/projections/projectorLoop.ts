import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { Time } from '../domain/fields.js';
import { CommitBuffer, type CommitSource, type LeafCommit } from './commitBuffer.js';
import type { Advance, Projector } from './projector.js';

/** Folded rows wait for this long, or until there are `GATHER_ROWS`, unless a reader waits for them. */
const GATHER_MS = 250;
const GATHER_ROWS = 4096;
/** An idle loop takes a turn after this time even without a message, because some pauses end without one. */
const IDLE_TURN_MS = 60_000;
const BACK_OFF_MS = { first: 50, most: 5000 };

/**
 * Errors after which going on would skip events or lose rows. Compared by name, because some have crossed a
 * thread.
 */
const FATAL_ERRORS = new Set(['UnknownEventType', 'HoleError', 'StorageError']);

/** Work between the turns of the loop, while its projector is idle. */
export interface SideWork {
  /** Does one step; resolves to true if the next one can begin at once. */
  step(): Promise<boolean>;
  /** Called after any error of the loop, before the next step. */
  reset(): Promise<void>;
}

export interface ProjectorLoopOptions {
  readonly projector: Projector;
  readonly log: CommitSource;
  readonly sideWork: SideWork;
  /** Reports what was written, and since when commits wait in the log; undefined if none wait. */
  onProgress(advances: readonly Advance[], behindSince: Time | undefined): void;
  /** Something failed; the loop tries again after a growing delay. */
  onRetry(error: unknown): void;
}

/** Keeps a projector at the end of the log, and decides when it writes. */
export class ProjectorLoop {
  readonly #options: ProjectorLoopOptions;
  readonly #buffer: CommitBuffer;
  readonly #signal = new Signal();
  readonly #stopping = new AbortController();
  /** Sizes that readers wait for, by partition, until they are written. */
  readonly #requested = new Map<number, number>();
  #gatheringSince: number | undefined;
  #mustRestart = false;
  #owned: ReadonlySet<number>;
  /** Called when the owned partitions are the folded ones. */
  #ownershipCallbacks: (() => void)[] = [];
  /** Work that needs everything folded to be written first. */
  #exclusive: { readonly work: () => Promise<void>; readonly done: (outcome: Promise<void>) => void }[] = [];
  #behindSince: Time | undefined;

  /** `owned`: the partitions that are folded from the start. */
  constructor(options: ProjectorLoopOptions, owned: readonly number[]) {
    this.#options = options;
    const { log, onRetry } = options;
    this.#owned = new Set(owned);
    this.#buffer = new CommitBuffer({ log, onRetry, onArrival: () => this.#signal.set() });
  }

  /** Delivers a durable commit. A commit that is missed is read from the log. */
  notify(commit: LeafCommit): void {
    this.#buffer.notify(commit);
  }

  /** Asks for everything below `size` to be written without delay. */
  requestWrite(partition: number, size: number): void {
    if (!this.#owned.has(partition)) return;
    this.#requested.set(partition, Math.max(size, this.#requested.get(partition) ?? 0));
    this.#signal.set();
  }

  /**
   * Folds exactly these partitions; resolves when it does, or when the loop ends. Rows of a removed partition
   * are written first. An added one begins at the store's checkpoints as they are then.
   */
  own(partitions: readonly number[]): Promise<void> {
    this.#owned = new Set(partitions);
    this.#signal.set();
    return new Promise((resolve) => this.#ownershipCallbacks.push(resolve));
  }

  /** Restarts at the store's checkpoints, because the projector's projections have changed. */
  restart(): void {
    this.#mustRestart = true;
    this.#signal.set();
  }

  /** Requests a turn for side work. */
  requestTurn(): void {
    this.#signal.set();
  }

  /**
   * Runs `work` between two turns, after everything folded is written. Rejects with its error, or when the
   * loop ends.
   */
  runExclusive(work: () => Promise<void>): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.reject(new Error('the projector has stopped'));
    this.#signal.set();
    return new Promise((done) => this.#exclusive.push({ work, done }));
  }

  stop(): void {
    this.#stopping.abort();
    this.#signal.set();
  }

  /** Runs until `stop`, then writes what is folded. Rejects with an error that must stop the process. */
  async run(): Promise<void> {
    let failures = 0;
    while (!this.#stopping.signal.aborted) {
      try {
        if (this.#mustRestart) await this.#pauseForRestart();
        if (!this.#buffer.isRunning) await this.#start();
        await this.#turn();
        failures = 0;
      } catch (error) {
        await this.#buffer.stop();
        if (error instanceof Error && FATAL_ERRORS.has(error.name)) throw error;
        this.#options.onRetry(error);
        await this.#backOff(Math.min(BACK_OFF_MS.first * 2 ** failures++, BACK_OFF_MS.most));
      }
    }
    await this.#buffer.stop();
    // After a failure nothing in memory is worth writing: the log has it all.
    if (failures === 0) await this.#write();
    this.#resolveOwnership();
    for (const { done } of this.#exclusive.splice(0))
      done(Promise.reject(new Error('the projector has stopped')));
  }

  async #pauseForRestart(): Promise<void> {
    await this.#buffer.stop();
    await this.#write();
    this.#mustRestart = false;
  }

  /** Begins at the store's checkpoints, whatever was in memory. */
  async #start(): Promise<void> {
    const { projector, sideWork } = this.#options;
    await projector.reset();
    await sideWork.reset();
    this.#gatheringSince = undefined;
    this.#buffer.start();
    for (const partition of this.#owned) this.#buffer.startReading(partition, projector.position(partition));
  }

  async #turn(): Promise<void> {
    const { projector, sideWork } = this.#options;
    await this.#applyOwnership();
    await this.#runExclusiveWork();
    const taken = this.#buffer.take();
    for (const commits of taken) await projector.fold(commits);
    if (projector.isBehind) this.#gatheringSince ??= performance.now();
    if (this.#isDue()) await this.#write();
    else if (this.#behindSince !== this.#buffer.behindSince()) this.#report([]);
    const isBusy = await sideWork.step();
    // Yields to the event loop, so that messages arrive even when the turn was synchronous.
    if (isBusy || taken.length > 0) await nextTurn();
    else await this.#signal.wait(this.#msUntilDue());
  }

  /** Stops and starts partitions without disturbing the others. */
  async #applyOwnership(): Promise<void> {
    if (this.#ownershipCallbacks.length === 0) return;
    const { projector } = this.#options;
    const owned = this.#owned;
    const gone = this.#buffer.partitions.filter((partition) => !owned.has(partition));
    const come = [...owned].filter((partition) => !this.#buffer.partitions.includes(partition));
    await Promise.all(gone.map((partition) => this.#buffer.stopReading(partition)));
    for (const partition of gone) this.#requested.delete(partition);
    if (gone.length > 0) await this.#write();
    for (const partition of come) {
      this.#report([await projector.renew(partition)]);
      this.#buffer.startReading(partition, projector.position(partition));
    }
    // If `own` was called meanwhile, the next turn resolves these callbacks too.
    if (owned === this.#owned) this.#resolveOwnership();
  }

  async #runExclusiveWork(): Promise<void> {
    if (this.#exclusive.length === 0) return;
    await this.#write();
    for (const { work, done } of this.#exclusive.splice(0)) {
      const outcome = work();
      done(outcome);
      await outcome.catch(() => {}); // The caller of `runExclusive` gets the error.
    }
  }

  #resolveOwnership(): void {
    for (const resolve of this.#ownershipCallbacks.splice(0)) resolve();
  }

  #isDue(): boolean {
    const { projector } = this.#options;
    if (!projector.isBehind) return false;
    return projector.pending >= GATHER_ROWS || this.#msUntilDue() <= 0 || this.#isRequested();
  }

  #isRequested(): boolean {
    let isWanted = false;
    for (const [partition, size] of this.#requested) {
      const { folded, written } = this.#options.projector.sizes(partition);
      if (written >= size) this.#requested.delete(partition);
      else if (folded >= size) isWanted = true;
    }
    return isWanted;
  }

  #msUntilDue(): number {
    if (this.#gatheringSince === undefined) return IDLE_TURN_MS;
    return this.#gatheringSince + GATHER_MS - performance.now();
  }

  async #write(): Promise<void> {
    const advances = await this.#options.projector.write();
    this.#gatheringSince = undefined;
    this.#report(advances);
  }

  #report(advances: readonly Advance[]): void {
    this.#behindSince = this.#buffer.behindSince();
    this.#options.onProgress(advances, this.#behindSince);
  }

  async #backOff(ms: number): Promise<void> {
    // Only `stop` ends the delay early: messages must not set the rate of retries.
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

/** Wakes one waiting caller. A call to `set` before `wait` counts. */
class Signal {
  #isSet = false;
  #resolve: (() => void) | undefined;

  set(): void {
    this.#isSet = true;
    this.#resolve?.();
  }

  /** Resolves at the next `set`, or after `ms` milliseconds. */
  async wait(ms: number): Promise<void> {
    if (!this.#isSet)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#resolve = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    this.#resolve = undefined;
    this.#isSet = false;
  }
}
