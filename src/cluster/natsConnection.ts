import { isIP, connect as openSocket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, Events, type NatsConnection, type TlsOptions } from 'nats';
import type { NatsServer } from '../base/config.js';

/** How long a server may take to greet, and again to let us in. */
const PATIENCE_MS = 2000;
/** More than this is no greeting. */
const MAX_GREETING = 65_536;

/** The host and the port, for people. */
const addressOf = ({ host, port }: NatsServer): string => `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;

/**
 * Connects to one server, once; what is published here does not come back here. Rejects when it cannot be had. A
 * connection that is lost stays so: it is closed, with all that was under way.
 */
async function dial(server: NatsServer, name: string): Promise<NatsConnection> {
  const isOffered = /"tls_(required|available)":\s*true/.test(await greeting(server));
  return connect({
    servers: addressOf(server),
    name,
    timeout: PATIENCE_MS,
    ...server.credentials,
    ...(server.tls || isOffered ? { tls: identity(server) } : {}),
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
async function greeting({ host, port }: NatsServer): Promise<string> {
  const socket = openSocket({ host, port, signal: AbortSignal.timeout(PATIENCE_MS) });
  let said = '';
  // Leaving the loop destroys the socket.
  for await (const text of socket.setEncoding('utf8')) {
    said += text;
    if (said.includes('\n') || said.length > MAX_GREETING) break;
  }
  return said;
}

/** Whose certificate it must be: the client hands this on to `tls.connect`, though its types do not say so. */
function identity({ host }: NatsServer): TlsOptions {
  return { host, ...(isIP(host) ? {} : { servername: host }) } as TlsOptions;
}

/** What a connection may have taken from us without its server's having it: beyond it, nothing more is sent. */
const MAX_UNCONFIRMED_BYTES = 8 * 1024 * 1024;
/** From here on the server is asked without waiting for the next beat. */
const ASK_ABOVE_BYTES = 1024 * 1024;
const BEAT_MS = 1000;
/** Beats without an answer after which a server counts as gone. Beats, as a paused process must not count its pause. */
const MAX_MISSED = 4;

/**
 * What flows out over a connection, bounded: a peer that reads no more would else have us keep everything in memory.
 * The server is asked once a second, and once a mebibyte, whether it has all so far.
 */
export class Outflow {
  readonly #ping: () => Promise<void>;
  readonly #onSilence: () => void;
  readonly #timer: NodeJS.Timeout;
  #given = 0;
  #confirmed = 0;
  #isAsking = false;
  #missed = 0;

  /** `ping` resolves when the server has all that was given before; `onSilence`: it does not answer any more. */
  constructor(ping: () => Promise<void>, onSilence: () => void) {
    this.#ping = ping;
    this.#onSilence = onSilence;
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
  }

  /** Whether so many bytes may be sent now; if so, they count as given. */
  admit(bytes: number): boolean {
    const unconfirmed = this.#given + bytes - this.#confirmed;
    if (unconfirmed > MAX_UNCONFIRMED_BYTES) return false;
    this.#given += bytes;
    if (unconfirmed > ASK_ABOVE_BYTES && !this.#isAsking) this.#ask();
    return true;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    if (!this.#isAsking) this.#ask();
    else if (++this.#missed === MAX_MISSED) this.#onSilence();
  }

  #ask(): void {
    const asked = this.#given;
    this.#isAsking = true;
    this.#ping().then(
      () => {
        this.#confirmed = asked;
        this.#isAsking = false;
        this.#missed = 0;
      },
      () => {}, // The connection has ended, and with it this.
    );
  }
}

const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 2000;
/** How long a close waits for what was sent to be on its way. */
const DRAIN_MS = 1000;

export interface LinkOptions {
  readonly servers: readonly NatsServer[];
  /** What the server calls this connection. */
  readonly name: string;
  /** Subscribes; called once a connection, before it counts as up. */
  readonly install: (connection: NatsConnection) => void;
  readonly onChange: (isUp: boolean) => void;
  readonly report: (message: string, error: unknown) => void;
}

/** A connection that is up. */
interface Up {
  readonly connection: NatsConnection;
  readonly outflow: Outflow;
}

/** Keeps a connection to one of the servers, trying for ever: each in its turn, with at most 2 s between two tries. */
export class NatsLink {
  readonly #options: LinkOptions;
  readonly #ending = new AbortController();
  readonly #ended: Promise<void>;
  /** Servers that failed since the last success, which has been said. */
  readonly #blamed = new Set<NatsServer>();
  #up: Up | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#ended = this.#run();
  }

  get isUp(): boolean {
    return this.#up !== undefined;
  }

  /**
   * The connection, if there is one that a message of so many bytes may be sent over now: it counts as sent.
   * Nothing is kept for later.
   */
  admit(bytes: number): NatsConnection | undefined {
    if (!this.#up) return undefined;
    const { connection, outflow } = this.#up;
    // It may have closed without our having been told yet.
    if (connection.isClosed() || bytes > (connection.info?.max_payload ?? 0)) return undefined;
    return outflow.admit(bytes) ? connection : undefined;
  }

  /** Ends all subscriptions, has what was sent on its way, for a second at most, and ends the connection. */
  async close(): Promise<void> {
    this.#ending.abort();
    const connection = this.#up?.connection;
    if (connection) {
      const timer = new AbortController();
      const late = delay(DRAIN_MS, undefined, { signal: timer.signal }).catch(() => {});
      await Promise.race([connection.drain().catch(() => {}), connection.closed(), late]);
      timer.abort();
      await connection.close();
    }
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { servers } = this.#options;
    // Nodes begin with different ones, so that they spread.
    let next = Math.floor(Math.random() * servers.length);
    for (let failures = 0; !this.#ending.signal.aborted; failures++) {
      const server = servers[next++ % servers.length];
      if (!server) throw new Error('there is no server to connect to');
      try {
        await this.#use(await dial(server, this.#options.name));
        failures = 0;
      } catch (error) {
        this.#blame(server, error);
      }
      // Of many nodes that lost a server at once, not all are to come back at once.
      const pause =
        Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
      await delay(pause, undefined, { signal: this.#ending.signal }).catch(() => {});
    }
  }

  /** Resolves when a connection that was up has ended; rejects when it did not get so far. */
  async #use(connection: NatsConnection): Promise<void> {
    const outflow = new Outflow(
      () => connection.flush(),
      () => void connection.close(),
    );
    const closed = connection.closed();
    void this.#reportErrors(connection);
    try {
      this.#options.install(connection);
      const early = closed.then((error) => Promise.reject(error ?? new Error('the server hung up')));
      await Promise.race([connection.flush(), early]);
      if (this.#ending.signal.aborted) return;
      this.#up = { connection, outflow };
      this.#blamed.clear();
      this.#options.onChange(true);
      const error = await closed;
      if (!this.#ending.signal.aborted) this.#options.report('the connection to NATS was lost', error);
    } finally {
      outflow.stop();
      await connection.close();
      const wasUp = this.#up !== undefined;
      this.#up = undefined;
      if (wasUp) this.#options.onChange(false);
    }
  }

  #blame(server: NatsServer, error: unknown): void {
    if (this.#blamed.has(server) || this.#ending.signal.aborted) return;
    this.#blamed.add(server);
    this.#options.report(`NATS at ${addressOf(server)} cannot be had; trying on`, error);
  }

  /** What the server refuses, such as a subject without permission; ends with the connection. */
  async #reportErrors(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status())
      if (status.type === Events.Error) this.#options.report('NATS refused something', status);
  }
}
