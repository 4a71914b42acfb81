import { isIP, connect as openSocket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, Events, type NatsConnection, type TlsOptions } from 'nats';
import type { NatsServer } from '../base/config.js';

/** How long a server may take to greet, and again to let us in. */
const HANDSHAKE_TIMEOUT_MS = 2000;
/** More than this is no greeting. */
const MAX_GREETING_CHARS = 65_536;

/** The host and the port, for people. */
const addressOf = ({ host, port }: NatsServer): string => `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/**
 * Connects to one server, once; what is published here does not come back here. Rejects when it cannot be had. A
 * connection that is lost stays so: it is closed, with all that was under way.
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
    // The system's own resolver, which knows the hosts file.
    resolve: false,
    noAsyncTraces: true,
  });
}

/**
 * The first line a server says, which tells what it wants and can. The client would forget a socket, open, whose
 * server accepts and then says nothing: so we listen before it does.
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

/** Whose certificate it must be: the client hands this on to `tls.connect`, though its types do not say so. */
function tlsOptionsOf({ host }: NatsServer): TlsOptions {
  return { host, ...(isIP(host) ? {} : { servername: host }) } as TlsOptions;
}

/** What a connection may have taken from us without its server's having it: beyond it, nothing more is sent. */
const MAX_UNCONFIRMED_BYTES = 8 * 1024 * 1024;
/** From here on the server is asked without waiting for the next beat. */
const PING_ABOVE_BYTES = 1024 * 1024;
const PING_INTERVAL_MS = 1000;
/** Beats without an answer after which a server counts as gone. Beats, as a paused process must not count its pause. */
const MAX_MISSED_PINGS = 4;

/**
 * What flows out over a connection, bounded: a peer that reads no more would else have us keep everything in memory.
 * The server is asked once a second, and once a mebibyte, whether it has all so far.
 */
export class FlowControl {
  readonly #ping: () => Promise<void>;
  readonly #onUnresponsive: () => void;
  readonly #timer: NodeJS.Timeout;
  #sentBytes = 0;
  #confirmedBytes = 0;
  #isPinging = false;
  #missedPings = 0;

  /** `ping` resolves when the server has all that was given before; `onSilence`: it does not answer any more. */
  constructor(ping: () => Promise<void>, onUnresponsive: () => void) {
    this.#ping = ping;
    this.#onUnresponsive = onUnresponsive;
    this.#timer = setInterval(() => this.#tick(), PING_INTERVAL_MS);
  }

  /** Whether so many bytes may be sent now; if so, they count as given. */
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
      () => {}, // The connection has ended, and with it this.
    );
  }
}

const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 2000;
/** How long a close waits for what was sent to be on its way. */
const DRAIN_TIMEOUT_MS = 1000;

export interface NatsLinkOptions {
  readonly servers: readonly NatsServer[];
  /** What the server calls this connection. */
  readonly name: string;
  /** Subscribes; called once a connection, before it counts as up. */
  readonly subscribe: (connection: NatsConnection) => void;
  readonly onChange: (isUp: boolean) => void;
  readonly report: (message: string, error: unknown) => void;
}

/** A connection that is up. */
interface OpenConnection {
  readonly connection: NatsConnection;
  readonly flowControl: FlowControl;
}

/** Keeps a connection to one of the servers, trying for ever: each in its turn, with at most 2 s between two tries. */
export class NatsLink {
  readonly #options: NatsLinkOptions;
  readonly #closing = new AbortController();
  readonly #stopped: Promise<void>;
  /** Servers that failed since the last success, which has been said. */
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
   * The connection, if there is one that a message of so many bytes may be sent over now: it counts as sent.
   * Nothing is kept for later.
   */
  admit(bytes: number): NatsConnection | undefined {
    if (!this.#open) return undefined;
    const { connection, flowControl } = this.#open;
    // It may have closed without our having been told yet.
    if (connection.isClosed() || bytes > (connection.info?.max_payload ?? 0)) return undefined;
    return flowControl.admit(bytes) ? connection : undefined;
  }

  /** Ends all subscriptions, has what was sent on its way, for a second at most, and ends the connection. */
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
    // Nodes begin with different ones, so that they spread.
    let next = Math.floor(Math.random() * servers.length);
    for (let failures = 0; !this.#closing.signal.aborted; failures++) {
      const server = servers[next++ % servers.length];
      if (!server) throw new Error('there is no server to connect to');
      try {
        await this.#runConnection(await connectTo(server, this.#options.name));
        failures = 0;
      } catch (error) {
        this.#reportFailure(server, error);
      }
      // Of many nodes that lost a server at once, not all are to come back at once.
      const pause =
        Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
      await delay(pause, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }

  /** Resolves when a connection that was up has ended; rejects when it did not get so far. */
  async #runConnection(connection: NatsConnection): Promise<void> {
    const flowControl = new FlowControl(
      () => connection.flush(),
      () => void connection.close(),
    );
    const closed = connection.closed();
    void this.#reportErrors(connection);
    try {
      this.#options.subscribe(connection);
      const early = closed.then((error) => Promise.reject(error ?? new Error('the server hung up')));
      await Promise.race([connection.flush(), early]);
      if (this.#closing.signal.aborted) return;
      this.#open = { connection, flowControl };
      this.#reportedServers.clear();
      this.#options.onChange(true);
      const error = await closed;
      if (!this.#closing.signal.aborted) this.#options.report('the connection to NATS was lost', error);
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
    this.#options.report(`NATS at ${addressOf(server)} cannot be had; trying on`, error);
  }

  /** What the server refuses, such as a subject without permission; ends with the connection. */
  async #reportErrors(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status())
      if (status.type === Events.Error) this.#options.report('NATS refused something', status);
  }
}
