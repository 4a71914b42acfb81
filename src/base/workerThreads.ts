import { availableParallelism, setPriority } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type MessagePort, Worker } from 'node:worker_threads';

/** The functions that a worker thread serves. Arguments and results must be cloneable. */
export type Api = Record<string, (...args: never[]) => unknown>;
/** The same functions, called from another thread: every call is asynchronous. */
export type Remote<A extends Api> = {
  [K in keyof A]: (...args: Parameters<A[K]>) => Promise<Awaited<ReturnType<A[K]>>>;
};

type Port = Pick<MessagePort, 'postMessage' | 'on'> | Pick<Worker, 'postMessage' | 'on'>;
type Request = { id: number; method: string; args: unknown[] };
type Response = { id: number; value?: unknown; error?: WireError };
/** An error as data, so that it can cross threads. */
export type WireError = {
  name: string;
  message: string;
  stack: string | undefined;
  props: Record<string, unknown>;
};

/** An error from another thread, with the name and own properties of the original. */
class RemoteError extends Error {
  constructor(wire: WireError) {
    super(wire.message);
    Object.assign(this, wire.props);
    this.name = wire.name;
    if (wire.stack !== undefined) this.stack = wire.stack;
  }
}

/** The error as data, with its own properties that are text, numbers or booleans. */
export function encodeError(error: unknown): WireError {
  if (!(error instanceof Error))
    return { name: 'Error', message: String(error), stack: undefined, props: {} };
  const props = Object.fromEntries(
    Object.entries(error).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value)),
  );
  return { name: error.name, message: error.message, stack: error.stack, props };
}

/** The error that `encodeError` was given, with its name but without its class. */
export const decodeError = (wire: WireError): Error => new RemoteError(wire);

const transferLists = new WeakMap<object, readonly ArrayBuffer[]>();

/**
 * Marks a result whose buffers are moved to the other thread instead of copied. Nothing else may use them.
 */
export function withTransferList<T extends object>(value: T, ...buffers: readonly ArrayBuffer[]): T {
  transferLists.set(value, buffers);
  return value;
}

const transferListOf = (value: unknown): readonly ArrayBuffer[] =>
  (typeof value === 'object' && value !== null && transferLists.get(value)) || [];

/**
 * Serves `api` to the other thread. Calls start in the order they were made; a synchronous call ends before
 * the next starts.
 */
export function serveThread(port: Port, api: Api): void {
  const reply = (response: Response) => port.postMessage(response, transferListOf(response.value));
  port.on('message', ({ id, method, args }: Request) => {
    try {
      // Both threads are compiled against this api, so that the arguments fit.
      const value = (api[method] as (...a: unknown[]) => unknown)(...args);
      if (value instanceof Promise) {
        value.then(
          (v) => reply({ id, value: v }),
          (error: unknown) => reply({ id, error: encodeError(error) }),
        );
      } else reply({ id, value });
    } catch (error) {
      reply({ id, error: encodeError(error) });
    }
  });
}

/**
 * Returns the functions that another thread serves. No call waits for ever: once the thread ends, open and
 * later calls reject. Other messages of the thread go to `onNotice`.
 */
export function connectThread<A extends Api>(
  worker: Worker | MessagePort,
  onNotice?: (notice: unknown) => void,
): Remote<A> {
  let next = 0;
  let failure: Error | undefined;
  const open = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  const failAll = (error: Error) => {
    failure ??= error;
    for (const call of open.values()) call.reject(failure);
    open.clear();
  };
  worker.on('message', (message: Response | { notice: unknown }) => {
    if ('notice' in message) return onNotice?.(message.notice);
    const call = open.get(message.id);
    open.delete(message.id);
    if (message.error) call?.reject(new RemoteError(message.error));
    else call?.resolve(message.value);
  });
  // A port needs no such handler: its two threads end together.
  if (worker instanceof Worker) {
    worker.on('error', (error: Error) => failAll(error));
    worker.on('exit', (code) => failAll(new Error(`the worker thread ended with exit code ${code}`)));
  }
  const call =
    (method: string) =>
    (...args: unknown[]) =>
      new Promise((resolve, reject) => {
        if (failure) return reject(failure);
        open.set(next, { resolve, reject });
        worker.postMessage({ id: next++, method, args } satisfies Request);
      });
  const methods = new Map<string, (...args: unknown[]) => Promise<unknown>>();
  // The target is never read: `get` answers every property.
  return new Proxy({} as Remote<A>, {
    get(_, method: string) {
      if (method === 'then') return undefined;
      const known = methods.get(method);
      if (known) return known;
      const made = call(method);
      methods.set(method, made);
      return made;
    },
  });
}

