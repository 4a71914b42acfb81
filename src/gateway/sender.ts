import { SLOW_READER_STUCK_MS, SLOW_READER_WAITING_BYTES } from '../domain/limits.js';
import { MAX_WIRE_FRAME_BYTES } from './protocol.js';

/** At most this much is handed to the socket at a time. A fragmented message is cut between its frames. */
const WRITE_BYTES = MAX_WIRE_FRAME_BYTES;

/** Where a connection comes from, for its lines in the log. */
export interface Caller {
  /** The id of its upgrade. */
  readonly request: string;
  readonly address: string;
}

/** The WebSocket, as far as a connection uses it. */
export interface Peer {
  readonly caller?: Caller | undefined;
  pause(): void;
  resume(): void;
  ping(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** The TCP socket, as far as a sender uses it. */
export interface ByteSink {
  readonly writable: boolean;
  /** Bytes that it was ever given. */
  readonly bytesWritten: number;
  /** Bytes that it was given and the system has not yet taken. */
  readonly writableLength: number;
  /** False: no more should be given before `drain`. */
  write(bytes: Buffer): boolean;
  once(event: 'drain', listener: () => void): void;
}

/** Told after each flush: the queue may be shorter. No `drain` comes if the system took everything. */
export interface SenderOwner {
  handleSent(): void;
}

/**
 * Queues frames for one socket. Frames queued in one turn of the event loop leave in one write. A write is small, so
 * that `isStuck` tells a slow reader from one that has stopped.
 */
export class Sender {
  readonly #socket: ByteSink;
  readonly #flusher: Flusher;
  readonly #owner: SenderOwner;
  /** Made when a frame comes; an idle connection has none. */
  #frames: Buffer[] | undefined;
  #queued = 0;
  #isBlocked = false;
  #isMarked = false;
  /** So many bytes wait that some must leave, and since when none has. */
  #stuck: { readonly leftBytes: number; readonly since: number } | undefined;

  constructor(socket: ByteSink, flusher: Flusher, owner: SenderOwner) {
    this.#socket = socket;
    this.#flusher = flusher;
    this.#owner = owner;
  }

  /** Bytes that the peer has not yet taken. */
  get waitingBytes(): number {
    return this.#queued + this.#socket.writableLength;
  }

  /**
   * To be asked regularly: whether `SLOW_READER_WAITING_BYTES` wait and none have left for `SLOW_READER_STUCK_MS`.
   * Judged by the bytes that the system has taken, which grow with each write that it took whole.
   */
  isStuck(now: number): boolean {
    const leftBytes = this.#socket.bytesWritten - this.#socket.writableLength;
    if (this.waitingBytes < SLOW_READER_WAITING_BYTES) this.#stuck = undefined;
    else if (this.#stuck?.leftBytes !== leftBytes) this.#stuck = { leftBytes, since: now };
    return this.#stuck !== undefined && now - this.#stuck.since >= SLOW_READER_STUCK_MS;
  }

  /** Queues a whole WebSocket message, made by `textFrame`; it may be shared with other senders and is never changed. */
  send(frame: Buffer): void {
    if (this.#frames) this.#frames.push(frame);
    else this.#frames = [frame];
    this.#queued += frame.length;
    if (this.#isMarked || this.#isBlocked) return;
    this.#isMarked = true;
    this.#flusher.mark(this);
  }

  /** Drops the frames that wait: the connection is being closed for not reading, and only a close may follow. */
  clear(): void {
    this.#frames = undefined;
    this.#queued = 0;
  }

  /** Hands all frames to the socket at once: the connection is being closed. */
  finish(): void {
    if (this.#frames && this.#socket.writable) this.#socket.write(Buffer.concat(this.#frames));
    this.clear();
  }

  /** Writes until the socket wants no more. */
  flush(): void {
    this.#isMarked = false;
    while (!this.#isBlocked && this.#frames && this.#socket.writable) {
      let bytes = this.#frames[0];
      if (bytes !== undefined && this.#frames.length === 1 && bytes.length <= WRITE_BYTES) {
        this.#frames = undefined;
        this.#queued = 0;
      } else bytes = this.#flusher.join(this.#take(this.#frames));
      if (this.#socket.write(bytes)) continue;
      this.#isBlocked = true;
      this.#socket.once('drain', () => {
        this.#isBlocked = false;
        this.flush();
      });
    }
    this.#owner.handleSent();
  }

  #take(frames: Buffer[]): Buffer[] {
    const [first] = frames;
    if (first !== undefined && first.length > WRITE_BYTES) {
      frames[0] = first.subarray(WRITE_BYTES);
      this.#queued -= WRITE_BYTES;
      return [first.subarray(0, WRITE_BYTES)];
    }
    let bytes = 0;
    let n = 0;
    for (const frame of frames) {
      if (bytes + frame.length > WRITE_BYTES) break;
      bytes += frame.length;
      n++;
    }
    this.#queued -= bytes;
    this.#frames = n === frames.length ? undefined : frames.slice(n);
    return n === frames.length ? frames : frames.slice(0, n);
  }
}

/** Flushes, once a turn of the event loop, all senders that have frames. A gateway has one. */
export class Flusher {
  #marked: Sender[] = [];
  #last: { frames: readonly Buffer[]; joined: Buffer } | undefined;

  /** The sender is flushed when this turn of the event loop has ended. */
  mark(sender: Sender): void {
    if (this.#marked.push(sender) === 1) setImmediate(this.#run);
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

  readonly #run = (): void => {
    const marked = this.#marked;
    this.#marked = [];
    for (const sender of marked) sender.flush();
    this.#last = undefined;
  };
}
