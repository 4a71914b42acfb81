import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { Time } from '../domain/fields.js';
import type { Commit } from '../log/log.js';
import { type CommitSource, decodeCommit, isCut, readNextRetryingHole } from './commitBuffer.js';
import type { Advance, Projector } from './projector.js';

/**
 * The log is read this often, and what it had is written at once. Waking a thread, a transaction and the pages of
 * rows that change often cost more than most events, so that one turn should serve many.
 */
const POLL_MS = 1000;
/** Commits of one partition in one read. */
const PAGE_COMMITS = 256;
/** The log may not show yet what a query waits for. It is read again at once, then after this time, then twice that. */
const MISSING_MS = 5;
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
  readonly #signal = new Signal();
  readonly #stopping = new AbortController();
  /** Sizes that readers wait for, by partition, until they are written. */
  readonly #requested = new Map<number, number>();
  #mustRestart = true;
  #hasFailed = false;
  /** The partitions to be folded, and those that are. */
  #owned: readonly number[];
  #folded: readonly number[] = [];
  /** The last partition of a read that was cut; the next read begins behind it. */
  #cutAt = -1;
  /** Whether the log had more when it was read last. */
  #isMore = false;
  /** When to read the log again, on the monotonic clock. */
  #readAt = 0;
  #missingMs = 0;
  /** Called when the owned partitions are the folded ones. */
  #ownershipCallbacks: (() => void)[] = [];
  /** Work that needs everything folded to be written first. */
  #exclusive: { readonly work: () => Promise<void>; readonly done: (outcome: Promise<void>) => void }[] = [];
  /** The recording time of the oldest commit that was read last; undefined at the end of the log. */
  #behindSince: Time | undefined;
  #reportedBehind: Time | undefined;

  /** `owned`: the partitions that are folded from the start. */
  constructor(options: ProjectorLoopOptions, owned: readonly number[]) {
    this.#options = options;
    this.#owned = ascending(owned);
  }

  /** Asks for everything below `size` to be written without delay. */
  requestWrite(partition: number, size: number): void {
    if (!this.#owned.includes(partition)) return;
    this.#requested.set(partition, Math.max(size, this.#requested.get(partition) ?? 0));
    this.#missingMs = 0;
    this.#readAt = 0;
    this.#signal.set();
  }

  /**
   * Folds exactly these partitions; resolves when it does, or when the loop ends. Rows of a removed partition
   * are written first. An added one begins at the store's checkpoints as they are then.
   */
  own(partitions: readonly number[]): Promise<void> {
    this.#owned = ascending(partitions);
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
        if (this.#mustRestart) await this.#restart();
        await this.#turn();
        failures = 0;
      } catch (error) {
        this.#mustRestart = this.#hasFailed = true;
        if (error instanceof Error && FATAL_ERRORS.has(error.name)) throw error;
        this.#options.onRetry(error);
        await this.#backOff(Math.min(BACK_OFF_MS.first * 2 ** failures++, BACK_OFF_MS.most));
      }
    }
    // After a failure nothing in memory is worth writing: the log has it all.
    if (failures === 0) await this.#write();
    this.#resolveOwnership();
    for (const { done } of this.#exclusive.splice(0))
      done(Promise.reject(new Error('the projector has stopped')));
  }

  /** Writes what is folded, unless an error came before, and begins at the store's checkpoints. */
  async #restart(): Promise<void> {
    const { projector, sideWork } = this.#options;
    if (!this.#hasFailed) await this.#write();
    await projector.reset();
    await sideWork.reset();
    this.#mustRestart = this.#hasFailed = false;
    this.#folded = this.#owned;
    this.#readAt = 0;
  }

  async #turn(): Promise<void> {
    await this.#applyOwnership();
    await this.#runExclusiveWork();
    if (this.#isMore || performance.now() >= this.#readAt) await this.#fold();
    if (this.#isDue()) await this.#write();
    else if (this.#behindSince !== this.#reportedBehind) this.#report([]);
    const isBusy = await this.#options.sideWork.step();
    // Yields to the event loop, so that messages arrive even when the turn was synchronous.
    if (isBusy || this.#isMore) await nextTurn();
    else await this.#signal.wait(this.#readAt - performance.now());
  }

  /** Folds the next commits of all partitions, which are read with one call. */
  async #fold(): Promise<void> {
    const { projector, log } = this.#options;
    const left = this.#folded.filter((partition) => partition > this.#cutAt);
    const [asked, isRest] =
      left.length > 0 ? [left, left.length < this.#folded.length] : [this.#folded, false];
    const places = asked.map((partition) => ({ partition, after: projector.position(partition) }));
    const commits = asked.length > 0 ? await readNextRetryingHole(log, places, PAGE_COMMITS) : [];
    const pages = asked.map((partition) => commits.filter((commit) => commit.partition === partition));
    for (const page of pages) await projector.fold(page.map(decodeCommit));
    const wasCut = isCut(commits);
    this.#cutAt = wasCut ? (commits.at(-1)?.partition ?? -1) : -1;
    this.#isMore = wasCut || isRest || pages.some(({ length }) => length === PAGE_COMMITS);
    this.#behindSince = this.#isMore ? oldestOf(pages) : undefined;
    this.#readAt = performance.now() + (this.#isMissing() ? this.#waitForMissing() : POLL_MS);
  }

  /** Whether a query waits for commits that the log has not shown yet. */
  #isMissing(): boolean {
    const { projector } = this.#options;
    return [...this.#requested].some(([partition, size]) => projector.sizes(partition).folded < size);
  }

  #waitForMissing(): number {
    const ms = this.#missingMs;
    // In the end no more often than without a query: it may wait for what never comes.
    this.#missingMs = Math.min(Math.max(2 * ms, MISSING_MS), POLL_MS);
    return ms;
  }

  /** Stops and starts partitions without disturbing the others. */
  async #applyOwnership(): Promise<void> {
    if (this.#ownershipCallbacks.length === 0) return;
    const { projector } = this.#options;
    const owned = this.#owned;
    const gone = this.#folded.filter((partition) => !owned.includes(partition));
    const come = owned.filter((partition) => !this.#folded.includes(partition));
    for (const partition of gone) this.#requested.delete(partition);
    if (gone.length > 0) await this.#write();
    this.#folded = this.#folded.filter((partition) => owned.includes(partition));
    for (const partition of come) {
      this.#report([await projector.renew(partition)]);
      this.#folded = ascending([...this.#folded, partition]);
    }
    if (come.length > 0) this.#readAt = 0;
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

  /** At the end of the log, what was folded is written at once: the next read is `POLL_MS` away, or asked for. */
  #isDue(): boolean {
    const { projector } = this.#options;
    if (!projector.isBehind) return false;
    return !this.#isMore || projector.isFull || this.#isRequested();
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

  async #write(): Promise<void> {
    const advances = await this.#options.projector.write();
    this.#report(advances);
  }

  #report(advances: readonly Advance[]): void {
    this.#reportedBehind = this.#behindSince;
    this.#options.onProgress(advances, this.#behindSince);
  }

  async #backOff(ms: number): Promise<void> {
    // Only `stop` ends the delay early: messages must not set the rate of retries.
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

const ascending = (partitions: readonly number[]): readonly number[] => partitions.toSorted((a, b) => a - b);

/** The oldest of the times of the partitions' last commits. */
const oldestOf = (pages: readonly (readonly Commit[])[]): Time | undefined =>
  pages.flatMap((page) => page.at(-1)?.recordedAt ?? []).sort()[0];

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
