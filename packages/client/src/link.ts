import { type Backoff, backoffDelay, deferred } from './options.js';
import {
  type After,
  ClientError,
  type EndReason,
  type ErrorBody,
  type Push,
  type RequestAnswer,
  type RequestInput,
  type RequestName,
  type User,
  type WebSocketClass,
  type WebSocketLike,
} from './types.js';

/** The state of a client, with the resources that only this state has. */
export type Phase =
  | { readonly state: 'new' }
  | { readonly state: 'connecting'; readonly link: Link }
  | { readonly state: 'replaying'; readonly link: Link; readonly user: User }
  | { readonly state: 'live'; readonly link: Link; readonly user: User; readonly resumed: boolean }
  | {
      readonly state: 'waiting';
      readonly delayMs: number;
      readonly code: number;
      readonly reason: string;
      readonly cancel: () => void;
    }
  | { readonly state: 'ended'; readonly why: 'closed' | 'signed_out'; readonly reason?: EndReason };

/** The close code for a server that does not answer, or sends faster than the handlers run. */
export const GIVE_UP_CODE = 4000;

interface LinkEvents {
  onOpen(): void;
  onPush(push: Push): void;
  /** Called once, after every pending request was rejected with `disconnected`. */
  onEnd(code: number, reason: string): void;
}

interface LinkOptions {
  readonly webSocket: WebSocketClass;
  readonly after: After;
  /** The connection is closed when an answer is due and nothing arrives for this time. */
  readonly answerTimeoutMs: number;
}

interface PendingRequest {
  resolve(data: unknown): void;
  reject(error: ClientError): void;
}

type Answer = { readonly id: number } & ({ readonly data: unknown } | { readonly error: ErrorBody });
/** The last kind answers a frame without a usable id, which this client never sends. */
type Frame = Answer | Push | { readonly error: ErrorBody };

/** One socket, from opening to its end. Matches answers to requests; never reconnects. */
export class Link {
  readonly #socket: WebSocketLike;
  readonly #options: LinkOptions;
  readonly #events: LinkEvents;
  readonly #pending = new Map<number, PendingRequest>();
  #lastId = 0;
  /** Whether something arrived since the last check of the watch. The socket's opening is the first answer due. */
  #hasReceived = false;
  #cancelWatch: (() => void) | undefined;
  #isEnded = false;

  constructor(url: string, options: LinkOptions, events: LinkEvents) {
    this.#options = options;
    this.#events = events;
    this.#socket = new options.webSocket(url);
    this.#watch();
    this.#socket.addEventListener('open', () => {
      this.#hasReceived = true;
      if (!this.#isEnded) events.onOpen();
    });
    this.#socket.addEventListener('message', ({ data }) => {
      if (!this.#isEnded) this.#receive(String(data));
    });
    this.#socket.addEventListener('close', ({ code, reason }) => this.#finish(code, reason));
    // `close` follows every error. Without a listener, `ws` would throw.
    this.#socket.addEventListener('error', () => {});
  }

  /** Sends one request. Rejects with the server's error, or `disconnected` when the link ends first. */
  request<N extends RequestName>(event: N, data: RequestInput<N>): Promise<RequestAnswer<N>> {
    if (this.#isEnded) return Promise.reject(new ClientError({ code: 'disconnected' }));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      // The contract says what an answer to this event holds.
      this.#pending.set(id, { resolve: (answer) => resolve(answer as RequestAnswer<N>), reject });
      if (!this.#cancelWatch) this.#watch();
      this.#socket.send(JSON.stringify({ id, event, data }));
    });
  }

  /** Ends the link at once: later frames are ignored. */
  end(code: number, reason: string): void {
    if (this.#isEnded) return;
    // A server that does not answer would not answer a close frame either.
    if (code === GIVE_UP_CODE && this.#socket.terminate) this.#socket.terminate();
    else this.#socket.close(code, reason);
    this.#finish(code, reason);
  }

  /** One timer for all requests. Any frame proves that the server is alive: answers may queue behind many pushes. */
  #watch(): void {
    this.#cancelWatch = this.#options.after(this.#options.answerTimeoutMs, () => {
      this.#cancelWatch = undefined;
      if (!this.#hasReceived) this.end(GIVE_UP_CODE, 'no answer');
      else if (this.#pending.size > 0) this.#watch();
      this.#hasReceived = false;
    });
  }

  #receive(text: string): void {
    this.#hasReceived = true;
    let frame: Frame;
    try {
      // The server keeps to the contract; a proxy in between may not.
      frame = JSON.parse(text) as Frame;
    } catch {
      this.end(GIVE_UP_CODE, 'not a frame');
      return;
    }
    if ('id' in frame) {
      const waiting = this.#pending.get(frame.id);
      this.#pending.delete(frame.id);
      if ('error' in frame) waiting?.reject(new ClientError(frame.error));
      else waiting?.resolve(frame.data);
    } else if ('data' in frame) this.#events.onPush(frame);
  }

  #finish(code: number, reason: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#cancelWatch?.();
    for (const { reject } of this.#pending.values()) {
      reject(new ClientError({ code: 'disconnected', message: `the connection ended (${code})` }));
    }
    this.#pending.clear();
    this.#events.onEnd(code, reason);
  }
}

