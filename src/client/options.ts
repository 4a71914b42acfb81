import type { Backoff } from './backoff.js';
import type { After, CursorStore, WebSocketClass } from './types.js';

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
