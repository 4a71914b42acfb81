import { availableParallelism, setPriority } from 'node:os';
import { type MessagePort, Worker } from 'node:worker_threads';

/** What a worker thread offers: functions of cloneable arguments and results. */
export type Api = Record<string, (...args: never[]) => unknown>;
/** The same seen from the other thread: every call is asynchronous. */
export type Remote<A extends Api> = {
  [K in keyof A]: (...args: Parameters<A[K]>) => Promise<Awaited<ReturnType<A[K]>>>;
};

type Port = Pick<MessagePort, 'postMessage' | 'on'> | Pick<Worker, 'postMessage' | 'on'>;
type Request = { id: number; method: string; args: unknown[] };
type Response = { id: number; value?: unknown; error?: WireError };
type WireError = { name: string; message: string; stack: string | undefined; props: Record<string, unknown> };

/** An error that crossed a thread: `name` and own properties are those of the original. */
class RemoteError extends Error {
  constructor(wire: WireError) {
    super(wire.message);
    Object.assign(this, wire.props);
    this.name = wire.name;
    if (wire.stack !== undefined) this.stack = wire.stack;
  }
}

function encodeError(error: unknown): WireError {
  if (!(error instanceof Error))
    return { name: 'Error', message: String(error), stack: undefined, props: {} };
  const props = Object.fromEntries(
    Object.entries(error).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value)),
  );
  return { name: error.name, message: error.message, stack: error.stack, props };
}

const transferLists = new WeakMap<object, readonly ArrayBuffer[]>();

/** A result whose buffers become the other thread's, instead of being copied; each must be no other's. */
export function transferring<T extends object>(value: T, ...buffers: readonly ArrayBuffer[]): T {
  transferLists.set(value, buffers);
  return value;
}

const transferListOf = (value: unknown): readonly ArrayBuffer[] =>
  (typeof value === 'object' && value !== null && transferLists.get(value)) || [];

/** Serves `api` to the other thread. Calls start in the order they were made; a synchronous one ends before the next. */
export function serveThread(port: Port, api: Api): void {
  const reply = (response: Response) => port.postMessage(response, transferListOf(response.value));
  port.on('message', ({ id, method, args }: Request) => {
    try {
      // The caller's types are this api's: both sides are compiled against it.
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
 * Calls the functions another thread serves. When the thread ends, every open call and all later ones
 * reject: the promise is that no call waits for ever. Other messages of the thread go to `onNotice`.
 */
export function connectThread<A extends Api>(
  worker: Worker | MessagePort,
  onNotice?: (notice: unknown) => void,
): Remote<A> {
  let next = 0;
  let ended: Error | undefined;
  const open = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  const end = (error: Error) => {
    ended ??= error;
    for (const call of open.values()) call.reject(ended);
    open.clear();
  };
  worker.on('message', (message: Response | { notice: unknown }) => {
    if ('notice' in message) return onNotice?.(message.notice);
    const call = open.get(message.id);
    open.delete(message.id);
    if (message.error) call?.reject(new RemoteError(message.error));
    else call?.resolve(message.value);
  });
  // A port is held by a thread that the main one started: it ends with it, and nobody is left to be told.
  if (worker instanceof Worker) {
    worker.on('error', (error: Error) => end(error));
    worker.on('exit', (code) => end(new Error(`the thread ended with code ${code}`)));
  }
  const call =
    (method: string) =>
    (...args: unknown[]) =>
      new Promise((resolve, reject) => {
        if (ended) return reject(ended);
        open.set(next, { resolve, reject });
        worker.postMessage({ id: next++, method, args } satisfies Request);
      });
  const methods = new Map<string, (...args: unknown[]) => Promise<unknown>>();
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
 * Lets the threads that answer people go first when cores are scarce: on Linux a niceness, 0 to 19, is a thread's
 * own. Elsewhere it would be the whole process's, so nothing is changed there.
 */
export function lowerPriority(niceness: number): void {
  if (process.platform === 'linux') setPriority(0, niceness);
}

/** What a crew's threads do must be bounded: each has the log open, and buffers of its own. */
const MAX_THREADS = 8;
/** Far more than what lives long; with no such bound, what does not is cleared up late. */
const MAX_OLD_GENERATION_MB = 256;

type Task<A extends Api> = (worker: Remote<A>) => Promise<void>;

/** Threads that do the same work; each task has one of them to itself. */
export class WorkerPool<A extends Api & { close: () => unknown }> {
  readonly #threads: readonly { readonly worker: Worker; readonly remote: Remote<A> }[];
  #lastIndex = 0;

  /**
   * As many threads as there are cores, at most 8. `script` serves `A`. What lives for one step of the work should die
   * young, in so many MB: with too few, a fifth of the time is copying it.
   */
  constructor(script: URL, workerData: unknown, maxYoungGenerationSizeMb: number) {
    const count = Math.min(availableParallelism(), MAX_THREADS);
    this.#threads = Array.from({ length: count }, () => {
      const resourceLimits = { maxYoungGenerationSizeMb, maxOldGenerationSizeMb: MAX_OLD_GENERATION_MB };
      const worker = new Worker(script, { workerData, resourceLimits });
      return { worker, remote: connectThread<A>(worker) };
    });
  }

  /** How many threads there are. */
  get size(): number {
    return this.#threads.length;
  }

  /** One of the threads, each in its turn. */
  next(): Remote<A> {
    this.#lastIndex = (this.#lastIndex + 1) % this.#threads.length;
    const thread = this.#threads[this.#lastIndex];
    if (!thread) throw new RangeError('a crew has threads');
    return thread.remote;
  }

  /** Begins the tasks in their order; rejects with the first error, and then begins no more. */
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
