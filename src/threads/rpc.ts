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

function toWire(error: unknown): WireError {
  if (!(error instanceof Error))
    return { name: 'Error', message: String(error), stack: undefined, props: {} };
  const props = Object.fromEntries(
    Object.entries(error).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value)),
  );
  return { name: error.name, message: error.message, stack: error.stack, props };
}

const givenAway = new WeakMap<object, readonly ArrayBuffer[]>();

/** A result whose buffers become the other thread's, instead of being copied; each must be no other's. */
export function giving<T extends object>(value: T, ...buffers: readonly ArrayBuffer[]): T {
  givenAway.set(value, buffers);
  return value;
}

const buffersOf = (value: unknown): readonly ArrayBuffer[] =>
  (typeof value === 'object' && value !== null && givenAway.get(value)) || [];

/** Serves `api` to the other thread. Calls start in the order they were made; a synchronous one ends before the next. */
export function serve(port: Port, api: Api): void {
  const reply = (response: Response) => port.postMessage(response, buffersOf(response.value));
  port.on('message', ({ id, method, args }: Request) => {
    try {
      // The caller's types are this api's: both sides are compiled against it.
      const value = (api[method] as (...a: unknown[]) => unknown)(...args);
      if (value instanceof Promise) {
        value.then(
          (v) => reply({ id, value: v }),
          (error: unknown) => reply({ id, error: toWire(error) }),
        );
      } else reply({ id, value });
    } catch (error) {
      reply({ id, error: toWire(error) });
    }
  });
}

/**
 * Calls the functions another thread serves. When the thread ends, every open call and all later ones
 * reject: the promise is that no call waits for ever. Other messages of the thread go to `onNotice`.
 */
export function connect<A extends Api>(
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
