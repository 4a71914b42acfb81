import {
  type After,
  ClientError,
  type ClientState,
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
  | { readonly state: 'ended'; readonly why: 'closed' | 'signed_out' };

/** The part of a phase that callers may see. */
export function stateOf(phase: Phase): ClientState {
  const { link: _, cancel: __, ...state }: Phase & { link?: Link; cancel?: () => void } = phase;
  return state;
}

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
  readonly #pending = new Map<number, PendingRequest>();
  #lastId = 0;
  /** Whether something arrived since the last check of the watch. The socket's opening is the first answer due. */
  #hasReceived = false;
  #cancelWatch: (() => void) | undefined;
  #isEnded = false;

  constructor(
    url: string,
    private readonly options: LinkOptions,
    private readonly events: LinkEvents,
  ) {
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
    this.#cancelWatch = this.options.after(this.options.answerTimeoutMs, () => {
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
    if ('id' in frame) this.#settle(frame);
    else if ('data' in frame) this.events.onPush(frame);
  }

  #settle(answer: Answer): void {
    const waiting = this.#pending.get(answer.id);
    if (!waiting) return;
    this.#pending.delete(answer.id);
    if ('error' in answer) waiting.reject(new ClientError(answer.error));
    else waiting.resolve(answer.data);
  }

  #finish(code: number, reason: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#cancelWatch?.();
    for (const { reject } of this.#pending.values()) {
      reject(new ClientError({ code: 'disconnected', message: `the connection ended (${code})` }));
    }
    this.#pending.clear();
    this.events.onEnd(code, reason);
  }
}
