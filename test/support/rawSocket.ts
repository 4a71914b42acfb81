import { once } from 'node:events';
import { WebSocket } from 'ws';

export interface Frame {
  readonly id?: number;
  readonly event: string;
  readonly data?: Record<string, unknown>;
  readonly error?: { readonly code: string };
  readonly cursor?: string;
}

/** A socket with nothing added: no retries, no reconnects, frames as they come. */
export class RawSocket {
  readonly frames: Frame[] = [];
  /** The close code. */
  readonly closed: Promise<number>;
  #lastId = 0;

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (text) => {
      // Frames of the server under test; the tests look at what they hold.
      this.frames.push(JSON.parse(String(text)) as Frame);
    });
    // A reset is told by the close code, 1006.
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => socket.on('close', (code) => resolve(code)));
  }

  /** Connects and identifies; resolves with its answer received. */
  static async open(wsUrl: string, token: string): Promise<RawSocket> {
    const socket = new WebSocket(wsUrl);
    const raw = new RawSocket(socket);
    await once(socket, 'open');
    const id = raw.send('identity', { token });
    const answer = await raw.answer(id);
    if (answer.error) throw new Error(`identity was refused: ${answer.error.code}`);
    return raw;
  }

  /** Sends a request, and gives its id. */
  send(event: string, data: unknown): number {
    const id = ++this.#lastId;
    this.socket.send(JSON.stringify({ id, event, data }));
    return id;
  }

  async answer(id: number): Promise<Frame> {
    for (;;) {
      const found = this.frames.find((frame) => frame.id === id);
      if (found) return found;
      // Rejects when the socket closes first: nothing will come any more.
      await Promise.race([
        once(this.socket, 'message'),
        this.closed.then((code) => Promise.reject(new Error(`closed with ${code} before the answer`))),
      ]);
    }
  }
}
