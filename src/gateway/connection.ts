import { SilenceWatch } from '../base/clock.js';
import { Deque } from '../base/collections.js';
import type { ParleyError } from '../base/errors.js';
import { AbuseWatch, checkRequest, type TokenBucket } from '../base/rateLimits.js';
import type { Moment } from '../domain/commands.js';
import type { RoomId, UserId } from '../domain/ids.js';
import {
  IDENTIFY_TIMEOUT_MS,
  PING_AFTER_MS,
  PONG_WAIT_MS,
  SLOW_READER_MAX_WAITING_BYTES,
  SLOW_READER_WAITING_BYTES,
} from '../domain/limits.js';
import type { Session } from '../vault/vault.js';
import { bearerOf, type ConnectionState, overdueOf, sessionEndOf, sessionOf } from './connectionState.js';
import { momentsOf, type Vector } from './cursor.js';
import {
  type BadFrame,
  type CloseCause,
  closeCauses,
  errorText,
  largeAnswers,
  parseFrame,
  type Request,
  textFrame,
} from './protocol.js';
import { type ByteSink, type Flusher, type Peer, Sender, type SenderOwner } from './sender.js';

/** Open requests of one connection. Further ones stay unread in its socket. */
const MAX_OPEN_REQUESTS = 1024;
/** Open requests with large answers, up to megabytes. Without it, many could begin before an answer fills the queue. */
const MAX_OPEN_LARGE_REQUESTS = 8;

/** The parts that the connections of a node share. */
export interface ConnectionHost {
  readonly flusher: Flusher;
  /** Milliseconds in which this process ran: see `RunningTime`. */
  now(): number;
  /** When a session's life is over: monotonic milliseconds that no step of the wall clock moves. */
  endOf(session: Session): number;
  /** False: requests are not limited. */
  readonly isLimiting: boolean;
  /** The bucket that all connections of this user share, or a new one; undefined: no limit. */
  bucketOf(user: UserId | undefined): TokenBucket | undefined;
  /** Logs why the server closes a connection; called once each. */
  reportClose(connection: Connection, cause: CloseCause): void;
  /** Logs that a request is refused as `rate_limited`. */
  reportLimited(connection: Connection): void;
  /** Sends the request's answer; resolves when the request is done, and never rejects. */
  readonly answer: (connection: Connection, request: Request) => Promise<void>;
}

/** One client's socket: reads requests and writes frames. What only a busy connection needs is made on first use. */
export class Connection implements SenderOwner {
  readonly peer: Peer;
  readonly #host: ConnectionHost;
  readonly #sender: Sender;
  #bucket: TokenBucket | undefined;
  #abuse: AbuseWatch | undefined;
  #state: ConnectionState;
  readonly #silence: SilenceWatch;
  /** Requests that are being worked on. */
  openRequests = 0;
  #openLargeRequests = 0;
  /** The ids of its commands whose pushes have not gone out: these are not sent to it. Made by the first. */
  commandIds: string[] | undefined;
  /** Frames that have come and may not be begun yet. */
  #held: Deque<string> | undefined;
  /** Rooms it has left; a new connection is joined to everything. */
  #leftRooms: Set<RoomId> | undefined;
  /** Up to where events were pushed to or answered on this connection. */
  #seen: number[] | undefined;
  /** A replay that waits until less than `bytes` wait. */
  #replayPause: { readonly bytes: number; readonly resolve: () => void } | undefined;

  constructor(peer: Peer, socket: ByteSink, host: ConnectionHost, bearer: Session | undefined) {
    this.peer = peer;
    this.#host = host;
    this.#sender = new Sender(socket, host.flusher, this);
    this.#silence = new SilenceWatch(host.now());
    this.#state = { kind: 'unidentified', deadline: host.now() + IDENTIFY_TIMEOUT_MS, bearer };
  }

