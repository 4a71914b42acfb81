import { isIP, connect as openSocket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, Events, type NatsConnection, type TlsOptions } from 'nats';
import type { NatsServer } from '../base/settings.js';

/** The limit for a server's greeting, and again for the log-in. */
const HANDSHAKE_TIMEOUT_MS = 2000;
/** A longer first line is not a NATS greeting. */
const MAX_GREETING_CHARS = 65_536;

/** Host and port for log messages. */
const addressOf = ({ host, port }: NatsServer): string => `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/**
 * Connects to one server, without reconnecting. Rejects on failure. The connection does not receive its own
 * messages. When it is lost, everything in flight is lost too.
 */
async function connectTo(server: NatsServer, name: string): Promise<NatsConnection> {
  const isOffered = /"tls_(required|available)":\s*true/.test(await readGreeting(server));
  return connect({
    servers: addressOf(server),
    name,
    timeout: HANDSHAKE_TIMEOUT_MS,
    ...server.credentials,
    ...(server.tls || isOffered ? { tls: tlsOptionsOf(server) } : {}),
    noEcho: true,
    reconnect: false,
    // Uses the system's resolver, which reads the hosts file.
    resolve: false,
    noAsyncTraces: true,
  });
}

/**
 * Reads the server's first line, which announces its requirements. The NATS client would leak the socket of a
 * server that accepts and stays silent, so we read first.
 */
async function readGreeting({ host, port }: NatsServer): Promise<string> {
  const socket = openSocket({ host, port, signal: AbortSignal.timeout(HANDSHAKE_TIMEOUT_MS) });
  let said = '';
  // Leaving the loop destroys the socket.
  for await (const text of socket.setEncoding('utf8')) {
    said += text;
    if (said.includes('\n') || said.length > MAX_GREETING_CHARS) break;
  }
  return said;
}

/**
 * The expected host of the certificate. The client passes these options to `tls.connect`, unlike its types
 * say.
 */
function tlsOptionsOf({ host }: NatsServer): TlsOptions {
  return { host, ...(isIP(host) ? {} : { servername: host }) } as TlsOptions;
}

/** The limit of bytes sent but not confirmed by the server. Beyond it, nothing is sent. */
const MAX_UNCONFIRMED_BYTES = 8 * 1024 * 1024;
/** Unconfirmed bytes above which the server is pinged at once. */
const PING_ABOVE_BYTES = 1024 * 1024;
const PING_INTERVAL_MS = 1000;
/**
 * Ticks without an answer after which a server counts as gone. Counts ticks rather than time, so that a
 * paused process does not count its pause.
 */
const MAX_MISSED_PINGS = 4;

/**
 * Bounds the bytes in flight: for a peer that stops reading, the client would buffer everything. Pings the
 * server once a second, and above `PING_ABOVE_BYTES`, to confirm what it has received.
 */
export class FlowControl {
  readonly #ping: () => Promise<void>;
  readonly #onUnresponsive: () => void;
  readonly #timer: NodeJS.Timeout;
  #sentBytes = 0;
  #confirmedBytes = 0;
  #isPinging = false;
  #missedPings = 0;

  /**
   * `ping` resolves when the server has received everything sent before. `onUnresponsive` is called when the
   * server stops answering.
   */
  constructor(ping: () => Promise<void>, onUnresponsive: () => void) {
    this.#ping = ping;
    this.#onUnresponsive = onUnresponsive;
    this.#timer = setInterval(() => this.#tick(), PING_INTERVAL_MS);
  }

  /** Returns true if `bytes` more may be sent now, and counts them as sent. */
  admit(bytes: number): boolean {
    const unconfirmed = this.#sentBytes + bytes - this.#confirmedBytes;
    if (unconfirmed > MAX_UNCONFIRMED_BYTES) return false;
    this.#sentBytes += bytes;
    if (unconfirmed > PING_ABOVE_BYTES && !this.#isPinging) this.#sendPing();
    return true;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    if (!this.#isPinging) this.#sendPing();
    else if (++this.#missedPings === MAX_MISSED_PINGS) this.#onUnresponsive();
  }

  #sendPing(): void {
    const asked = this.#sentBytes;
    this.#isPinging = true;
    this.#ping().then(
      () => {
        this.#confirmedBytes = asked;
        this.#isPinging = false;
        this.#missedPings = 0;
      },
      () => {}, // The connection has ended.
    );
  }
}

const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 2000;
/** How long a close waits for sent data to leave. */
const DRAIN_TIMEOUT_MS = 1000;

export interface NatsLinkOptions {
  readonly servers: readonly NatsServer[];
  /** The name of this connection at the server. */
  readonly name: string;
  /** Subscribes to all subjects. Called once per connection, before it counts as open. */
  readonly subscribe: (connection: NatsConnection) => void;
  readonly onChange: (isUp: boolean) => void;
  readonly report: (message: string, error: unknown) => void;
}

/** A connection in use. */
interface OpenConnection {
  readonly connection: NatsConnection;
  readonly flowControl: FlowControl;
}

/** Keeps a connection to one of the servers. Tries them in turn, for ever, at most `MAX_RETRY_MS` apart. */
export class NatsLink {
  readonly #options: NatsLinkOptions;
  readonly #closing = new AbortController();
  readonly #stopped: Promise<void>;
  /** Servers whose failure was reported since the last success. */
  readonly #reportedServers = new Set<NatsServer>();
  #open: OpenConnection | undefined;

  constructor(options: NatsLinkOptions) {
    this.#options = options;
    this.#stopped = this.#run();
  }

  get isUp(): boolean {
    return this.#open !== undefined;
  }

  /**
   * Returns the connection if a message of `bytes` may be sent now, and counts it as sent. Nothing is queued.
   */
  admit(bytes: number): NatsConnection | undefined {
    if (!this.#open) return undefined;
    const { connection, flowControl } = this.#open;
    // The connection may have closed before `onChange` was called.
    if (connection.isClosed() || bytes > (connection.info?.max_payload ?? 0)) return undefined;
    return flowControl.admit(bytes) ? connection : undefined;
  }

  /** Ends all subscriptions, drains for at most `DRAIN_TIMEOUT_MS`, and closes the connection. */
  async close(): Promise<void> {
    this.#closing.abort();
    const connection = this.#open?.connection;
    if (connection) {
      const timer = new AbortController();
      const late = delay(DRAIN_TIMEOUT_MS, undefined, { signal: timer.signal }).catch(() => {});
      await Promise.race([connection.drain().catch(() => {}), connection.closed(), late]);
      timer.abort();
      await connection.close();
    }
    await this.#stopped;
  }

  async #run(): Promise<void> {
    const { servers } = this.#options;
    // Starts with a random server, so that nodes spread.
    let next = Math.floor(Math.random() * servers.length);
    for (let failures = 0; !this.#closing.signal.aborted; failures++) {
      const server = servers[next++ % servers.length];
      if (!server) throw new Error('the list of NATS servers is empty');
      try {
        await this.#runConnection(await connectTo(server, this.#options.name));
        failures = 0;
      } catch (error) {
        this.#reportFailure(server, error);
      }
      // Random, so that nodes which lost a server together do not return together.
      const pause =
        Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
      await delay(pause, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }

  /** Resolves when an established connection ends. Rejects if it was never established. */
  async #runConnection(connection: NatsConnection): Promise<void> {
    const flowControl = new FlowControl(
      () => connection.flush(),
      () => void connection.close(),
    );
    const closed = connection.closed();
    void this.#reportErrors(connection);
    try {
      this.#options.subscribe(connection);
      const early = closed.then((error) =>
        Promise.reject(error ?? new Error('the server closed the connection')),
      );
      await Promise.race([connection.flush(), early]);
      if (this.#closing.signal.aborted) return;
      this.#open = { connection, flowControl };
      this.#reportedServers.clear();
      this.#options.onChange(true);
      const error = await closed;
      if (!this.#closing.signal.aborted)
        this.#options.report('lost the connection to NATS; reconnecting', error);
    } finally {
      flowControl.stop();
      await connection.close();
      const wasUp = this.#open !== undefined;
      this.#open = undefined;
      if (wasUp) this.#options.onChange(false);
    }
  }

  #reportFailure(server: NatsServer, error: unknown): void {
    if (this.#reportedServers.has(server) || this.#closing.signal.aborted) return;
    this.#reportedServers.add(server);
    this.#options.report(`cannot connect to NATS at ${addressOf(server)}; retrying`, error);
  }

  /** Reports refusals of the server, such as a subject without permission. Ends with the connection. */
  async #reportErrors(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status())
      if (status.type === Events.Error) this.#options.report('NATS refused an operation', status);
  }
}
