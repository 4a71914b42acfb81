import { ClientError, type ErrorBody } from './clientErrors.js';
import type {
  After,
  ClientState,
  Push,
  RequestAnswer,
  RequestInput,
  RequestName,
  User,
  WebSocketClass,
  WebSocketLike,
} from './types.js';

/** What a client is doing, with what only that needs: a link that is not there cannot be used. */
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

/** What is shown of it. */
export function shown(phase: Phase): ClientState {
  switch (phase.state) {
    case 'new':
    case 'ended':
      return phase;
    case 'connecting':
      return { state: 'connecting' };
    case 'replaying':
      return { state: 'replaying', user: phase.user };
    case 'live':
      return { state: 'live', user: phase.user, resumed: phase.resumed };
    case 'waiting':
      return { state: 'waiting', delayMs: phase.delayMs, code: phase.code, reason: phase.reason };
  }
}

/** Closed from this side because the server does not answer, or is faster than the handlers. */
export const LET_GO = 4000;

interface LinkEvents {
  opened(): void;
  pushed(push: Push): void;
  /** Once, however it ended, after every waiting request was rejected with `disconnected`. */
  ended(code: number, reason: string): void;
}

interface LinkOptions {
  readonly webSocket: WebSocketClass;
  readonly after: After;
  /** When an answer is due and nothing at all comes for so long, the connection is let go. */
  readonly answerTimeoutMs: number;
}

interface Waiting {
  resolve(data: unknown): void;
  reject(error: ClientError): void;
}

type Answer = { readonly id: number } & ({ readonly data: unknown } | { readonly error: ErrorBody });
/** The last: a complaint about a frame without a usable id, which this client never sends. */
type Frame = Answer | Push | { readonly error: ErrorBody };

/** One socket, from opening to its end: requests matched with answers. It never reconnects. */
export class Link {
  readonly #socket: WebSocketLike;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  /** Something came since the watch last looked; opening counts as the first answer that is due. */
  #heard = false;
  #cancelWatch: (() => void) | undefined;
  #ended = false;

  constructor(
    url: string,
    private readonly options: LinkOptions,
    private readonly events: LinkEvents,
  ) {
    this.#socket = new options.webSocket(url);
    this.#watch();
    this.#socket.addEventListener('open', () => {
      this.#heard = true;
      if (!this.#ended) events.opened();
    });
    this.#socket.addEventListener('message', ({ data }) => {
      if (!this.#ended) this.#receive(String(data));
    });
    this.#socket.addEventListener('close', ({ code, reason }) => this.#finish(code, reason));
    // What goes wrong is followed by `close`; without a listener `ws` would throw.
    this.#socket.addEventListener('error', () => {});
  }

  /** Sends one request; rejects with the server's error, or `disconnected` when the link ends first. */
  request<N extends RequestName>(event: N, data: RequestInput<N>): Promise<RequestAnswer<N>> {
    if (this.#ended) return Promise.reject(new ClientError({ code: 'disconnected' }));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      // The contract says what an answer to this event holds.
      this.#waiting.set(id, { resolve: (answer) => resolve(answer as RequestAnswer<N>), reject });
      if (!this.#cancelWatch) this.#watch();
      this.#socket.send(JSON.stringify({ id, event, data }));
    });
  }

  /** Ends it from this side, at once: nothing that comes after is heard. */
  end(code: number, reason: string): void {
    if (this.#ended) return;
    // A peer that no longer answers would not answer a close either.
    if (code === LET_GO && this.#socket.terminate) this.#socket.terminate();
    else this.#socket.close(code, reason);
    this.#finish(code, reason);
  }

  /** One timer for all that is due: pushes may be many, and an answer behind them is not late. */
  #watch(): void {
    this.#cancelWatch = this.options.after(this.options.answerTimeoutMs, () => {
      this.#cancelWatch = undefined;
      if (!this.#heard) this.end(LET_GO, 'no answer');
      else if (this.#waiting.size > 0) this.#watch();
      this.#heard = false;
    });
  }

  #receive(text: string): void {
    this.#heard = true;
    let frame: Frame;
    try {
      // The server is trusted to keep to the contract; something in between may not.
      frame = JSON.parse(text) as Frame;
    } catch {
      this.end(LET_GO, 'not a frame');
      return;
    }
    if ('id' in frame) this.#answered(frame);
    else if ('data' in frame) this.events.pushed(frame);
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if (!waiting) return;
    this.#waiting.delete(answer.id);
    if ('error' in answer) waiting.reject(new ClientError(answer.error));
    else waiting.resolve(answer.data);
  }

  #finish(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelWatch?.();
    for (const { reject } of this.#waiting.values()) {
      reject(new ClientError({ code: 'disconnected', message: `the connection ended (${code})` }));
    }
    this.#waiting.clear();
    this.events.ended(code, reason);
  }
}
