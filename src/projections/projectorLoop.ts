import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { Time } from '../domain/events.js';
import { Intake, type LeafCommit, type LogSource } from './commitBuffer.js';
import type { AnyProjection } from './projection.js';
import type { Advance, Projector } from './projector.js';

/** Rows that change often gather for this long, or until there are so many, unless somebody waits for them. */
const gatherMs = 250;
const gatherRows = 4096;
/** Between parts of a write that nobody waits for, and how long all of these pauses take at most. */
const pauseMs = 2;
const pausedMs = 100;
/** With nothing to do, a turn comes all the same: the end of a pause that no message ends. */
const idleMs = 60_000;
const backOffMs = { first: 50, most: 5000 };

/** Errors after which going on would skip events or lose rows. By name: some have crossed a thread. */
const fatal = new Set(['UnknownEventType', 'HoleError', 'StorageError']);

/** Work that is done between the turns of a follower, with nothing else of its projector under way. */
export interface SideWork {
  /** True: there is more to do at once. */
  step(): Promise<boolean>;
  /** After any error of the follower's, before the next step. */
  reset(): Promise<void>;
}

export interface FollowerOptions {
  readonly projector: Projector;
  readonly log: LogSource;
  /** Those that are folded from the start. */
  readonly owned: readonly number[];
  readonly beside: SideWork;
  /** What was written, and since when commits wait in the log that are not folded (undefined: none are seen). */
  onProgress(advances: readonly Advance[], behindSince: Time | undefined): void;
  /** Something failed and is tried again, later each time. */
  onTrouble(error: unknown): void;
}

