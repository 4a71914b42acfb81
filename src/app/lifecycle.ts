import type { Logger } from 'pino';
import type { Metrics } from '../base/metrics.js';
import type { Config } from '../base/settings.js';

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

/** The same signal again within this time counts as one: a process in a group is often told twice. */
const SAME_SIGNAL_MS = 2000;

/** Decides what each signal to stop does. */
export class StopSignals {
  readonly #now: () => number;
  #first: { readonly signal: string; readonly at: number } | undefined;

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether this signal begins the stop, is the first one once more, or ends the process at once. */
  receive(signal: string): 'stop' | 'repeat' | 'exit' {
    const at = this.#now();
    if (this.#first) {
      const isRepeat = this.#first.signal === signal && at - this.#first.at < SAME_SIGNAL_MS;
      return isRepeat ? 'repeat' : 'exit';
    }
    this.#first = { signal, at };
    return 'stop';
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

/** Logs failures that are tried again. */
export const warnTo =
  (logger: Logger) =>
  (message: string, error: unknown): void =>
    logger.warn({ err: error }, message);
