import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { Deque } from '../base/collections.js';
import { ConnectionLimits, type TokenBucket } from '../base/rateLimits.js';
import type { Moment } from '../domain/commands.js';
import type { RequestName } from '../domain/contract.js';
import type { RoomId } from '../domain/ids.js';
import type { Session } from '../vault/vault.js';
import { errorText, parseFrame, type Request, textFrame } from './protocol.js';
import { type Flusher, Sender } from './sender.js';

/** Above this much unread output no further request of a connection is begun. */
const HOLD_BYTES = 1024 * 1024;
/** Pushes that find this much waiting close the connection. */
const DROP_BYTES = 8 * 1024 * 1024;
const STUCK_MS = 10_000;
const IDENTIFY_MS = 10_000;
/** Requests of one connection that are being worked on at once; more wait in its socket. */
const IN_FLIGHT = 1024;
/** Of those, what may be answered with megabytes: begun while nothing waits, their answers would all wait. */
const LARGE_IN_FLIGHT = 8;
const large: ReadonlySet<string> = new Set<RequestName>(['fetch messages', 'get active chats']);

/** Why the server closes a connection. */
export const CloseCode = { abuse: 1008, restart: 1012, binary: 1003, signedOut: 4401, slow: 4408 } as const;

export type State =
  /** Must identify before `deadline`. */
  | { readonly kind: 'new'; readonly deadline: number }
  | { readonly kind: 'identifying'; readonly deadline: number }
  /** Reads what it missed; live pushes are not sent to it. */
  | { readonly kind: 'replaying' }
  | { readonly kind: 'live' }
  | { readonly kind: 'closing'; readonly since: number };

/** What connections share. */
export interface Site {
  readonly flusher: Flusher;
  now(): number;
  bucket(): TokenBucket | undefined;
  /** The server ends the connection: told once, for the log. */
  closing(connection: Connection, code: number, reason: string): void;
  /** Answers the request itself; resolves when that is done, and never rejects. */
  handle(connection: Connection, request: Request): Promise<void>;
}

/** One client's socket: reads requests at the pace its limits and its own reading allow, and writes frames. */
export class Connection {
  readonly ws: WebSocket;
  readonly #site: Site;
  readonly #sender: Sender;
  readonly #limits: ConnectionLimits;
  #inFlight = 0;
  #largeInFlight = 0;
  #held: Deque<string> | undefined;
  state: State;
  /** When the peer was last heard, for telling dead connections. */
  heardAt: number;
  /** Rooms it has left; a new connection is joined to everything. */
  left: Set<RoomId> | undefined;
  /** By partition, the tree size of the last event pushed to or answered on this connection. */
  readonly #seen: number[] = [];

  /** Whose token it has shown, at the upgrade or since; what it may do follows from `state`. */
  bearer: Session | undefined;
  /** Of a replay that waits until less is unread. */
  #pace: { below: number; resolve: () => void } | undefined;

