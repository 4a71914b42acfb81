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
  /** Logs a failure that was handled. */
  readonly report: (message: string, error: unknown) => void;
}

/** The interval between reports of unusable input from other nodes. */
const REPORT_INTERVAL_MS = 60_000;
/** Sent instead of a reply that exceeds the payload limit, so that the requester fails fast. */
const UNANSWERED_REPLY = encodeReply('unanswered');

type Handlers<Args extends unknown[]> = Set<(...args: Args) => void>;

/** The bus of several nodes, over NATS core. Delivers at most once, and stores nothing while disconnected. */
export class NatsBus implements Bus {
  readonly node: NodeId;
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
  constructor({ servers, logId, node, report }: NatsBusOptions) {
    const prefix = `parley.${logId.replaceAll('-', '').slice(0, 12)}`;
    this.node = node;
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
      const data = encodeCommit(frame);
      this.#link.admit(data.length)?.publish(this.#subjects.commits, data);
    }
    for (const handler of this.#frameHandlers) handler(frame);
  }

  subscribe(handler: (frame: CommitFrame) => void): () => void {
    return addHandler(this.#frameHandlers, handler);
  }

  broadcast(note: Note): void {
    if (!this.isConnected) return;
    const data = encodeNote(this.node, note);
    this.#link.admit(data.length)?.publish(this.#subjects.notes, data);
  }

  onNote(handler: (note: Note, from: NodeId) => void): () => void {
    return addHandler(this.#noteHandlers, handler);
  }

  // Must not await before the connection has the request, so that requests keep their order.
  async request(to: NodeId, body: unknown, timeoutMs: number): Promise<Reply> {
    if (this.#isClosed) return 'undelivered';
    if (to === this.node) return withReplyTimeout(timeoutMs, this.#server.handle(body, to, 0));
    const data = encodeRequest(this.node, body);
    const connection = this.#link.admit(data.length);
    if (!connection) return 'undelivered';
    try {
      const answer = await connection.request(this.#subjects.node(to), data, { timeout: timeoutMs });
      return decodeReply(answer.data);
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
    on(this.#subjects.commits, ({ data }) => this.#call(this.#frameHandlers, decodeCommit(data)));
    on(this.#subjects.notes, ({ data }) => {
      const { note, from } = decodeNote(data);
      this.#call(this.#noteHandlers, note, from);
    });
    on(this.#subjects.node(this.node), ({ data, reply }) => {
      const { from, body } = decodeRequest(data);
      void this.#respond(reply, this.#server.handle(body, from, data.length));
    });
  }

  async #respond(to: string | undefined, answer: Promise<Reply>): Promise<void> {
    try {
      const data = encodeReply(await answer);
      if (to === undefined) return;
      const connection = this.#link.admit(data.length);
      if (connection) return connection.publish(to, data);
      const other = this.#link.admit(UNANSWERED_REPLY.length);
      if (!other) return;
      other.publish(to, UNANSWERED_REPLY);
      throw new Error(`the reply has ${data.length} bytes, more than may be sent now`);
    } catch (error) {
      if (!this.#isClosed) this.#report('a reply could not be sent', error);
    }
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
