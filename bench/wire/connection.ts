import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { Dialect, Sink } from './dialect.js';
import { type FrameHandler, FrameReader, textFrame } from './frames.js';

/** Callbacks of a connection to the measure that opened it. */
export interface Listener {
  delivered?(message: number): void;
  acknowledged?(message: number): void;
  refused?(message: number, code: string): void;
  caughtUp?(): void;
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

const endOfHead = Buffer.from('\r\n\r\n');
const answerTimeoutMs = 30_000;
// All sockets share one read buffer: on POSIX the callback runs in the same call that reads the bytes.
const shared = Buffer.allocUnsafe(256 * 1024);

/** A minimal WebSocket client for a server on this machine, so that the generator takes little CPU from the server. */
export class WireConnection implements FrameHandler, Sink {
  listener: Listener = {};
  readonly #dialect: Dialect;
  readonly #socket: Socket;
  readonly #reader = new FrameReader(this);
  readonly #waiting = new Map<number, Waiting>();
  readonly #open: Promise<void>;
  #greeted: Pick<Waiting, 'resolve' | 'reject'> | undefined;
  #upgraded = false;
  #head: Buffer = Buffer.alloc(0);
  #lastId = 0;
  #queued: Buffer | undefined;

  /** Connects and upgrades; rejects if the server refuses the upgrade or closes the connection. */
  static async open(port: number, dialect: Dialect): Promise<WireConnection> {
    const connection = new WireConnection(port, dialect);
    await connection.#open;
    return connection;
  }

  private constructor(port: number, dialect: Dialect) {
    this.#dialect = dialect;
    this.#open = new Promise((resolve, reject) => {
      this.#greeted = { resolve: () => resolve(), reject };
    });
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer: shared, callback: (length) => this.#read(length) },
    });
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('close', () => this.#end(new Error('the server closed the connection')));
    this.#socket.write(
      `GET ${dialect.path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
  }

  /** Sends a request and resolves with the answer's data. Rejects with the error's code, or after 30 s. */
  request(event: string, data: unknown): Promise<unknown> {
    const id = ++this.#lastId;
    this.#socket.write(textFrame(this.#dialect.request(id, event, data)));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.answered(id, undefined, `no answer to ${event} in 30 s`),
        answerTimeoutMs,
      );
      this.#waiting.set(id, { resolve, reject, timer });
    });
  }

  /** Writes a frame. The caller must not change it afterwards. */
  send(frame: Buffer): void {
    this.#socket.write(frame);
  }

  /** Keeps a frame until `flush`. Returns whether it is the first one, so that the caller knows to flush. */
  queue(frame: Buffer): boolean {
    const isFirst = this.#queued === undefined;
    this.#queued = this.#queued === undefined ? frame : Buffer.concat([this.#queued, frame]);
    return isFirst;
  }

  /** Writes all queued frames in one call. */
  flush(): void {
    if (this.#queued === undefined) return;
    this.#socket.write(this.#queued);
    this.#queued = undefined;
  }

  /** Destroys the socket without a closing handshake, like a lost connection. */
  close(): void {
    this.#socket.destroy();
  }

  #read(length: number): boolean {
    if (this.#upgraded) this.#reader.read(shared, length);
    else this.#readHead(Buffer.concat([this.#head, shared.subarray(0, length)]));
    return true;
  }

  #readHead(head: Buffer): void {
    this.#head = head;
    const end = head.indexOf(endOfHead);
    if (end < 0) return;
    const status = head.toString('latin1', 0, head.indexOf('\r\n'));
    if (!status.startsWith('HTTP/1.1 101'))
      return this.#end(new Error(`the server refused the WebSocket upgrade: ${status}`));
    this.#upgraded = true;
    this.#head = Buffer.alloc(0);
    if (!this.#dialect.greets) this.opened();
    const rest = head.subarray(end + endOfHead.length);
    if (rest.length > 0) this.#reader.read(rest, rest.length);
  }

  #end(error: Error): void {
    this.#greeted?.reject(error);
    for (const id of this.#waiting.keys()) this.answered(id, undefined, error.message);
    this.#socket.destroy();
  }

  text(bytes: Buffer, start: number, end: number): void {
    this.#dialect.read(bytes, start, end, this);
  }

  closed(code: number): void {
    this.#end(new Error(`the server closed the connection with code ${code}`));
  }

  reply(reply: Buffer | string): void {
    this.#socket.write(typeof reply === 'string' ? textFrame(reply) : reply);
  }

  opened(): void {
    this.#greeted?.resolve(undefined);
  }

  answered(id: number, answer: unknown, error: string | undefined): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    if (error === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(error));
  }

  delivered(message: number): void {
    this.listener.delivered?.(message);
  }

  acknowledged(message: number): void {
    this.listener.acknowledged?.(message);
  }

  refused(message: number, code: string): void {
    this.listener.refused?.(message, code);
  }

  caughtUp(): void {
    this.listener.caughtUp?.();
  }
}
