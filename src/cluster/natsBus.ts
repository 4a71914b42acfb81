import { ErrorCode, type Msg, type NatsConnection, NatsError } from 'nats';
import type { NatsServer } from '../base/settings.js';
import {
  type Bus,
  type CommitFrame,
  type NodeId,
  type Note,
  type Reply,
  RequestServer,
  withReplyTimeout,
} from './bus.js';
import { type BusSeal, ForgedMessage, type Purpose, SEAL_BYTES, StrangerError } from './busSeal.js';
import {
  decodeCommit,
  decodeNote,
  decodeReply,
  decodeRequest,
  encodeCommit,
  encodeNote,
  encodeReply,
  encodeRequest,
  throttleReports,
} from './busWire.js';
import { NatsLink } from './natsConnection.js';

export interface NatsBusOptions {
  readonly servers: readonly NatsServer[];
  /** Only nodes of the same log receive each other's messages. */
  readonly logId: string;
  readonly node: NodeId;
  /** Seals what this node sends, and opens what it takes. */
  readonly seal: BusSeal;
  /** Logs a failure that was handled. */
  readonly report: (message: string, error: unknown) => void;
}

/** The interval between reports of unusable input from other nodes. */
const REPORT_INTERVAL_MS = 60_000;
/** Sent instead of a reply that exceeds the payload limit, so that the requester fails fast. */
const UNANSWERED_REPLY = encodeReply('unanswered');

type Handlers<Args extends unknown[]> = Set<(...args: Args) => void>;

/**
 * The bus of several nodes, over NATS core. Delivers at most once, and stores nothing while disconnected. Takes messages
 * of those nodes only that its seal trusts.
 */
export class NatsBus implements Bus {
  readonly node: NodeId;
  readonly #seal: BusSeal;
  readonly #report: NatsBusOptions['report'];
  readonly #reportInput: NatsBusOptions['report'];
  readonly #subjects: { commits: string; notes: string; node: (id: NodeId) => string };
  readonly #server: RequestServer;
  readonly #link: NatsLink;
  readonly #frameHandlers: Handlers<[CommitFrame]> = new Set();
  readonly #noteHandlers: Handlers<[Note, NodeId]> = new Set();
  readonly #connectionHandlers: Handlers<[boolean]> = new Set();
  #isClosed = false;

