/** At most this much is handed to the socket at a time, or one frame that is larger. */
const WRITE_BYTES = 64 * 1024;

/** The TCP socket, as far as a sender uses it. */
export interface ByteSink {
  readonly writable: boolean;
  /** Bytes that it was given and the system has not yet taken. */
  readonly writableLength: number;
  /** False: no more should be given before `drain`. */
  write(bytes: Buffer): boolean;
}

/**
 * Queues frames for one socket. Frames queued in one turn of the event loop leave in one write. A write is small, so
 * that `movedAt` tells a slow reader from one that has stopped.
 */
export class Sender {
  readonly #socket: ByteSink;
  readonly #flusher: Flusher;
  readonly #onMoved: () => void;
  #frames: Buffer[] = [];
  #queued = 0;
  #isBlocked = false;
  #isMarked = false;
  /** When the socket last refused or finished a write; milliseconds of the flusher's clock. */
  movedAt = 0;

  /** `onMoved` is called after each flush: the queue may be shorter. No `drain` comes if the system took everything. */
  constructor(socket: ByteSink, flusher: Flusher, onMoved: () => void) {
    this.#socket = socket;
    this.#flusher = flusher;
    this.#onMoved = onMoved;
  }

  /** Bytes that the peer has not yet taken. */
  get waitingBytes(): number {
    return this.#queued + this.#socket.writableLength;
  }

  /** Queues a whole WebSocket frame; it may be shared with other senders and is never changed. */
  send(frame: Buffer): void {
    this.#frames.push(frame);
    this.#queued += frame.length;
    if (this.#isMarked || this.#isBlocked) return;
    this.#isMarked = true;
    this.#flusher.mark(this);
  }

  /** Drops the frames that wait: the connection is being closed for not reading. */
  clear(): void {
    this.#frames = [];
    this.#queued = 0;
  }

  /** Hands all frames to the socket at once: the connection is being closed. */
  finish(): void {
    if (this.#queued > 0 && this.#socket.writable) this.#socket.write(Buffer.concat(this.#frames));
    this.clear();
  }

  /** The socket's `drain`. */
  handleDrain(): void {
    this.#isBlocked = false;
    this.movedAt = this.#flusher.now();
    this.flush();
  }

  /** Writes until the socket wants no more. */
  flush(): void {
    this.#isMarked = false;
    while (!this.#isBlocked && this.#queued > 0 && this.#socket.writable) {
      const batch = this.#take();
      if (!this.#socket.write(this.#flusher.join(batch))) {
        this.#isBlocked = true;
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
      if (n > 0 && bytes + frame.length > WRITE_BYTES) break;
      bytes += frame.length;
      n++;
    }
    this.#queued -= bytes;
    this.#frames = n === frames.length ? [] : frames.slice(n);
    return n === frames.length ? frames : frames.slice(0, n);
  }
}

/** Flushes, once a turn of the event loop, all senders that have frames. A gateway has one. */
export class Flusher {
  readonly now: () => number;
  #marked: Sender[] = [];
  #last: { frames: readonly Buffer[]; joined: Buffer } | undefined;

  constructor(now: () => number) {
    this.now = now;
  }

  /** The sender is flushed when this turn of the event loop has ended. */
  mark(sender: Sender): void {
    if (this.#marked.push(sender) === 1) setImmediate(() => this.#run());
  }

  /** One buffer of these frames; connections that are sent the same frames one after the other share it. */
  join(frames: readonly Buffer[]): Buffer {
    const [only] = frames;
    if (only !== undefined && frames.length === 1) return only;
    const last = this.#last;
    if (last?.frames.length === frames.length && frames.every((frame, i) => frame === last.frames[i]))
      return last.joined;
    const joined = Buffer.concat(frames);
    this.#last = { frames, joined };
    return joined;
  }

  #run(): void {
    const marked = this.#marked;
    this.#marked = [];
    for (const sender of marked) sender.flush();
    this.#last = undefined;
  }
}
