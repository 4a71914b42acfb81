import { SilenceWatch } from '../base/clock.js';
import { Deque } from '../base/collections.js';
import { assertNever } from '../base/errors.js';
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
import { momentsOf, type Vector } from './cursor.js';
import {
  type CloseCause,
  closeCauses,
  errorText,
  hasLargeAnswer,
  parseFrame,
  type Request,
  textFrame,
} from './protocol.js';
import { type ByteSink, type Flusher, type Peer, Sender, type SenderOwner } from './sender.js';

/** Open requests of one connection. Further ones stay unread in its socket. */
const MAX_OPEN_REQUESTS = 1024;
/** Open requests with large answers, up to megabytes. Without it, many could begin before an answer fills the queue. */
const MAX_OPEN_LARGE_REQUESTS = 8;
/** After this time, a client that does not answer the close frame is disconnected. */
const CLOSE_TIMEOUT_MS = 5000;

/** Must identify before `deadline`. `bearer`: the session of a token that it has shown, at the upgrade or later. */
interface Unidentified {
  readonly deadline: number;
  readonly bearer: Session | undefined;
}

/** A connection's state. It alone decides which actions are allowed. */
type State =
  | (Unidentified & { readonly kind: 'unidentified' })
  /** An `identity` is being worked on. */
  | (Unidentified & { readonly kind: 'identifying' })
  /** Replaying, it receives the missed pushes, and no live ones yet. */
  | { readonly kind: 'replaying' | 'live'; readonly session: Session; readonly sessionEndsAt: number }
  /** `bearer`: the one of the state before. */
  | { readonly kind: 'closing'; readonly since: number; readonly bearer: Session | undefined };

/** The parts that the connections of a node share. */
export interface ConnectionHost {
  readonly flusher: Flusher;
  /** Milliseconds in which this process ran: see `RunningTime`. */
  now(): number;
  /** When a session's life is over: monotonic milliseconds that no step of the wall clock moves. */
  endOf(session: Session): number;
  /** The bucket that all connections of this user share, or a new one; undefined: no limit. */
  bucketOf(user: UserId | undefined): TokenBucket | undefined;
  /** Logs why the server closes a connection; called once each. */
  reportClose(connection: Connection, cause: CloseCause): void;
  /** Sends the request's answer; resolves when the request is done, and never rejects. */
  answer(connection: Connection, request: Request): Promise<void>;
}

/** One client's socket: reads requests and writes frames. What only a busy connection needs is made on first use. */
export class Connection implements SenderOwner {
  readonly peer: Peer;
  readonly #host: ConnectionHost;
  readonly #sender: Sender;
  #bucket: TokenBucket | undefined;
  #abuse: AbuseWatch | undefined;
  #state: State;
  readonly #silence: SilenceWatch;
  #openRequests = 0;
  #openLargeRequests = 0;
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
    const now = host.now();
    this.#silence = new SilenceWatch(now);
    this.#state = { kind: 'unidentified', deadline: now + IDENTIFY_TIMEOUT_MS, bearer };
  }

  /** The session of the client, once it has identified. */
  get session(): Session | undefined {
    const state = this.#state;
    return state.kind === 'live' || state.kind === 'replaying' ? state.session : undefined;
  }

  /** When the session's life is over: monotonic milliseconds. Without a session, never. */
  get sessionEndsAt(): number {
    const state = this.#state;
    return 'sessionEndsAt' in state ? state.sessionEndsAt : Number.POSITIVE_INFINITY;
  }

  /** The session whose token the client has shown, whether it has identified or not. */
  get bearer(): Session | undefined {
    const state = this.#state;
    return 'session' in state ? state.session : state.bearer;
  }

  /** Output that the client has not yet taken. */
  get waitingBytes(): number {
    return this.#sender.waitingBytes;
  }

  /** Requests that are being worked on. */
  get openRequests(): number {
    return this.#openRequests;
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
    const state = this.#state;
    if (state.kind !== 'live' && state.kind !== 'replaying') return;
    this.#state = { kind: state.kind, session, sessionEndsAt: this.#host.endOf(session) };
  }

  /** Ends the replay: from now on live pushes are sent. */
  goLive(): void {
    if (this.#state.kind === 'replaying') this.#state = { ...this.#state, kind: 'live' };
  }

  /** Takes a text frame of the client. Begins its request, or holds it until it may begin. */
  receive(text: string): void {
    this.markHeard();
    if (this.#state.kind === 'closing') return;
    if (this.#mayBegin()) return this.#begin(text);
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
    this.#resumeReplay();
    this.#beginHeld();
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
    const state = this.#state;
    const now = this.#host.now();
    switch (state.kind) {
      case 'unidentified':
      case 'identifying':
        if (now >= state.deadline) this.close(closeCauses.notIdentified);
        break;
      case 'replaying':
      case 'live':
        if (this.#sender.isStuck(now)) this.#closeSlowReader();
        break;
      case 'closing':
        if (now - state.since >= CLOSE_TIMEOUT_MS) this.peer.terminate();
        return;
      default:
        assertNever(state);
    }
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

  #mayBegin(): boolean {
    return (
      (this.#held === undefined || this.#held.length === 0) &&
      this.#state.kind !== 'identifying' &&
      this.#openRequests < MAX_OPEN_REQUESTS &&
      this.#openLargeRequests < MAX_OPEN_LARGE_REQUESTS &&
      this.#sender.waitingBytes < SLOW_READER_WAITING_BYTES
    );
  }

  #begin(text: string): void {
    const now = this.#host.now();
    const frame = parseFrame(text);
    if ('error' in frame) {
      this.sendText(errorText(frame, frame.error));
      this.#abuse ??= new AbuseWatch();
      if (this.#abuse.countBadFrame(now)) this.close(closeCauses.badFrames);
      return;
    }
    this.#bucket ??= this.#host.bucketOf(this.session?.userId);
    const refusal = this.#bucket && checkRequest(this.#bucket, now);
    if (refusal) {
      this.sendText(errorText(frame, refusal));
      this.#abuse ??= new AbuseWatch();
      if (this.#abuse.countRefusal(now)) this.close(closeCauses.tooManyRequests);
      return;
    }
    const weight = hasLargeAnswer(frame.event) ? 1 : 0;
    this.#openRequests++;
    this.#openLargeRequests += weight;
    void this.#host.answer(this, frame).then(() => {
      this.#openRequests--;
      this.#openLargeRequests -= weight;
      this.#beginHeld();
    });
  }

  #beginHeld(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    while (held.length > 0 && !this.isClosing && this.#mayBegin()) this.#begin(held.shift() ?? '');
    if (this.isClosing) return;
    if (held.length > 0) this.#held = held;
    else this.peer.resume();
  }
}