  /** Returns before the connection is established. */
  constructor({ servers, logId, node, seal, report }: NatsBusOptions) {
    const prefix = `parley.${logId.replaceAll('-', '').slice(0, 12)}`;
    this.node = node;
    this.#seal = seal;
    this.#report = report;
    this.#reportInput = throttleReports(report, REPORT_INTERVAL_MS);
    this.#subjects = {
      commits: `${prefix}.commits`,
      notes: `${prefix}.notes`,
      node: (id) => `${prefix}.node.${id}`,
    };
    this.#server = new RequestServer(report);
    this.#link = new NatsLink({
      servers,
      name: `parley ${node}`,
      subscribe: (connection) => this.#subscribeAll(connection),
      onChange: (isUp) => this.#call(this.#connectionHandlers, isUp),
      report,
    });
  }

  get isConnected(): boolean {
    return this.#link.isUp && !this.#isClosed;
  }

  publish(frame: CommitFrame): void {
    if (this.isConnected) {
      this.#publish(this.#subjects.commits, 'commits', encodeCommit(frame));
    }
    for (const handler of this.#frameHandlers) handler(frame);
  }

  subscribe(handler: (frame: CommitFrame) => void): () => void {
    return addHandler(this.#frameHandlers, handler);
  }

  broadcast(note: Note): void {
    if (this.isConnected) this.#publish(this.#subjects.notes, 'notes', encodeNote(note));
  }

  onNote(handler: (note: Note, from: NodeId) => void): () => void {
    return addHandler(this.#noteHandlers, handler);
  }

  // Must not await before the connection has the request, so that requests keep their order.
  async request(to: NodeId, body: unknown, timeoutMs: number): Promise<Reply> {
    if (this.#isClosed) return 'undelivered';
    if (to === this.node) return withReplyTimeout(timeoutMs, this.#server.handle(body, to, 0));
    const data = encodeRequest(body);
    // A node that is not trusted could not answer.
    const connection = this.#seal.trusts(to) ? this.#link.admit(data.length + SEAL_BYTES) : undefined;
    if (!connection) return 'undelivered';
    const { bytes, tag } = this.#seal.seal(`request to ${to}`, data);
    try {
      const answer = await connection.request(this.#subjects.node(to), bytes, { timeout: timeoutMs });
      const { data: reply, from } = this.#seal.open(`reply to ${tag}`, answer.data);
      if (from !== to) throw new ForgedMessage(`node ${from} replied to a request to node ${to}`);
      return decodeReply(reply);
    } catch (error) {
      if (isNatsError(error, ErrorCode.NoResponders)) return 'undelivered';
      if (!isNatsError(error, ErrorCode.Timeout)) this.#report(`the request to node ${to} failed`, error);
      return 'unanswered';
    }
  }

  serve(handler: (body: unknown, from: NodeId) => Promise<unknown>): () => void {
    return this.#server.serve(handler);
  }

  onConnectionChange(handler: (isConnected: boolean) => void): () => void {
    return addHandler(this.#connectionHandlers, handler);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#server.close();
    for (const handlers of [this.#frameHandlers, this.#noteHandlers, this.#connectionHandlers])
      handlers.clear();
    await this.#link.close();
  }

  #subscribeAll(connection: NatsConnection): void {
    const on = (subject: string, receive: (message: Msg) => void) =>
      connection.subscribe(subject, {
        callback: (error, message) => {
          try {
            if (error) throw error;
            receive(message);
          } catch (cause) {
            this.#reportInput(`dropped an unreadable message on ${subject}`, cause);
          }
        },
      });
    on(this.#subjects.commits, ({ data }) =>
      this.#call(this.#frameHandlers, decodeCommit(this.#seal.open('commits', data).data)),
    );
    on(this.#subjects.notes, ({ data: sealed }) => {
      const { data, from } = this.#seal.open('notes', sealed);
      this.#call(this.#noteHandlers, decodeNote(data), from);
    });
    on(this.#subjects.node(this.node), (message) => {
      try {
        const { data, from, tag } = this.#seal.open(`request to ${this.node}`, message.data);
        void this.#respond(message.reply, tag, this.#server.handle(decodeRequest(data), from, data.length));
      } catch (error) {
        // A node that has just started tries again at once, instead of waiting for a reply that never comes.
        if (error instanceof StrangerError)
          void this.#respond(message.reply, error.tag, Promise.resolve('undelivered'));
        throw error;
      }
    });
  }

  /** `tag` is that of the request. */
  async #respond(to: string | undefined, tag: string, answer: Promise<Reply>): Promise<void> {
    try {
      const data = encodeReply(await answer);
      if (to === undefined) return;
      const send = (reply: Uint8Array) => this.#publish(to, `reply to ${tag}`, reply);
      if (send(data) || !send(UNANSWERED_REPLY)) return;
      throw new Error(`the reply has ${data.length} bytes, more than may be sent now`);
    } catch (error) {
      if (!this.#isClosed) this.#report('a reply could not be sent', error);
    }
  }

  /** Seals and sends a message. Returns false if one of its size may not be sent now: nothing was sent. */
  #publish(subject: string, purpose: Purpose, data: Uint8Array): boolean {
    const connection = this.#link.admit(data.length + SEAL_BYTES);
    connection?.publish(subject, this.#seal.seal(purpose, data).bytes);
    return connection !== undefined;
  }

  #call<Args extends unknown[]>(handlers: Handlers<Args>, ...args: Args): void {
    for (const handler of handlers)
      try {
        handler(...args);
      } catch (error) {
        this.#reportInput('handling a message from the bus failed', error);
      }
  }
}

function addHandler<Handler>(handlers: Set<Handler>, handler: Handler): () => void {
  handlers.add(handler);
  return () => handlers.delete(handler);
}

const isNatsError = (error: unknown, code: ErrorCode): boolean =>
  error instanceof NatsError && error.code === code;
