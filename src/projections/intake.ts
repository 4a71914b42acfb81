import type { Time } from '../events/types.js';
import { follow, type Reader } from '../log/reader.js';
import { type Frame, frameOf, type LeafCommit, type LogSource } from './frame.js';

/** What waits to be taken, in characters of leaves; a reader that finds it full waits, and reads the log later. */
const bufferSize = 4 * 1024 * 1024;

interface IntakeOptions {
  readonly log: LogSource;
  /** There is something to take, or a reader has stopped. */
  onArrival(): void;
  /** The log could not be read; it will be tried again. */
  onTrouble(error: unknown): void;
}

/** What a partition's reader has come to. */
interface Arrivals {
  waiting: Frame[];
  /** When the last commit read from the log was recorded, where the end of the log has not been seen. */
  behind: Time | undefined;
}

/** Commits of several partitions, from the doorbell and from the log, decoded and without gap, until they are taken. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #inlets = new Map<number, { readonly reader: Reader<LeafCommit>; readonly arrivals: Arrivals }>();
  #size = 0;
  #hasSpace: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #failure: { readonly error: unknown } | undefined;
  #isRunning = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Those that are read now. */
  get partitions(): readonly number[] {
    return [...this.#inlets.keys()];
  }

  /** From now on partitions may be entered. */
  start(): void {
    this.#failure = undefined;
    this.#isRunning = true;
  }

  /** Begins to read a partition, which is not being read, behind this position. */
  enter(partition: number, after: number): void {
    const arrivals: Arrivals = { waiting: [], behind: undefined };
    const reader = follow<LeafCommit>({
      partition,
      after,
      read: (position, limit) => this.#read(arrivals, partition, position, limit),
      handle: (commit) => this.#arrive(arrivals, commit),
      onStop: (error) => this.#stopped(error),
      onReadError: this.#options.onTrouble,
    });
    this.#inlets.set(partition, { reader, arrivals });
  }

  /** Reads a partition no more, and lets go of what was not taken of it. */
  async leave(partition: number): Promise<void> {
    const inlet = this.#inlets.get(partition);
    this.#inlets.delete(partition);
    const stopped = inlet?.reader.stop();
    // Its reader may be waiting for space.
    this.#makeSpace();
    await stopped;
  }

  /** The doorbell: a durable commit. What it skips is read from the log. */
  ring(commit: LeafCommit): void {
    this.#inlets.get(commit.partition)?.reader.ring(commit);
  }

  /** What has arrived, by partition, in order. Throws what stopped a reader. */
  take(): Frame[][] {
    if (this.#failure) throw this.#failure.error;
    const taken: Frame[][] = [];
    for (const { arrivals } of this.#inlets.values()) {
      if (arrivals.waiting.length > 0) taken.push(arrivals.waiting);
      arrivals.waiting = [];
    }
    this.#makeSpace();
    return taken;
  }

  /** Since when commits wait in the log that this has yet to come to; undefined at the end of the log. */
  behindSince(): Time | undefined {
    let oldest: Time | undefined;
    for (const { arrivals } of this.#inlets.values()) {
      const { behind } = arrivals;
      if (behind !== undefined && (oldest === undefined || behind < oldest)) oldest = behind;
    }
    return oldest;
  }

  /** Reads nothing more, and lets go of what was not taken. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.partitions.map((partition) => this.leave(partition)));
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

  #arrive(arrivals: Arrivals, commit: LeafCommit): void | Promise<void> {
    arrivals.waiting.push(frameOf(commit));
    for (const leaf of commit.leaves) this.#size += leaf.length;
    this.#options.onArrival();
    if (this.#size < bufferSize) return;
    this.#hasSpace ??= withResolver();
    return this.#hasSpace.promise;
  }

  #makeSpace(): void {
    this.#size = 0;
    this.#hasSpace?.resolve();
    this.#hasSpace = undefined;
  }

  #stopped(error: unknown): void {
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
