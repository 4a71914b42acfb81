import type { Bus, CommitFrame, NodeId, Reply } from './bus.js';

/**
 * Creates the bus of a single process. Handlers run in the publisher's turn, in the order of subscription.
 */
export function createMemoryBus(node: NodeId, report: (message: string, error: unknown) => void): Bus {
  const handlers = new Set<(frame: CommitFrame) => void>();
  const server = new RequestServer(report);
  return {
    node,
    publish(frame) {
      for (const handler of handlers) handler(frame);
    },
    subscribe(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    // There is no other node.
    broadcast() {},
    onNote: () => () => {},
    async request(to, body, timeoutMs) {
      if (to !== node) return 'undelivered';
      return withReplyTimeout(timeoutMs, server.handle(body, node, 0));
    },
    serve: (handler) => server.serve(handler),
    isConnected: true,
    onConnectionChange: () => () => {},
    async close() {
      server.close();
      handlers.clear();
    },
  };
}

/** The limits of requests that a node handles at once. Beyond them, requests are refused. */
const MAX_OPEN_REQUESTS = 1024;
const MAX_OPEN_BYTES = 32 * 1024 * 1024;

type Handler = Parameters<Bus['serve']>[0];

/** Handles the requests to this node. */
export class RequestServer {
  readonly #report: (message: string, error: unknown) => void;
  #handler: Handler | undefined;
  #openRequests = 0;
  #openBytes = 0;
  #isClosed = false;

  constructor(report: (message: string, error: unknown) => void) {
    this.#report = report;
  }

  /** See `Bus.serve`. */
  serve(handler: Handler): () => void {
    if (this.#handler) throw new Error('this node already has a request handler');
    this.#handler = handler;
    return () => {
      if (this.#handler === handler) this.#handler = undefined;
    };
  }

  /** Refuses further requests. */
  close(): void {
    this.#isClosed = true;
  }

  /** Passes a request of `bytes` to the handler in the caller's turn. Returns the reply, however late. */
  async handle(body: unknown, from: NodeId, bytes: number): Promise<Reply> {
    const isFull = this.#openRequests >= MAX_OPEN_REQUESTS || this.#openBytes + bytes > MAX_OPEN_BYTES;
    if (!this.#handler || this.#isClosed || isFull) return 'undelivered';
    this.#openRequests++;
    this.#openBytes += bytes;
    try {
      return { reply: await this.#handler(body, from) };
    } catch (error) {
      this.#report(`handling a request of node ${from} failed`, error);
      return 'unanswered';
    } finally {
      this.#openRequests--;
      this.#openBytes -= bytes;
    }
  }
}

/** Returns the answer, or `unanswered` after `timeoutMs`. */
export async function withReplyTimeout(timeoutMs: number, answer: Promise<Reply>): Promise<Reply> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<'unanswered'>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, 'unanswered');
  });
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
