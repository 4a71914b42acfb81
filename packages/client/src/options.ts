import type { After, CursorStore, Push, PushHandler, PushName, WebSocketClass } from './types.js';

/** Of a request that waits for its answer as long as the client lives. */
export const FOREVER = { timeoutMs: Number.POSITIVE_INFINITY };

/** The waits between tries, in milliseconds. */
export interface Backoff {
  /** The upper bound of the first wait. */
  readonly baseMs: number;
  /** The upper bound of every wait. */
  readonly capMs: number;
}

/**
 * The wait before the next try: exponential with full jitter, evenly spread over 0 to
 * `min(cap, base · 2^failures)`, so that clients do not reconnect all at once when a server is back.
 * Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 * @param random 0 inclusive to 1 exclusive
 */
export function backoffDelay(failures: number, random: number, { baseMs, capMs }: Backoff): number {
  return random * Math.min(capMs, baseMs * 2 ** failures);
}

/** A token, and when it ends if that is known. A JWT says so itself; what `Rest.signIn` answers is one too. */
export type Token = string | { readonly token: string /** An ISO 8601 time. */; readonly expiresAt?: string };

/**
 * Gives the present token of the user, and may renew the sign-in. It is called for every connection, and again a minute
 * before a token ends: the connection goes on with the new one. If the server refuses a token, it is called again, and the
 * client goes on if it gives another one. Rejecting with the code `unauthenticated` ends the client as signed out; after
 * another error it is called again later.
 */
export type TokenSource = () => Token | Promise<Token>;

/** A token to use now, and the milliseconds until it ends; NaN if that is not known. */
export interface KnownToken {
  readonly token: string;
  readonly lastsMs: number;
}

/** Asks for the token of now. Rejects with the error of the function. */
export async function currentToken(source: TokenSource): Promise<KnownToken> {
  const given = await source();
  const { token, expiresAt = '' } = typeof given === 'string' ? { token: given } : given;
  const endsAt = Date.parse(expiresAt) || expiryOf(token) * 1000;
  return { token, lastsMs: endsAt - Date.now() };
}

/** The seconds since 1970 at which a JWT ends; NaN for another token. */
function expiryOf(token: string): number {
  try {
    const payload = token.split('.')[1] ?? '';
    return Number(JSON.parse(atob(payload.replace(/-/g, '+').replace(/_/g, '/'))).exp);
  } catch {
    return NaN;
  }
}

/** The server of a client. A function is called before every connection and every request over REST. */
export type ServerUrl = string | (() => string);

/** The URL without its last slashes. */
export const baseOf = (url: ServerUrl): string => (typeof url === 'string' ? url : url()).replace(/\/+$/, '');

/** The server and the user's token; the rest has defaults. */
export interface ClientOptions {
  /** `https://chat.example`: of REST and of the socket, which is at `/ws` below it. */
  readonly url: ServerUrl;
  readonly getToken: TokenSource;
  /** Default: the global `WebSocket`. Node 20 has none: pass the class of the `ws` package. */
  readonly webSocket?: WebSocketClass;
  /** Default: in memory, so that each start begins with the present. */
  readonly cursors?: CursorStore;
  /** Called with the errors of handlers and of the cursor store; they do not stop the client. */
  readonly onError?: (error: unknown) => void;
  /** Default: 500 ms for the first wait, 30 s at most. */
  readonly backoff?: Backoff;
  /** A connection without an answer for this time is closed; default 10,000. */
  readonly answerTimeoutMs?: number;
  /** The time between small requests that check an idle connection; default 30,000. */
  readonly keepAliveMs?: number;
  /** From 0 to below 1; default `Math.random`. */
  readonly random?: () => number;
  readonly after?: After;
}

/** Browsers and Node call a timer that is set for longer at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Waits for any time: a server may ask for one that is too long for a single timer, and so may an option. */
export const afterTimeout: After = (ms, run) => {
  let timer: ReturnType<typeof setTimeout>;
  const wait = (left: number): void => {
    const step = Math.min(left, LONGEST_TIMER_MS);
    timer = setTimeout(() => (left > step ? wait(left - step) : run()), step);
  };
  wait(ms);
  return () => clearTimeout(timer);
};

// The inbox itself has the cursor while the client lives.
const NO_STORE: CursorStore = { load: () => undefined, save: () => {} };

function globalWebSocket(): WebSocketClass {
  // The types of Node 20 do not have it; browsers and Node 22 do.
  const { WebSocket } = globalThis as { WebSocket?: WebSocketClass };
  if (!WebSocket) throw new TypeError('no global WebSocket: pass the option webSocket');
  return WebSocket;
}

/** Fills in the defaults. Throws a `TypeError` if there is no WebSocket. */
export function withDefaults(options: ClientOptions): Required<ClientOptions> {
  return {
    webSocket: options.webSocket ?? globalWebSocket(),
    cursors: NO_STORE,
    onError: () => {},
    backoff: { baseMs: 500, capMs: 30_000 },
    answerTimeoutMs: 10_000,
    keepAliveMs: 30_000,
    random: Math.random,
    after: afterTimeout,
    ...options,
  };
}

/** A promise with the functions that settle it. */
export function deferred<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((...both) => {
    [resolve, reject] = both;
  });
  return { promise, resolve, reject };
}

/** Resolves with what `look` gives, as soon as it gives something; rejects with what it throws. */
export function when<T>(
  subscribe: (listener: () => void) => () => void,
  look: () => T | undefined,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const check = (): void => {
      try {
        const found = look();
        if (found === undefined) return;
        resolve(found);
      } catch (error) {
        reject(error);
      }
      stop();
    };
    const stop = subscribe(check);
    check();
  });
}

type AnyHandler = (data: Push['data']) => void | Promise<void>;

/** The handlers of each kind of push. */
export class Listeners {
  readonly #handlers = new Map<PushName, Set<AnyHandler>>();
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  add<N extends PushName>(name: N, handler: PushHandler<N>): () => void {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers);
    // A handler is stored under its own name, and called with the data of that name only.
    const kept = handler as AnyHandler;
    handlers.add(kept);
    return () => handlers.delete(kept);
  }

  /** Calls the handlers of a push one after the other, in the order they were added. Never throws. */
  async call(push: Push): Promise<void> {
    for (const handler of [...(this.#handlers.get(push.event) ?? [])]) {
      try {
        await handler(push.data);
      } catch (error) {
        // A handler that throws must not stop the others, nor make the server repeat the push for ever.
        this.#report(error);
      }
    }
  }
}
