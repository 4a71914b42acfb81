import type { Logger } from 'pino';
import type { Metrics } from '../base/metrics.js';
import type { Config } from '../base/settings.js';
import type { NodeId } from '../cluster/bus.js';
import type { Owners } from '../cluster/ownership.js';

/** Closes the resources that a start has opened, in reverse order. */
export class Closers {
  readonly #closers: (() => unknown)[] = [];

  /** Call it as soon as the resource is open, so that a start that fails later closes it. */
  add(close: () => unknown): void {
    this.#closers.push(close);
  }

  /**
   * Closes each once, one after the other. Rejects with the first failure and leaves the rest open: a data directory
   * must not be unlocked while something may still write to it.
   */
  async closeAll(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

/**
 * Handles a fatal error. For an event of a newer version, the node hands its partitions over and waits for the
 * upgrade. Any other error ends the process.
 */
export class Retirement {
  #handOver: (() => Promise<void>) | undefined;
  #isRetired = false;

  constructor(
    private readonly logger: Logger,
    private readonly fail: (error: unknown) => void,
  ) {}

  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** Sets how to hand over. Before this call, every fatal error ends the process. */
  enable(handOver: () => Promise<void>): void {
    this.#handOver = handOver;
  }

  readonly onFatal = (error: unknown): void => {
    const isNewer = error instanceof Error && error.name === 'UnknownEventType';
    if (!isNewer || !this.#handOver) return this.fail(error);
    if (this.#isRetired) return;
    this.#isRetired = true;
    this.logger.error({ err: error }, 'this version is too old for the log: upgrade this node');
    this.#handOver().catch(this.fail);
  };
}

/** SIGHUP comes when the terminal is closed. */
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** The same signal again within this time counts as one: a process in a group is often told twice. */
const SAME_SIGNAL_MS = 2000;

/** Decides what each signal to stop does. */
export class StopSignals {
  readonly #now: () => number;
  #first: { readonly signal: StopSignal; readonly at: number } | undefined;

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether this signal begins the stop, comes together with the first, or ends the process at once. */
  receive(signal: StopSignal): 'stop' | 'repeat' | 'exit' {
    const at = this.#now();
    if (!this.#first) {
      this.#first = { signal, at };
      return 'stop';
    }
    // A terminal that is closed sends SIGHUP beside what its programs send.
    const isSame = [signal, this.#first.signal].includes('SIGHUP') || signal === this.#first.signal;
    return isSame && at - this.#first.at < SAME_SIGNAL_MS ? 'repeat' : 'exit';
  }
}

/** Given to every phase of a start. */
export interface Host {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Each phase adds a closer for each resource that it opens. */
  readonly closers: Closers;
  readonly retirement: Retirement;
}

/** Changes that a node notices by itself, within this time. */
const LOOK_EVERY_MS = 10_000;
/** A last time of the log that is further ahead of the clock is warned of. */
const MAX_AHEAD_MS = 5 * 60_000;

/** The parts that `SelfCheck` looks at. */
export interface CheckedParts {
  /** Names the part of the data directory that was deleted or replaced. */
  readonly findLost: () => Promise<string | undefined>;
  /** The last times of the log. */
  readonly lastTimes: () => Promise<readonly string[]>;
  readonly logger: Logger;
  /** The wall clock. */
  readonly now?: () => number;
}

/**
 * Looks every 10 s whether the files of the data directory are still there, and whether the log's last time is ahead of
 * the clock. Logs each change, and holds what it found for `/ready`.
 */
export class SelfCheck {
  #lost: string | undefined;
  #isAhead = false;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  readonly #now: () => number;

  constructor(private readonly parts: CheckedParts) {
    this.#now = parts.now ?? Date.now;
  }

  /** The part whose file is lost. It stays lost, because the process goes on with the deleted file. */
  get lost(): string | undefined {
    return this.#lost;
  }

  /** Whether the log's last time was more than 5 min ahead of the clock. */
  get isAhead(): boolean {
    return this.#isAhead;
  }

  /** Looks for the first time, and then every 10 s. */
  async start(): Promise<void> {
    await this.look();
    this.#timer = setInterval(() => {
      this.#looking = this.look();
    }, LOOK_EVERY_MS).unref();
  }

  /** To be called before the files are closed: then SQLite removes some of them. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  async look(): Promise<void> {
    const { logger } = this.parts;
    try {
      await this.#lookAtClock();
    } catch (err) {
      logger.warn({ err }, 'the last times of the log cannot be read; trying again');
    }
    await this.#lookAtFiles();
  }

  async #lookAtClock(): Promise<void> {
    const { lastTimes, logger } = this.parts;
    const lastMs = Math.max(0, ...(await lastTimes()).map((time) => Date.parse(time)));
    const aheadMs = lastMs - this.#now();
    if (aheadMs > MAX_AHEAD_MS && !this.#isAhead)
      logger.warn(
        `the log's last time is ${Math.round(aheadMs / 1000)} s ahead of the clock: set the clock; until then all events get that time`,
      );
    this.#isAhead = aheadMs > MAX_AHEAD_MS;
  }

  async #lookAtFiles(): Promise<void> {
    const { logger, findLost } = this.parts;
    try {
      const lost = await findLost();
      if (lost === undefined || this.#lost !== undefined) return;
      this.#lost = lost;
      logger.error(
        { part: lost },
        lost === 'lock'
          ? 'the file lock of DATA_DIR was deleted or replaced under the running server: a second server may run there; stop all servers of this directory, then start one'
          : 'a file of DATA_DIR was deleted or replaced under the running server: its data may be lost; stop the server and put the files back',
      );
    } catch (err) {
      logger.warn({ err }, 'the files of DATA_DIR cannot be checked; trying again');
    }
  }
}

/** Logs failures that are tried again. */
export const warnTo =
  (logger: Logger) =>
  (message: string, error: unknown): void =>
    logger.warn({ err: error }, message);

/**
 * Returns the partitions that this node folds into the tables. These are its own, and those whose owner is of
 * another version and does not fold all tables. Two nodes may fold one partition, which is harmless.
 */
export function listFoldedPartitions(node: NodeId, owners: Owners, tables: readonly string[]): number[] {
  return owners.flatMap((owner, partition) => {
    if (owner?.node === node) return [partition];
    // Nothing is known of a node not seen live. Another node will own its partitions soon.
    const { capabilities = tables } = owner ?? {};
    return tables.every((table) => capabilities.includes(table)) ? [] : [partition];
  });
}

/**
 * The partitions that a node folds and signs. A stopping node keeps its partitions even if others take them
 * over. So everything gets folded and signed even when no other node takes over, without waiting for one.
 */
export class FoldAssignment {
  #owned: readonly number[] = [];
  #folded: readonly number[] = [];
  #isRetaining = false;

  constructor(
    private readonly node: NodeId,
    private readonly tables: readonly string[],
  ) {}

  /** The partitions to fold: see `listFoldedPartitions`. */
  get folded(): readonly number[] {
    return this.#folded;
  }

  /** The partitions to sign. */
  get owned(): readonly number[] {
    return this.#owned;
  }

  /** Updates the assignment after owners changed. */
  setOwners(owners: Owners): void {
    const owned = owners.flatMap((owner, partition) => (owner?.node === this.node ? [partition] : []));
    this.#owned = this.#merge(this.#owned, owned);
    this.#folded = this.#merge(this.#folded, listFoldedPartitions(this.node, owners, this.tables));
  }

  /** Keeps the present partitions from now on. Called when the node stops. */
  retainAll(): void {
    this.#isRetaining = true;
  }

  #merge(before: readonly number[], now: readonly number[]): readonly number[] {
    return this.#isRetaining ? [...new Set([...before, ...now])] : now;
  }
}
