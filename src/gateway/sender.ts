import type { Socket } from 'node:net';

const CHUNK = 64 * 1024;

/**
 * What waits to be written to one socket. Frames queued in one turn of the event loop leave in one write, and at
 * most 64 KiB are handed to the socket at a time, so that `movedAt` tells a slow reader from one that has stopped.
 */
export class Sender {
  readonly #socket: Socket;
  readonly #flusher: Flusher;
  readonly #onMoved: () => void;
  #frames: Buffer[] = [];
  #queued = 0;
  #blocked = false;
  #marked = false;
  /** When the socket last took or finished a write; milliseconds of the flusher's clock. */
  movedAt = 0;

  /** `onMoved`: less may be waiting now. Not only at a `drain`: what the system takes at once brings none. */
  constructor(socket: Socket, flusher: Flusher, onMoved: () => void) {
    this.#socket = socket;
    this.#flusher = flusher;
    this.#onMoved = onMoved;
  }

  /** Bytes that the peer has not yet taken. */
  get waiting(): number {
    return this.#queued + this.#socket.writableLength;
  }

  /** Queues a whole WebSocket frame; it may be shared with other senders and is never changed. */
  send(frame: Buffer): void {
    this.#frames.push(frame);
    this.#queued += frame.length;
    if (this.#marked || this.#blocked) return;
    this.#marked = true;
    this.#flusher.mark(this);
  }

  /** Forgets what waits: the connection is being closed for not reading. */
  clear(): void {
    this.#frames = [];
    this.#queued = 0;
  }

  /** Hands everything to the socket at once: the connection is being closed. */
  finish(): void {
    if (this.#queued > 0 && this.#socket.writable) this.#socket.write(Buffer.concat(this.#frames));
    this.clear();
  }

  /** The socket's `drain`. */
  drained(): void {
    this.#blocked = false;
    this.movedAt = this.#flusher.now();
    this.flush();
  }

  flush(): void {
    this.#marked = false;
    while (!this.#blocked && this.#queued > 0 && this.#socket.writable) {
      const batch = this.#take();
      if (!this.#socket.write(this.#flusher.join(batch))) {
        this.#blocked = true;
        this.movedAt = this.#flusher.now();
      }
    }
    this.#onMoved();
  }

  #take(): Buffer[] {
    const frames = this.#frames;
    let bytes = 0;
    let n = 0;
    for (const frame of frames) {
      if (n > 0 && bytes + frame.length > CHUNK) break;
      bytes += frame.length;
      n++;
    }
    this.#queued -= bytes;
    this.#frames = n === frames.length ? [] : frames.slice(n);
    return n === frames.length ? frames : frames.slice(0, n);
  }
}

/** Writes out, once a turn of the event loop, all senders that have something; the same for a whole gateway. */
export class Flusher {
  readonly now: () => number;
  #dirty: Sender[] = [];
  #last: { frames: readonly Buffer[]; joined: Buffer } | undefined;

  constructor(now: () => number) {
    this.now = now;
  }

  mark(sender: Sender): void {
    if (this.#dirty.push(sender) === 1) setImmediate(() => this.#run());
  }

  /** Connections that receive the same frames share one buffer. */
  join(frames: readonly Buffer[]): Buffer {
    const [only] = frames;
    if (only !== undefined && frames.length === 1) return only;
    const last = this.#last?.frames;
    if (last?.length === frames.length && frames.every((frame, i) => frame === last[i]))
      // Just compared: `last` is `this.#last.frames`.
      return (this.#last as { joined: Buffer }).joined;
    const joined = Buffer.concat(frames);
    this.#last = { frames, joined };
    return joined;
  }

  #run(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const sender of dirty) sender.flush();
    this.#last = undefined;
  }
}