  /** The session of the client, once it has identified. */
  get session(): Session | undefined {
    return sessionOf(this.#state);
  }

  /** When the session's life is over: monotonic milliseconds. Without a session, never. */
  get sessionEndsAt(): number {
    return sessionEndOf(this.#state);
  }

  /** The session whose token the client has shown, whether it has identified or not. */
  get bearer(): Session | undefined {
    return bearerOf(this.#state);
  }

  /** Output that the client has not yet taken. */
  get waitingBytes(): number {
    return this.#sender.waitingBytes;
  }

  get isClosing(): boolean {
    return this.#state.kind === 'closing';
  }

  /** Whether live pushes about the room are sent to it; undefined: pushes about no room. */
  isListeningTo(room: RoomId | undefined): boolean {
    if (this.#state.kind !== 'live') return false;
    return room === undefined || this.#leftRooms === undefined || !this.#leftRooms.has(room);
  }

  leaveRoom(room: RoomId): void {
    this.#leftRooms ??= new Set();
    this.#leftRooms.add(room);
  }

  joinRoom(room: RoomId): void {
    this.#leftRooms?.delete(room);
  }

  /** An attempt to identify begins; no request is begun before it has ended. False: it has identified already. */
  beginIdentifying(): boolean {
    if (this.#state.kind !== 'unidentified') return false;
    this.#state = { ...this.#state, kind: 'identifying' };
    return true;
  }

  /** The attempt has shown this session's token: from now on the session's end closes the connection. */
  setBearer(bearer: Session): void {
    if (this.#state.kind === 'identifying') this.#state = { ...this.#state, bearer };
  }

  get isIdentifying(): boolean {
    return this.#state.kind === 'identifying';
  }

  /** Ends a failed attempt: the client may try again until the deadline. */
  endIdentifying(): void {
    if (this.#state.kind === 'identifying') this.#state = { ...this.#state, kind: 'unidentified' };
  }

  /** Ends a successful attempt: missed or live pushes come next. From now on it shares the requests of its user. */
  identify(session: Session, next: 'replaying' | 'live'): void {
    if (this.#state.kind !== 'identifying') return;
    this.#bucket = undefined;
    this.#state = { kind: next, session, sessionEndsAt: this.#host.endOf(session) };
  }

  /** The session has been found to end later than it was to. */
  renewSession(session: Session): void {
    if ('sessionEndsAt' in this.#state)
      this.#state = { kind: this.#state.kind, session, sessionEndsAt: this.#host.endOf(session) };
  }

  /** Ends the replay: from now on live pushes are sent. */
  goLive(): void {
    if (this.#state.kind === 'replaying') this.#state = { ...this.#state, kind: 'live' };
  }

  /** Takes a text frame of the client. Begins its request, or holds it until it may begin. */
  receive(text: string): void {
    this.#silence.hear(this.#host.now());
    if (this.#state.kind === 'closing') return;
    if (this.#held === undefined && this.#begin(text)) return;
    this.#held ??= new Deque();
    this.#held.push(text);
    this.peer.pause();
  }

  /** The client has been heard: it is not gone. */
  markHeard(): void {
    this.#silence.hear(this.#host.now());
  }

  /** Sends one text message: an answer, or a push that is not stored. */
  sendText(text: string): void {
    if (this.#state.kind !== 'closing') this.#sender.send(textFrame(text));
  }

  /** Sends a push; the frame may be shared. A reader too far behind is closed. */
  push(frame: Buffer): void {
    if (this.#state.kind === 'closing') return;
    if (this.#sender.waitingBytes >= SLOW_READER_MAX_WAITING_BYTES) this.#closeSlowReader();
    else this.#sender.send(frame);
  }

  /** Sends a live push about the room, and later queries answer from at least its moment. */
  pushLive(frame: Buffer, room: RoomId | undefined, partition: number, size: number): void {
    if (!this.isListeningTo(room)) return;
    this.recordSeen(partition, size);
    this.push(frame);
  }

  /** Later queries of this connection answer from at least this moment. */
  recordSeen(partition: number, size: number): void {
    this.#seen ??= [];
    if (size > (this.#seen[partition] ?? 0)) this.#seen[partition] = size;
  }

  /** The same for each partition. */
  recordAllSeen(at: Vector): void {
    // A copy has no places to spare: V8 reserves 17 for an array that grows by its first item.
    if (this.#seen === undefined) this.#seen = at.slice();
    else for (const [partition, size] of at.entries()) this.recordSeen(partition, size);
  }

  /** The moments that its queries must have seen: of all that was pushed to it, or of one partition alone. */
  seenMoments(partition?: number): Moment[] {
    return momentsOf(this.#seen ?? [], partition);
  }

  /** What waited for room in the queue of frames goes on. */
  handleSent(): void {
    if (this.#replayPause !== undefined) this.#resumeReplay();
    if (this.#held !== undefined) this.#beginHeld();
  }

  /** Resolves when less than `bytes` wait, or the connection is closing. One call at a time. */
  async waitUntilBelow(bytes: number): Promise<void> {
    if (this.#state.kind === 'closing' || this.#sender.waitingBytes < bytes) return;
    await new Promise<void>((resolve) => {
      this.#replayPause = { bytes, resolve };
    });
  }

  /** Handles the WebSocket's `close`: the socket is gone. */
  handleClose(): void {
    this.#startClosing();
    this.#sender.clear();
    this.#resumeReplay();
  }

  /**
   * Called every 500 ms: closes a client that missed the identify deadline or that stopped reading. Pings a
   * silent client, and disconnects one that is gone.
   */
  check(): void {
    const now = this.#host.now();
    const overdue = overdueOf(this.#state, now);
    if (overdue === 'close frame') this.peer.terminate();
    if (this.isClosing) return;
    if (overdue === 'identity') this.close(closeCauses.notIdentified);
    else if (this.session && this.#sender.isStuck(now)) this.#closeSlowReader();
    // While frames are held, the socket is not read, and its client cannot be heard.
    if (this.#held !== undefined) return this.markHeard();
    const due = this.#silence.check(now, PING_AFTER_MS, PONG_WAIT_MS);
    if (due === 'gone') this.peer.terminate();
    else if (due === 'ask' && !this.isClosing) this.peer.ping();
  }

  /** Called instead of `check` after a stall of this process, whose clients may have been heard and not read. */
  handleStall(): void {
    if (!this.isClosing && this.#silence.askAgain(this.#host.now())) this.peer.ping();
  }

  /** Writes the waiting frames, then closes. */
  close(cause: CloseCause): void {
    if (this.#state.kind === 'closing') return;
    this.#startClosing();
    this.#host.reportClose(this, cause);
    this.#sender.finish();
    this.peer.close(cause.code, cause.reason);
    // The client's close frame must be read.
    this.peer.resume();
    this.#resumeReplay();
  }

  #startClosing(): void {
    this.#state = { kind: 'closing', since: this.#host.now(), bearer: this.bearer };
    this.#held = undefined;
  }

  /** Drops the waiting frames, so that the close frame does not wait behind them. */
  #closeSlowReader(): void {
    this.#sender.clear();
    this.close(closeCauses.slowReader);
  }

  #resumeReplay(): void {
    const pause = this.#replayPause;
    if (!pause || (!this.isClosing && this.#sender.waitingBytes >= pause.bytes)) return;
    this.#replayPause = undefined;
    pause.resolve();
  }

  /** Begins the request of a frame. False: it may not begin now. */
  #begin(text: string): boolean {
    if (
      this.#state.kind === 'identifying' ||
      this.openRequests >= MAX_OPEN_REQUESTS ||
      this.#openLargeRequests >= MAX_OPEN_LARGE_REQUESTS ||
      this.#sender.waitingBytes >= SLOW_READER_WAITING_BYTES
    )
      return false;
    const frame = parseFrame(text);
    if ('error' in frame) this.#refuse(frame, frame.error);
    else if (!this.#host.isLimiting || this.#takeToken(frame)) {
      const weight = largeAnswers.has(frame.event) ? 1 : 0;
      this.openRequests++;
      this.#openLargeRequests += weight;
      void this.#host.answer(this, frame).then(() => {
        this.openRequests--;
        this.#openLargeRequests -= weight;
        if (this.#held !== undefined) this.#beginHeld();
      });
    }
    return true;
  }

  /** Takes a token of the user's bucket. False: there was none, and the request is refused. */
  #takeToken(frame: Request): boolean {
    this.#bucket ??= this.#host.bucketOf(this.session?.userId);
    const refusal = this.#bucket && checkRequest(this.#bucket, this.#host.now());
    if (!refusal) return true;
    this.#host.reportLimited(this);
    this.#refuse(frame, refusal);
    return false;
  }

  /** Answers a frame whose request is not begun, and closes the connection on abuse. */
  #refuse(frame: Request | BadFrame, error: ParleyError): void {
    const now = this.#host.now();
    this.sendText(errorText(frame, error));
    this.#abuse ??= new AbuseWatch();
    if ('error' in frame) {
      if (this.#abuse.countBadFrame(now)) this.close(closeCauses.badFrames);
    } else if (this.#abuse.countRefusal(now)) this.close(closeCauses.tooManyRequests);
  }

  #beginHeld(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    for (let next = held.first; next !== undefined && !this.isClosing && this.#begin(next); next = held.first)
      held.shift();
    if (this.isClosing) return;
    if (held.length > 0) this.#held = held;
    else this.peer.resume();
  }
}
