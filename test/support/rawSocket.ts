import { once } from 'node:events';
import { type ClientOptions, WebSocket } from 'ws';
import type { ErrorReason, FieldError } from '../../src/base/errors.js';
import type {
  PushData,
  PushName,
  RequestAnswer,
  RequestInput,
  RequestName,
} from '../../src/domain/contract.js';
import { PATIENCE_MS, untilFound } from './eventually.js';
import { isPassing } from './passing.js';

/** How a refusal says why. */
export interface Refusal {
  readonly code: string;
  readonly message?: string;
  readonly fields?: readonly FieldError[];
  readonly reason?: ErrorReason;
  readonly detail?: string;
  readonly retryAfterMs?: number;
}

export interface Frame {
  readonly id?: number | string;
  readonly event: string;
  readonly data?: Record<string, unknown>;
  readonly error?: Refusal;
  readonly cursor?: string;
}

/** A push that may be stored. */
export interface Pushed<N extends PushName> {
  readonly data: PushData<N>;
  readonly cursor?: string;
}

/** A socket with nothing added: no retries, no reconnects, frames as they come. */
export class RawSocket {
  readonly frames: Frame[] = [];
  /** The close code. */
  readonly closed: Promise<number>;
  #lastId = 0;
  readonly #waiters = new Set<() => void>();

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (text) => {
      // Frames of the server under test; the tests look at what they hold.
      this.frames.push(JSON.parse(String(text)) as Frame);
      for (const look of this.#waiters) look();
    });
    // A reset is told by the close code, 1006.
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => socket.on('close', (code) => resolve(code)));
  }

  /** Connects, and says nothing; rejects when the upgrade is refused. */
  static async connect(wsUrl: string, options: ClientOptions = {}): Promise<RawSocket> {
    const socket = new WebSocket(wsUrl, options);
    const raw = new RawSocket(socket);
    await once(socket, 'open');
    return raw;
  }

  /**
   * Connects and identifies; resolves with its answer received. While the server is overloaded, tries again on a new
   * connection: each has only 10 s to identify.
   */
  static async open(wsUrl: string, token: string, cursor?: string): Promise<RawSocket> {
    return untilFound('they are let in', async () => {
      const raw = await RawSocket.connect(wsUrl);
      const { error } = await raw.#ask('identity', cursor === undefined ? { token } : { token, cursor });
      if (!error) return raw;
      await raw.cut();
      return undefined;
    });
  }

  /** Where this connection has got to, as far as it was told. */
  get cursor(): string {
    const [answer] = this.frames.flatMap(({ event, id, data }) =>
      event === 'identity' && id !== undefined && typeof data?.cursor === 'string' ? [data.cursor] : [],
    );
    const last = this.frames.findLast(({ cursor }) => cursor !== undefined)?.cursor ?? answer;
    if (last === undefined) throw new Error('it has not identified');
    return last;
  }

  /** Sends a request, and gives its id. */
  send(event: string, data: unknown): number {
    const id = ++this.#lastId;
    this.socket.send(JSON.stringify({ id, event, data }));
    return id;
  }

  answer(id: number | string): Promise<Frame> {
    return this.until(`the answer ${id}`, () => this.frames.find((frame) => frame.id === id));
  }

  /** The answer to a request, which is granted. */
  async request<N extends RequestName>(event: N, data: RequestInput<N>): Promise<RequestAnswer<N>> {
    const { data: answer, error } = await this.answer(this.send(event, data));
    if (error) throw refused(event, error);
    // What the contract says of this event's answer.
    return answer as RequestAnswer<N>;
  }

  /** The same, repeated as clients do while it is refused for the time being. */
  async persist<N extends RequestName>(event: N, data: RequestInput<N>): Promise<RequestAnswer<N>> {
    const { data: answer } = await untilFound(`${event} is granted`, async () => {
      const frame = await this.#ask(event, data);
      return frame.error ? undefined : frame;
    });
    // What the contract says of this event's answer.
    return answer as RequestAnswer<N>;
  }

  /** The frame that grants a request, or refuses it for the time being. Rejects when it is refused for good. */
  async #ask(event: string, data: unknown): Promise<Frame> {
    const frame = await this.answer(this.send(event, data));
    if (frame.error && !isPassing(frame.error.code)) throw refused(event, frame.error);
    return frame;
  }

  /** Why a request is refused. */
  async refusal(event: string, data: unknown): Promise<Refusal> {
    const { error } = await this.answer(this.send(event, data));
    if (!error) throw new Error(`${event} with ${JSON.stringify(data)} was not refused`);
    return error;
  }

  /** All pushes of an event that have come. */
  pushes<N extends PushName>(event: N): Pushed<N>[] {
    const found: unknown = this.frames.filter((frame) => frame.event === event && frame.id === undefined);
    // What the contract says of this push's data.
    return found as Pushed<N>[];
  }

  /** The same without their cursors. */
  pushed<N extends PushName>(event: N): PushData<N>[] {
    return this.pushes(event).map(({ data }) => data);
  }

  /** The first push of an event that is as asked: one that has come, or is waited for. */
  push<N extends PushName>(
    event: N,
    matches: (data: PushData<N>) => boolean = () => true,
  ): Promise<Pushed<N>> {
    return this.until(`a push of ${event}`, () => this.pushes(event).find(({ data }) => matches(data)));
  }

  /** Resolves with what `look` finds, asked after each frame; rejects when the socket closes first, or after a minute. */
  until<T>(what: string, look: () => T | undefined): Promise<T> {
    const found = look();
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(lookAgain);
      };
      const fail = (why: string): void => {
        end();
        reject(new Error(`${why} ${what}; the last frames: ${JSON.stringify(this.frames.slice(-5))}`));
      };
      const lookAgain = (): void => {
        const found = look();
        if (found === undefined) return;
        end();
        resolve(found);
      };
      const timer = setTimeout(fail, PATIENCE_MS, `${PATIENCE_MS / 1000} s have passed without`);
      this.#waiters.add(lookAgain);
      void this.closed.then((code) => fail(`closed with ${code} before`));
    });
  }

  get isClosed(): boolean {
    return this.socket.readyState === WebSocket.CLOSED;
  }

  /** Forgets the frames that have come. */
  forget(): void {
    this.frames.length = 0;
  }

  /** Ends the connection as a network does: without a word. */
  async cut(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }

  /** Closes it as clients do. */
  async close(): Promise<void> {
    this.socket.close(1000);
    await this.closed;
  }
}

const refused = (event: string, refusal: Refusal): Error =>
  new Error(`${event} was refused: ${JSON.stringify(refusal)}`);