const MAX_OPEN_REQUESTS = 1000;

export interface RetryTiming {
  readonly after: After;
  readonly random: () => number;
  readonly backoff: Backoff;
}

/** Requests that outlive connections: repeated until they are answered, refused, or out of time. */
export class Requests {
  #link: Link | undefined;
  #ended: ClientError | undefined;
  readonly #waitingForLink = new Set<(link: Link) => void>();
  /** The function that rejects each open request. */
  readonly #open = new Set<(error: ClientError) => void>();
  readonly #timing: RetryTiming;

  constructor(timing: RetryTiming) {
    this.#timing = timing;
  }

  /** Sets the connection to use; `undefined`: requests wait for the next. */
  use(link: Link | undefined): void {
    this.#link = link;
    if (link) for (const go of [...this.#waitingForLink]) go(link);
  }

  /** Rejects all requests, present and future. */
  end(error: ClientError): void {
    this.#ended = error;
    this.#link = undefined;
    for (const cancel of [...this.#open]) cancel(error);
  }

  /** Calls `ask` with this connection and later ones, for at most `timeoutMs`. */
  async retryUntilAnswered<T>(ask: (link: Link) => Promise<T>, timeoutMs: number): Promise<T> {
    if (this.#ended) throw this.#ended;
    if (Number.isFinite(timeoutMs) && this.#open.size >= MAX_OPEN_REQUESTS)
      throw new ClientError({ code: 'too_many' });
    const { promise: canceled, reject: cancel } = deferred<never>();
    // It may be canceled between two waits.
    canceled.catch(() => {});
    this.#open.add(cancel);
    const timeout = (): void => cancel(new ClientError({ code: 'timeout' }));
    const stop = Number.isFinite(timeoutMs) ? this.#timing.after(timeoutMs, timeout) : () => {};
    try {
      for (let failures = 0; ; failures++) {
        const link = this.#link ?? (await this.#nextLink(canceled));
        try {
          return await Promise.race([canceled, ask(link)]);
        } catch (error) {
          if (!(error instanceof ClientError) || !error.canRetry) throw error;
          // The client itself waits before it reconnects.
          if (error.code !== 'disconnected') await this.#pause(error, failures, canceled);
        }
      }
    } finally {
      stop();
      this.#open.delete(cancel);
    }
  }

  #nextLink(canceled: Promise<never>): Promise<Link> {
    const { promise: next, resolve: go } = deferred<Link>();
    this.#waitingForLink.add(go);
    return Promise.race([canceled, next]).finally(() => this.#waitingForLink.delete(go));
  }

  /** Waits longer than the server asks for, so that the clients that it told so do not return all at once. */
  #pause(error: ClientError, failures: number, canceled: Promise<never>): Promise<void> {
    const { after, random, backoff } = this.#timing;
    const ms = (error.retryAfterMs ?? 0) + backoffDelay(failures, random(), backoff);
    const { promise: passed, resolve } = deferred<void>();
    return Promise.race([canceled, passed]).finally(after(ms, resolve));
  }
}
