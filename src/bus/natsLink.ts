import { setTimeout as delay } from 'node:timers/promises';
import { Events, type NatsConnection } from 'nats';
import { addressOf, dial } from './natsDial.js';
import type { NatsServer } from './natsServers.js';
import { Outflow } from './outflow.js';

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
