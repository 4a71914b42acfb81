import type { Time } from '../events/types.js';
import { follow, type Reader } from '../log/reader.js';
import { type Frame, frameOf, type LeafCommit, type LogSource } from './frame.js';

/** What waits to be taken, in characters of leaves; a reader that finds it full waits, and reads the log later. */
const bufferSize = 4 * 1024 * 1024;

interface IntakeOptions {
  readonly log: LogSource;
  readonly partitions: number;
  /** There is something to take, or a reader has stopped. */
  onArrival(): void;
  /** The log could not be read; it will be tried again. */
  onTrouble(error: unknown): void;
}

/** The commits of all partitions, from the doorbell and from the log, decoded and without gap, until they are taken. */
export class Intake {
  readonly #options: IntakeOptions;
  #readers: readonly Reader<LeafCommit>[] = [];
  #waiting: Frame[][] = [];
  #size = 0;
  #hasSpace: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** When the last commit read from the log was recorded, where the end of the log has not been seen. */
  #behind: (Time | undefined)[] = [];

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#readers.length > 0;
  }

  /** Begins behind these positions, by partition. */
  start(after: (partition: number) => number): void {
    const partitions = Array.from({ length: this.#options.partitions }, (_, partition) => partition);
    this.#waiting = partitions.map(() => []);
    this.#behind = partitions.map(() => undefined);
    this.#failure = undefined;
    this.#readers = partitions.map((partition) =>
      follow<LeafCommit>({
        partition,
        after: after(partition),
        read: (position, limit) => this.#read(partition, position, limit),
        handle: (commit) => this.#arrive(commit),
        onStop: (error) => this.#stopped(error),
        onReadError: this.#options.onTrouble,
      }),
    );
  }

  /** The doorbell: a durable commit. What it skips is read from the log. */
  ring(commit: LeafCommit): void {
    this.#readers[commit.partition]?.ring(commit);
  }

  /** What has arrived, by partition, in order. Throws what stopped a reader. */
  take(): Frame[][] {
    if (this.#failure) throw this.#failure.error;
    const taken = this.#waiting.filter((frames) => frames.length > 0);
    this.#waiting = this.#waiting.map(() => []);
    this.#makeSpace();
    return taken;
  }

  /** Since when commits wait in the log that this has yet to come to; undefined at the end of the log. */
  behindSince(): Time | undefined {
    return this.#behind.reduce(
      (oldest, time) => (oldest && time && oldest < time ? oldest : (time ?? oldest)),
      undefined,
    );
  }

  /** Lets go of what was not taken. */
  async stop(): Promise<void> {
    const readers = this.#readers;
    this.#readers = [];
    this.#waiting = this.#waiting.map(() => []);
    const stopped = Promise.all(readers.map((reader) => reader.stop()));
    this.#makeSpace();
    await stopped;
  }

  async #read(partition: number, after: number, limit: number): Promise<readonly LeafCommit[]> {
    const page = await this.#options.log.read(partition, after, limit);
    const wasBehind = this.#behind[partition] !== undefined;
    this.#behind[partition] = page.at(-1)?.recordedAt;
    if (wasBehind && page.length === 0) this.#options.onArrival();
    return page;
  }

  #arrive(commit: LeafCommit): void | Promise<void> {
    this.#waiting[commit.partition]?.push(frameOf(commit));
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
