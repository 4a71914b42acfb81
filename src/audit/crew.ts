import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type Api, connect, type Remote } from '../threads/rpc.js';

/** What a crew's threads do must be bounded: each has the log open, and buffers of its own. */
const MOST_THREADS = 8;
/** Far more than what lives long; with no such bound, what does not is cleared up late. */
const MOST_OLD_MB = 256;

type Task<A extends Api> = (worker: Remote<A>) => Promise<void>;

/** Threads that do the same work; each task has one of them to itself. */
export class Crew<A extends Api & { close: () => unknown }> {
  readonly #threads: readonly { readonly worker: Worker; readonly remote: Remote<A> }[];
  #turn = 0;

  /**
   * As many threads as there are cores, at most 8. `script` serves `A`. What lives for one step of the work should die
   * young, in so many MB: with too few, a fifth of the time is copying it.
   */
  constructor(script: URL, workerData: unknown, maxYoungGenerationSizeMb: number) {
    const count = Math.min(availableParallelism(), MOST_THREADS);
    this.#threads = Array.from({ length: count }, () => {
      const resourceLimits = { maxYoungGenerationSizeMb, maxOldGenerationSizeMb: MOST_OLD_MB };
      const worker = new Worker(script, { workerData, resourceLimits });
      return { worker, remote: connect<A>(worker) };
    });
  }

  /** How many threads there are. */
  get size(): number {
    return this.#threads.length;
  }

  /** One of the threads, each in its turn. */
  next(): Remote<A> {
    this.#turn = (this.#turn + 1) % this.#threads.length;
    const thread = this.#threads[this.#turn];
    if (!thread) throw new RangeError('a crew has threads');
    return thread.remote;
  }

  /** Begins the tasks in their order; rejects with the first error, and then begins no more. */
  async all(tasks: readonly Task<A>[]): Promise<void> {
    const left = [...tasks];
    const work = async (remote: Remote<A>) => {
      for (let task = left.shift(); task; task = left.shift()) {
        try {
          await task(remote);
        } catch (error) {
          left.length = 0;
          throw error;
        }
      }
    };
    await Promise.all(this.#threads.map(({ remote }) => work(remote)));
  }

  /** Lets go of what the threads have open. Whatever they were at is broken off if it takes too long. */
  async close(): Promise<void> {
    // A thread that has failed has nothing more to say.
    await Promise.allSettled(
      // `A` has it, without arguments.
      this.#threads.map(({ remote }) => (remote as unknown as Remote<{ close(): unknown }>).close()),
    );
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }
}