  constructor(ws: WebSocket, socket: Socket, site: Site, bearer: Session | undefined) {
    this.ws = ws;
    this.bearer = bearer;
    this.#site = site;
    this.#sender = new Sender(socket, site.flusher, () => {
      this.#keepPace();
      this.#resume();
    });
    this.#limits = new ConnectionLimits(site.bucket());
    this.heardAt = site.now();
    this.state = { kind: 'new', deadline: this.heardAt + IDENTIFY_MS };
  }

  /** Who it is, once it has identified. */
  get session(): Session | undefined {
    return this.state.kind === 'live' || this.state.kind === 'replaying' ? this.bearer : undefined;
  }

  get waiting(): number {
    return this.#sender.waiting;
  }

  get closing(): boolean {
    return this.state.kind === 'closing';
  }

  /** Whether pushes about the room go to it. */
  hears(room: RoomId | undefined): boolean {
    return (
      this.state.kind === 'live' && (room === undefined || this.left === undefined || !this.left.has(room))
    );
  }

  receive(text: string): void {
    this.heardAt = this.#site.now();
    if (this.state.kind === 'closing') return;
    if (!this.#busy()) return this.#begin(text);
    this.#held ??= new Deque();
    this.#held.push(text);
    this.ws.pause();
  }

  /** Sends one text message: an answer, or a push that is not stored. */
  sendText(text: string): void {
    if (this.state.kind !== 'closing') this.#sender.send(textFrame(text));
  }

  /** Sends a push; the frame may be shared. A reader too far behind is closed. */
  push(frame: Buffer): void {
    if (this.state.kind === 'closing') return;
    if (this.#sender.waiting >= DROP_BYTES) {
      this.#sender.clear();
      this.close(CloseCode.slow, 'the client does not read');
    } else this.#sender.send(frame);
  }

  /** Later queries of this connection answer from at least this moment. */
  saw(partition: number, size: number): void {
    if (size > (this.#seen[partition] ?? 0)) this.#seen[partition] = size;
  }

  /** What its queries must have seen: everything pushed to it, or of one partition alone. */
  moments(partition?: number): Moment[] {
    if (partition !== undefined) {
      const size = this.#seen[partition];
      return size === undefined ? [] : [{ partition, size }];
    }
    return this.#seen.flatMap((size, p) => (size === undefined ? [] : [{ partition: p, size }]));
  }

  /** The socket has taken what it was given. */
  drained(): void {
    this.#sender.drained();
  }

  /** Resolves when less than `below` bytes wait, or it is closing. One call at a time. */
  async paced(below: number): Promise<void> {
    if (this.state.kind === 'closing' || this.#sender.waiting < below) return;
    await new Promise<void>((resolve) => {
      this.#pace = { below, resolve };
    });
  }

  /** The socket is gone. */
  closed(): void {
    this.state = { kind: 'closing', since: this.#site.now() };
    this.#held = undefined;
    this.#sender.clear();
    this.#keepPace();
  }

  /** Called twice a second: closes it when it stays silent where it must speak or does not read. */
  check(now: number): void {
    const { state } = this;
    if (state.kind === 'closing') {
      if (now - state.since >= 5000) this.ws.terminate();
    } else if (state.kind === 'new' || state.kind === 'identifying') {
      if (now >= state.deadline) this.close(CloseCode.signedOut, 'not signed in within 10 s');
    } else if (Date.parse(this.bearer?.expiresAt ?? '') <= now)
      this.close(CloseCode.signedOut, 'the sign-in has ended');
    else if (this.#sender.waiting >= HOLD_BYTES && now - this.#sender.movedAt >= STUCK_MS) {
      this.#sender.clear();
      this.close(CloseCode.slow, 'the client does not read');
    }
  }

  /** Writes what waits, then closes; a peer that does not answer the close is cut off after 5 s. */
  close(code: number, reason: string): void {
    if (this.state.kind === 'closing') return;
    this.state = { kind: 'closing', since: this.#site.now() };
    this.#held = undefined;
    this.#site.closing(this, code, reason);
    this.#sender.finish();
    this.ws.close(code, reason);
    this.ws.resume();
    this.#keepPace();
  }

  /** Requests that are being worked on. */
  get inFlight(): number {
    return this.#inFlight;
  }

  #keepPace(): void {
    if (!this.#pace || (this.state.kind !== 'closing' && this.#sender.waiting >= this.#pace.below)) return;
    const { resolve } = this.#pace;
    this.#pace = undefined;
    resolve();
  }

  #busy(): boolean {
    return (
      (this.#held !== undefined && this.#held.length > 0) ||
      this.state.kind === 'identifying' ||
      this.#inFlight >= IN_FLIGHT ||
      this.#largeInFlight >= LARGE_IN_FLIGHT ||
      this.#sender.waiting >= HOLD_BYTES
    );
  }

  #begin(text: string): void {
    const now = this.#site.now();
    const frame = parseFrame(text);
    if ('error' in frame) {
      this.sendText(errorText(frame, frame.error));
      if (this.#limits.countBadFrame(now))
        this.close(CloseCode.abuse, 'too many frames that are no requests');
      return;
    }
    const refusal = this.#limits.checkRequest(now);
    if (refusal) {
      this.sendText(errorText(frame, refusal));
      if (this.#limits.countRefusal(now)) this.close(CloseCode.abuse, 'too many requests');
      return;
    }
    const weight = large.has(frame.event) ? 1 : 0;
    this.#inFlight++;
    this.#largeInFlight += weight;
    void this.#site.handle(this, frame).then(() => {
      this.#inFlight--;
      this.#largeInFlight -= weight;
      this.#resume();
    });
  }

  #resume(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    while (held.length > 0 && this.state.kind !== 'closing' && !this.#busy()) this.#begin(held.shift() ?? '');
    if (this.state.kind === 'closing') return;
    if (held.length > 0) this.#held = held;
    else this.ws.resume();
  }
}
