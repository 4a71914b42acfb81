import type { After, CursorStore, Push, PushHandler, PushName, WebSocketClass } from './types.js';

/** How long to wait between tries, in milliseconds. */
export interface Backoff {
  /** The most that the first wait may be. */
  readonly baseMs: number;
  /** The most that any wait may be. */
  readonly capMs: number;
}

/**
 * The wait before the next try, after `failures` failed ones: exponential with full jitter, that is
 * evenly spread over 0 to `min(cap, base · 2^failures)`, so that the clients of a server that comes
 * back do not come in step. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 * @param random 0 inclusive to 1 exclusive
 */
export function backoffDelay(failures: number, random: number, { baseMs, capMs }: Backoff): number {
  return random * Math.min(capMs, baseMs * 2 ** failures);
}

/** What a client needs: where the server is, and as whom. The rest has defaults. */
export interface ClientOptions {
  /** `ws://…/ws`; a function is asked before every connection. */
  readonly url: string | (() => string);
  readonly token: string;
  /** Default: the global `WebSocket`. Node 20 has none: give it the class of `ws`. */
  readonly webSocket?: WebSocketClass;
  /** Default: in memory; the device begins with the present. */
  readonly cursors?: CursorStore;
  /** Is told what a handler or the cursor store throws; neither stops the client. */
  readonly onError?: (error: unknown) => void;
  /** Between tries; default 500 ms, at most 30 s. */
  readonly backoff?: Backoff;
  /** A connection that gives no answer for so long is let go; default 10,000. */
  readonly answerTimeoutMs?: number;
  /** The connection is tried with a small request so often; default 30,000. */
  readonly keepAliveMs?: number;
  /** 0 inclusive to 1 exclusive. */
  readonly random?: () => number;
  readonly after?: After;
}

const afterTimeout: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

// The inbox itself remembers the cursor for as long as the client lives.
const nowhere: CursorStore = { load: () => undefined, save: () => {} };

function globalWebSocket(): WebSocketClass {
  // Browsers and Node 22 have it; the types of Node 20 do not.
  const { WebSocket } = globalThis as { WebSocket?: WebSocketClass };
  if (!WebSocket) throw new TypeError('there is no global WebSocket: give createClient a webSocket');
  return WebSocket;
}

/** Fills in the defaults; throws a `TypeError` where there is no WebSocket to be had. */
export function withDefaults(options: ClientOptions): Required<ClientOptions> {
  return {
    webSocket: options.webSocket ?? globalWebSocket(),
    cursors: nowhere,
    onError: () => {},
    backoff: { baseMs: 500, capMs: 30_000 },
    answerTimeoutMs: 10_000,
    keepAliveMs: 30_000,
    random: Math.random,
    after: afterTimeout,
    ...options,
  };
}

type AnyHandler = (data: Push['data']) => void | Promise<void>;

/** Who wants to hear of which push. */
export class Listeners {
  readonly #handlers = new Map<PushName, Set<AnyHandler>>();

  constructor(private readonly report: (error: unknown) => void) {}

  add<N extends PushName>(name: N, handler: PushHandler<N>): () => void {
    const handlers = this.#handlers.get(name) ?? new Set();
    this.#handlers.set(name, handlers);
    // A handler is kept under its own name, and called with the data of that name only.
    const kept = handler as AnyHandler;
    handlers.add(kept);
    return () => handlers.delete(kept);
  }

  /** Calls the handlers of a push in the order they were added, waiting for each; never throws. */
  async call(push: Push): Promise<void> {
    for (const handler of [...(this.#handlers.get(push.event) ?? [])]) {
      try {
        await handler(push.data);
      } catch (error) {
        // One handler's mistake must not stop the others, nor bring the push back for ever.
        this.report(error);
      }
    }
  }
}
