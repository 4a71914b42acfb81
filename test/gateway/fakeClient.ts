import type { FieldError } from '../../src/base/errors.js';
import { TokenBucket } from '../../src/base/rateLimits.js';
import { Connection, type ConnectionHost } from '../../src/gateway/connection.js';
import type { CloseCause, Request } from '../../src/gateway/protocol.js';
import { type ByteSink, Flusher, type Peer } from '../../src/gateway/sender.js';
import type { Session } from '../../src/vault/vault.js';
import { type VirtualTime, virtualTime } from '../support/virtualTime.js';

/** What a socket holds before it asks to be given no more. */
const HIGH_WATER_BYTES = 16 * 1024;

/** What the client was sent, as far as tests look at it. */
export interface Received {
  readonly id?: number | string;
  readonly event?: string;
  readonly data?: unknown;
  readonly cursor?: string;
  readonly error?: {
    readonly code: string;
    readonly message?: string;
    readonly fields?: readonly FieldError[];
    readonly retryAfterMs?: number;
    readonly incident?: string;
  };
}

/** A client and its socket in memory: it takes what is written at once, or, when it does not read, when told to. */
export class FakeClient implements Peer, ByteSink {
  isPaused = false;
  isTerminated = false;
  isReading = true;
  writable = true;
  pings = 0;
  /** The close frame that it was sent. */
  closed: { readonly code: number; readonly reason: string } | undefined;
  /** What was handed to the socket, write by write. */
  readonly writes: Buffer[] = [];
  writableLength = 0;
  bytesWritten = 0;
  #onDrain: (() => void)[] = [];
  #needsDrain = false;

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  ping(): void {
    this.pings++;
  }

  close(code: number, reason: string): void {
    this.closed = { code, reason };
  }

  terminate(): void {
    this.isTerminated = true;
  }

  write(bytes: Buffer): boolean {
    this.writes.push(bytes);
    this.bytesWritten += bytes.length;
    if (this.isReading) return true;
    this.writableLength += bytes.length;
    this.#needsDrain ||= this.writableLength >= HIGH_WATER_BYTES;
    return this.writableLength < HIGH_WATER_BYTES;
  }

  /** Takes everything that the socket holds, once. */
  take(): void {
    this.writableLength = 0;
    if (!this.#needsDrain) return;
    this.#needsDrain = false;
    for (const listener of this.#onDrain.splice(0)) listener();
  }

  once(_: 'drain', listener: () => void): void {
    this.#onDrain.push(listener);
  }

  /** What listens to the socket. */
  get listeners(): number {
    return this.#onDrain.length;
  }

  /** Reads from now on, until nothing more comes. */
  read(): void {
    this.isReading = true;
    this.take();
  }

  /** The texts of all frames that were handed to the socket. */
  get texts(): string[] {
    return textsOf(Buffer.concat(this.writes));
  }

  /** The same, parsed. */
  get received(): Received[] {
    return this.texts.map((text) => JSON.parse(text) as Received); // What the gateway wrote; tests look at its fields.
  }
}

/** Takes a run of the server's text messages apart (RFC 6455 section 5.2: unmasked, some of them fragmented). */
export function textsOf(bytes: Buffer): string[] {
  const texts: string[] = [];
  let parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const short = bytes.readUInt8(at + 1);
    const [header, length] =
      short === 127
        ? [10, Number(bytes.readBigUInt64BE(at + 2))]
        : short === 126
          ? [4, bytes.readUInt16BE(at + 2)]
          : [2, short];
    parts.push(bytes.subarray(at + header, at + header + length));
    const isFinal = bytes.readUInt8(at) >= 128;
    at += header + length;
    if (!isFinal) continue;
    texts.push(Buffer.concat(parts).toString());
    parts = [];
  }
  return texts;
}

/** Resolves when the present turn of the event loop, and what it set off, is over: queued frames are written. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** A session of a user that lives for so long. */
export const sessionOf = (userId: string, id = `session of ${userId}`, lifeMs = 3_600_000): Session => ({
  userId,
  id,
  createdAt: new Date(0).toISOString(),
  expiresAt: new Date(lifeMs).toISOString(),
});

/** What a node's connections share, in memory. A request waits until it is answered by the test, if nothing else is said. */
export class FakeHost implements ConnectionHost {
  readonly time: VirtualTime = virtualTime(Date.now());
  readonly flusher = new Flusher();
  /** Requests a second, and at once. */
  rateLimit: { readonly rate: number; readonly burst: number } | undefined;
  readonly isLimiting = true;
  readonly closings: CloseCause[] = [];
  /** Requests in the order in which they were begun. */
  readonly begun: Request[] = [];
  readonly #ends = new Map<Request['id'], () => void>();
  serve: (connection: Connection, request: Request) => Promise<void> = (_, { id }) =>
    new Promise((resolve) => this.#ends.set(id, resolve));

  now(): number {
    return this.time.now();
  }

  endOf({ expiresAt }: Session): number {
    return this.time.now() + Date.parse(expiresAt) - this.time.wallNow().getTime();
  }

  bucketOf(_: string | undefined): TokenBucket | undefined {
    return this.rateLimit && new TokenBucket(this.rateLimit.rate, this.rateLimit.burst);
  }

  reportLimited(): void {}

  reportClose(_: Connection, cause: CloseCause): void {
    this.closings.push(cause);
  }

  answer(connection: Connection, request: Request): Promise<void> {
    this.begun.push(request);
    return this.serve(connection, request);
  }

  /** The request has been worked on. */
  async end(id: Request['id']): Promise<void> {
    this.#ends.get(id)?.();
    this.#ends.delete(id);
    await turn();
  }

  /** A new connection and its client; `bearer` as of the upgrade. */
  connect(bearer?: Session): { connection: Connection; client: FakeClient } {
    const client = new FakeClient();
    const connection = new Connection(client, client, this, bearer);
    return { connection, client };
  }

  /** The same, identified and live. */
  connectLive(session = sessionOf('ann')): { connection: Connection; client: FakeClient } {
    const connected = this.connect();
    connected.connection.beginIdentifying();
    connected.connection.identify(session, 'live');
    return connected;
  }
}

let lastId = 0;

/** The text of a request. */
export const requestText = (event: string, data: unknown = {}, id: number | string = ++lastId): string =>
  JSON.stringify({ id, event, data });