/**
 * Lowers this thread's priority, so that threads serving users run first. `niceness` is 0 to 19. Linux only:
 * elsewhere it would apply to the whole process.
 */
export function lowerPriority(niceness: number): void {
  if (process.platform === 'linux') setPriority(0, niceness);
}

/** Bounds memory: each thread opens the log and has its own buffers. */
const MAX_THREADS = 8;
/** Far more than the long-lived data needs. Without this limit, V8 collects the short-lived rest late. */
const MAX_OLD_GENERATION_MB = 256;

type Task<A extends Api> = (worker: Remote<A>) => Promise<void>;

/** A pool of threads that do the same work. Each thread runs one task at a time. */
export class WorkerPool<A extends Api & { close: () => unknown }> {
  readonly #threads: readonly { readonly worker: Worker; readonly remote: Remote<A> }[];
  #lastIndex = 0;

  /**
   * Starts one thread per core, at most `MAX_THREADS` and at most `tasks`, the number of tasks that are worth a
   * thread; `script` serves `A`. `maxYoungGenerationSizeMb` should hold the data of one step of work. A smaller value
   * costs a fifth of the time for copying.
   */
  constructor(script: URL, workerData: unknown, maxYoungGenerationSizeMb: number, tasks = Infinity) {
    const count = Math.max(1, Math.min(availableParallelism(), MAX_THREADS, tasks));
    this.#threads = Array.from({ length: count }, () => {
      const resourceLimits = { maxYoungGenerationSizeMb, maxOldGenerationSizeMb: MAX_OLD_GENERATION_MB };
      const worker = new Worker(script, { workerData, resourceLimits });
      return { worker, remote: connectThread<A>(worker) };
    });
  }

  /** The number of threads. */
  get size(): number {
    return this.#threads.length;
  }

  /** Returns the next thread, in turn. */
  next(): Remote<A> {
    this.#lastIndex = (this.#lastIndex + 1) % this.#threads.length;
    const thread = this.#threads[this.#lastIndex];
    if (!thread) throw new RangeError('the pool has no thread');
    return thread.remote;
  }

  /** Starts the tasks in order. On the first error it rejects and starts no more. */
  async runAll(tasks: readonly Task<A>[]): Promise<void> {
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

  /** Closes the resources of the threads, then ends them, with any work still running. */
  async close(): Promise<void> {
    // A thread that has failed cannot close: its error was reported already.
    await Promise.allSettled(
      // `A` has `close`, without arguments.
      this.#threads.map(({ remote }) => (remote as unknown as Remote<{ close(): unknown }>).close()),
    );
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }
}

/** What makes garbage in a thread, and how much the thread works. */
export interface ThreadMemory {
  /** The part of the time since the last call in which the thread worked: 0 to 1. */
  utilization(): number;
  /** How many things that leave garbage behind have happened since the start. */
  turnover(): number;
  /** Collects all garbage. The thread does nothing else meanwhile. */
  collect(): void;
}

/** A thread that worked for less than this part of the time is idle. */
const IDLE_UTILIZATION = 0.02;
/** A collection is worth its price after as many. */
const WORTH_COLLECTING = 1000;
const IDLE_LOOK_MS = 5000;

/**
 * Collects the garbage of a burst once the thread is idle, and again 5 s later. V8 collects when it is asked for memory,
 * so an idle thread would keep what its last burst has left. It is done rarely, because code runs slower for a while
 * after it.
 */
export class IdleCollection {
  readonly #memory: ThreadMemory;
  #collectedAt = 0;
  #isAgain = false;

  constructor(memory: ThreadMemory) {
    this.#memory = memory;
  }

  /** To be called every few seconds. */
  look(): void {
    const isIdle = this.#memory.utilization() < IDLE_UTILIZATION;
    if (!isIdle) return;
    const turnover = this.#memory.turnover();
    const isWorthIt = turnover - this.#collectedAt >= WORTH_COLLECTING;
    if (!isWorthIt && !this.#isAgain) return;
    // Pages that the first collection has emptied in part go back to the system in the second.
    this.#isAgain = isWorthIt;
    this.#collectedAt = turnover;
    this.#memory.collect();
  }
}

/**
 * Makes this thread collect its garbage when it is idle after a burst: see `ThreadMemory` for `turnover`. Does not keep
 * the process alive.
 */
export function collectWhenIdle(turnover: () => number): void {
  // V8 defines `gc` only in contexts that are made while the flag is set.
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void; // As the flag says.
  setFlagsFromString('--no-expose-gc');
  let last = performance.eventLoopUtilization();
  const collection = new IdleCollection({
    utilization() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    turnover,
    collect,
  });
  setInterval(() => collection.look(), IDLE_LOOK_MS).unref();
}