/** Keeps a projector at the end of the log, and decides when it writes. */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #intake: Intake;
  readonly #wake = new Wake();
  readonly #stopping = new AbortController();
  /** Sizes that somebody waits for, by partition, until they are written. */
  readonly #wanted = new Map<number, number>();
  #gatheringSince: number | undefined;
  #mustRestart = false;
  #owned: ReadonlySet<number>;
  /** Who waits until what is owned is what is folded. */
  #settling: (() => void)[] = [];
  /** What is to be done with nothing folded that is not written. */
  #between: { readonly work: () => Promise<void>; readonly done: (outcome: Promise<void>) => void }[] = [];
  #behindSince: Time | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
    const { log, owned, onTrouble } = options;
    this.#owned = new Set(owned);
    this.#intake = new Intake({ log, onTrouble, onArrival: () => this.#wake.wake() });
  }

  /** A durable commit; one that is missed is read from the log. */
  ring(commit: LeafCommit): void {
    this.#intake.ring(commit);
  }

  /** Somebody waits until all below `size` is written: no gathering up to there. */
  want(partition: number, size: number): void {
    if (!this.#owned.has(partition)) return;
    this.#wanted.set(partition, Math.max(size, this.#wanted.get(partition) ?? 0));
    this.#wake.wake();
  }

  /**
   * Folds these partitions and no others; resolves when it is so, or when the follower ends. What is folded of one
   * that goes is written first; one that comes begins at the store's checkpoints as they are then.
   */
  own(partitions: readonly number[]): Promise<void> {
    this.#owned = new Set(partitions);
    this.#wake.wake();
    return new Promise((resolve) => this.#settling.push(resolve));
  }

  /** What the projector folds has changed: begins again at the store's checkpoints. */
  restart(): void {
    this.#mustRestart = true;
    this.#wake.wake();
  }

  /** Tells how far a projection is written. */
  report(projection: AnyProjection): void {
    const written = this.#options.projector.written(projection);
    this.#report(written.map((size, partition) => ({ projection, partition, size })));
  }

  /** There is side work to do. */
  nudge(): void {
    this.#wake.wake();
  }

  /** Does this between two turns, with all that is folded written; gives what comes of it. Rejects at the end. */
  between(work: () => Promise<void>): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.reject(new Error('the projector has stopped'));
    this.#wake.wake();
    return new Promise((done) => this.#between.push({ work, done }));
  }

  stop(): void {
    this.#stopping.abort();
    this.#wake.wake();
  }

  /** Runs until `stop`, then writes what is folded. Rejects with an error that must stop the process. */
  async run(): Promise<void> {
    let failures = 0;
    while (!this.#stopping.signal.aborted) {
      try {
        if (this.#mustRestart) await this.#halt();
        if (!this.#intake.isRunning) await this.#start();
        await this.#turn();
        failures = 0;
      } catch (error) {
        await this.#intake.stop();
        if (error instanceof Error && fatal.has(error.name)) throw error;
        this.#options.onTrouble(error);
        await this.#pause(Math.min(backOffMs.first * 2 ** failures++, backOffMs.most));
      }
    }
    await this.#intake.stop();
    // After a failure nothing in memory is worth writing: the log has it all.
    if (failures === 0) await this.#write();
    this.#settled();
    for (const { done } of this.#between.splice(0))
      done(Promise.reject(new Error('the projector has stopped')));
  }

  async #halt(): Promise<void> {
    await this.#intake.stop();
    await this.#write();
    this.#mustRestart = false;
  }

  /** From the store's checkpoints on, whatever was in memory. */
  async #start(): Promise<void> {
    const { projector, beside } = this.#options;
    await projector.reset();
    await beside.reset();
    this.#gatheringSince = undefined;
    this.#intake.start();
    for (const partition of this.#owned) this.#intake.enter(partition, projector.position(partition));
  }

  async #turn(): Promise<void> {
    const { projector, beside } = this.#options;
    await this.#settle();
    await this.#interlude();
    const taken = this.#intake.take();
    for (const frames of taken) await projector.fold(frames);
    if (projector.isBehind) this.#gatheringSince ??= performance.now();
    if (this.#isDue()) await this.#write();
    else if (this.#behindSince !== this.#intake.behindSince()) this.#report([]);
    const isBusy = await beside.step();
    // A turn of the event loop, even when all of this was synchronous: messages must get in.
    if (isBusy || taken.length > 0) await nextTurn();
    else await this.#wake.wait(this.#untilDue());
  }

  /** Leaves and enters partitions; the others are not disturbed. */
  async #settle(): Promise<void> {
    if (this.#settling.length === 0) return;
    const { projector } = this.#options;
    const owned = this.#owned;
    const gone = this.#intake.partitions.filter((partition) => !owned.has(partition));
    const come = [...owned].filter((partition) => !this.#intake.partitions.includes(partition));
    await Promise.all(gone.map((partition) => this.#intake.leave(partition)));
    for (const partition of gone) this.#wanted.delete(partition);
    if (gone.length > 0) await this.#write();
    for (const partition of come) {
      this.#report(await projector.renew(partition));
      this.#intake.enter(partition, projector.position(partition));
    }
    // Told otherwise in the meantime: the next turn goes on, and then resolves these too.
    if (owned === this.#owned) this.#settled();
  }

  async #interlude(): Promise<void> {
    if (this.#between.length === 0) return;
    await this.#write();
    for (const { work, done } of this.#between.splice(0)) {
      const outcome = work();
      done(outcome);
      await outcome.catch(() => {}); // Told to who asked for it.
    }
  }

  #settled(): void {
    for (const resolve of this.#settling.splice(0)) resolve();
  }

  #isDue(): boolean {
    const { projector } = this.#options;
    if (!projector.isBehind) return false;
    return projector.pending >= gatherRows || this.#untilDue() <= 0 || this.#isWanted();
  }

  #isWanted(): boolean {
    let isWanted = false;
    for (const [partition, size] of this.#wanted) {
      const { folded, written } = this.#options.projector.sizes(partition);
      if (written >= size) this.#wanted.delete(partition);
      else if (folded >= size) isWanted = true;
    }
    return isWanted;
  }

  #untilDue(): number {
    if (this.#gatheringSince === undefined) return idleMs;
    return this.#gatheringSince + gatherMs - performance.now();
  }

  async #write(): Promise<void> {
    const end = performance.now() + pausedMs;
    const advances = await this.#options.projector.write(() =>
      this.#wanted.size > 0 || this.#stopping.signal.aborted || performance.now() > end
        ? undefined
        : delay(pauseMs),
    );
    this.#gatheringSince = undefined;
    this.#report(advances);
  }

  #report(advances: readonly Advance[]): void {
    this.#behindSince = this.#intake.behindSince();
    this.#options.onProgress(advances, this.#behindSince);
  }

  async #pause(ms: number): Promise<void> {
    // Only `stop` ends it early: messages must not make a failing store be tried at their rate.
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

/** One waiter that is woken, or that has waited long enough. A call to `wake` before the wait counts. */
class Wake {
  #isRung = false;
  #resolve: (() => void) | undefined;

  wake(): void {
    this.#isRung = true;
    this.#resolve?.();
  }

  /** Resolves at the next `wake`, or after `ms`. */
  async wait(ms: number): Promise<void> {
    if (!this.#isRung)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#resolve = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    this.#resolve = undefined;
    this.#isRung = false;
  }
}
