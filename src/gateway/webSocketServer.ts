import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type RawData, WebSocket, WebSocketServer as WsServer } from 'ws';
import type { z } from 'zod';
import { badRequest, isOutage, overloaded, ParleyError, unauthenticated } from '../base/errors.js';
import type { Metrics } from '../base/metrics.js';
import type { Origins } from '../base/origins.js';
import { type Allowance, BoundedLog, TokenBucket } from '../base/rateLimits.js';
import type { Traces } from '../base/tracing.js';
import { nearestRequest, type RequestName, requests, validate } from '../domain/contract.js';
import type { UserId } from '../domain/ids.js';
import { MAX_FRAME_BYTES } from '../domain/limits.js';
import { parseBearerToken } from '../vault/sessionStore.js';
import type { Session, SessionStore } from '../vault/vault.js';
import type { Handler, Handlers } from './commandRunner.js';
import { Connection, type ConnectionHost } from './connection.js';
import type { Identify } from './identify.js';
import type { OpenConnections } from './openConnections.js';
import { answerText, type CloseCause, closeCauses, errorText, type Request } from './protocol.js';
import { type Caller, Flusher } from './sender.js';

export interface RequestDeps {
  readonly identify: Identify;
  readonly handlers: Handlers;
  /** Told of every request: its event and how it ended. */
  readonly metrics: Pick<Metrics, 'countCommand' | 'traces'>;
  readonly logger: Logger;
}

/** Answers the request of a connection; never rejects. */
export type AnswerRequest = (connection: Connection, request: Request) => Promise<void>;

/** How the requests of one name are answered. */
interface Answering {
  readonly schema: z.ZodType;
  readonly handler: Handler<RequestName>;
}

/** Makes the function that answers requests with the result or the error of `identify` or a handler. */
export function createRequestAnswerer({ identify, handlers, metrics, logger }: RequestDeps): AnswerRequest {
  const answerings = new Map<string, Answering>();
  for (const [name, handler] of Object.entries(handlers)) {
    const { data } = requests[name as RequestName]; // `Handlers` has one for each request.
    // A handler is given what the schema of its request has validated.
    answerings.set(name, { schema: data, handler: handler as Handler<RequestName> });
  }

  const lines = new BoundedLog(logger);
  const isLogging = logger.isLevelEnabled('debug');

  function refuse(connection: Connection, request: Request, error: unknown): string {
    const told = isOutage(error) ? overloaded('a store does not answer') : error;
    if (told instanceof ParleyError) {
      if (told.code === 'unauthenticated') lines.write('info', 'a token was refused', factsOf(connection));
      connection.sendText(errorText(request, told));
      return told.code;
    }
    const incident = randomUUID();
    const facts = { ...factsOf(connection), err: error, incident, event: nameOf(request) };
    lines.write('error', 'a request failed', facts);
    const internal = new ParleyError('internal', 'the server failed: report the incident to its operator');
    connection.sendText(errorText(request, internal, incident));
    return 'internal';
  }

  const nameOf = ({ event }: Request): string =>
    answerings.has(event) || event === 'identity' ? event : 'other';

  /** Answers the request; resolves with its outcome. */
  async function answer(connection: Connection, request: Request): Promise<string> {
    const { event } = request;
    const answering = answerings.get(event);
    try {
      if (event === 'identity') await identify(connection, request);
      else {
        const { session } = connection;
        if (!session) throw unauthenticated('identify first');
        if (!answering) throw noSuchEvent(event);
        const data = validate(answering.schema, request.data) as never; // Of the handler's own request.
        const answer = await answering.handler(connection, session.userId, data);
        connection.sendText(answerText(request, JSON.stringify(answer)));
      }
      return 'ok';
    } catch (error) {
      return refuse(connection, request, error);
    }
  }

  async function answerTraced(connection: Connection, request: Request, traces: Traces): Promise<string> {
    const trace = traces.beginRequest();
    const outcome = await trace.run(() => answer(connection, request));
    const facts = { 'parley.outcome': outcome, 'parley.request': connection.peer.caller?.request ?? '' };
    // Only `internal` is a failure of the server; the others are answers.
    trace.end(nameOf(request), facts, outcome === 'internal' ? outcome : undefined);
    return outcome;
  }

  return async (connection, request) => {
    const { traces } = metrics;
    const outcome = await (traces ? answerTraced(connection, request, traces) : answer(connection, request));
    const name = nameOf(request);
    metrics.countCommand(name, outcome);
    if (isLogging) logger.debug({ ...factsOf(connection), event: name, outcome }, 'a command was answered');
  };
}

function noSuchEvent(event: string): ParleyError {
  const near = nearestRequest(event);
  const hint = near === undefined ? '' : `: did you mean "${near}"?`;
  const fields = [{ path: 'event', message: `is not an event of this protocol${hint}` }];
  return badRequest(`there is no such event${hint}`, fields);
}

/** What the log says of a connection in each of its lines. */
const factsOf = ({ peer, bearer }: Connection) => ({ ...peer.caller, user: bearer?.userId });

/** The class of the sockets: each knows its connection, so that one set of listeners serves all. */
class PeerSocket extends WebSocket {
  connection: Connection | undefined;
  server: WebSocketServer | undefined;
  caller: Caller | undefined;
}

export interface WebSocketServerDeps {
  readonly sessions: Pick<SessionStore, 'find'>;
  readonly connections: OpenConnections;
  readonly answerRequest: AnswerRequest;
  readonly rules: {
    readonly origins: Origins;
    /** Requests a second, and at once, of a connection that has not identified. */
    readonly rateLimit: Allowance | 'off';
  };
  readonly logger: Logger;
}

/** Upgrades HTTP requests of clients to WebSockets, and makes a connection of each. */
export class WebSocketServer implements ConnectionHost {
  readonly flusher = new Flusher();
  readonly isLimiting: boolean;
  readonly answer: AnswerRequest;
  readonly #deps: WebSocketServerDeps;
  readonly #server = new WsServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    WebSocket: PeerSocket,
  });

  readonly #lines: BoundedLog;
  /** The ids of upgrades that are under way. */
  readonly #requestIds = new WeakMap<IncomingMessage, string>();

  constructor(deps: WebSocketServerDeps) {
    this.#deps = deps;
    this.#lines = new BoundedLog(deps.logger);
    this.isLimiting = deps.rules.rateLimit !== 'off';
    this.answer = deps.answerRequest;
    this.#server.on('headers', (headers, request) => {
      headers.push(`X-Request-Id: ${this.#requestIds.get(request)}`);
    });
  }

  now(): number {
    return this.#deps.connections.now();
  }

  endOf(session: Session): number {
    return this.#deps.connections.endOf(session);
  }

  bucketOf(user: UserId | undefined): TokenBucket | undefined {
    const { connections, rules } = this.#deps;
    if (user !== undefined) return connections.bucketOf(user);
    return rules.rateLimit === 'off'
      ? undefined
      : new TokenBucket(rules.rateLimit.rate, rules.rateLimit.burst);
  }

  /** Takes over the socket of a request that offers to upgrade to a WebSocket. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { connections, sessions, rules } = this.#deps;
    socket.on('error', destroySocket);
    const caller = { request: randomUUID(), address: rules.origins.addressOf(request) };
    if (!rules.origins.isAllowed(request.headers)) return this.#refuse(socket, 403, caller);
    if (connections.isStopping || !(socket instanceof Socket)) return this.#refuse(socket, 503, caller);
    const { authorization } = request.headers;
    let bearer: Session | undefined;
    if (authorization !== undefined) {
      const token = parseBearerToken(authorization);
      const cancel = destroyLater(socket, UPGRADE_TIMEOUT_MS);
      try {
        if (token !== undefined) bearer = await sessions.find(token, new Date());
      } catch (error) {
        this.#lines.write('warn', 'a token could not be looked up', { ...caller, err: error });
        return this.#refuse(socket, 503, caller);
      } finally {
        cancel();
      }
      if (!bearer) return this.#refuse(socket, 401, caller);
      if (connections.isStopping) return this.#refuse(socket, 503, caller);
    }
    this.#requestIds.set(request, caller.request);
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      ws.caller = caller;
      this.#accept(ws, socket, bearer);
    });
  }

  reportClose(connection: Connection, { code, reason, isMisuse }: CloseCause): void {
    const facts = { ...factsOf(connection), code, reason, waiting: connection.waitingBytes };
    if (isMisuse) this.#lines.write('warn', 'a connection was closed for misuse', facts);
    else this.#deps.logger.debug(facts, 'a connection was closed');
  }

  reportLimited(connection: Connection): void {
    this.#lines.write('warn', 'a request came too soon', factsOf(connection));
  }

  /** The socket is gone, with the code of its close. */
  remove(connection: Connection, code: number): void {
    const { connections, logger } = this.#deps;
    if (logger.isLevelEnabled('debug')) logger.debug({ ...factsOf(connection), code }, 'a connection ended');
    connections.remove(connection);
  }

  #refuse(socket: Duplex, status: UpgradeRefusal, caller: Caller): void {
    // A 503 is of the server's own making.
    this.#lines.write(status === 503 ? 'info' : 'warn', 'an upgrade was refused', { ...caller, status });
    refuseUpgrade(socket, status, caller.request);
  }

  #accept(ws: PeerSocket, socket: Socket, bearer: Session | undefined): void {
    // The library listens from here on.
    socket.off('error', destroySocket);
    const connection = new Connection(ws, socket, this, bearer);
    ws.connection = connection;
    ws.server = this;
    this.#deps.connections.add(connection);
    ws.on('message', onMessage);
    ws.on('pong', onPong);
    ws.on('error', onError);
    ws.on('close', onClose);
    this.#deps.logger.debug(factsOf(connection), 'a connection was opened');
  }
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  const { connection } = this as PeerSocket; // The server makes no other sockets.
  if (isBinary) connection?.close(closeCauses.binaryFrame);
  else connection?.receive(data.toString());
}

function onPong(this: WebSocket): void {
  const { connection } = this as PeerSocket; // As above.
  connection?.markHeard();
}

/** The library closes the socket after an error, with the right code. */
function onError(): void {}

function onClose(this: WebSocket, code: number): void {
  const { connection, server } = this as PeerSocket; // As above.
  if (connection) server?.remove(connection, code);
}

function destroySocket(this: Duplex): void {
  this.destroy();
}

/** The HTTP status of a refused upgrade. */
type UpgradeRefusal = 401 | 403 | 503;

const statusTexts: Record<UpgradeRefusal, string> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  503: 'Service Unavailable',
};

/** A socket that the HTTP server no longer watches is destroyed if it is no WebSocket after this time. */
const UPGRADE_TIMEOUT_MS = 10_000;
/** After a refusal, the client has this long to take it and to close. */
const REFUSAL_TIMEOUT_MS = 1000;

/** Destroys the socket after `ms`, unless it has closed. Returns the function that cancels this. */
function destroyLater(socket: Duplex, ms: number): () => void {
  const timer = setTimeout(() => socket.destroy(), ms);
  const cancel = () => {
    clearTimeout(timer);
    socket.off('close', cancel);
  };
  socket.on('close', cancel);
  return cancel;
}

/** Answers the upgrade with a status and nothing more. */
function refuseUpgrade(socket: Duplex, status: UpgradeRefusal, request: string): void {
  const extra = status === 401 ? 'WWW-Authenticate: Bearer\r\n' : '';
  destroyLater(socket, REFUSAL_TIMEOUT_MS);
  // The client's end must be read, or the socket never closes.
  socket.resume();
  socket.end(
    `HTTP/1.1 ${status} ${statusTexts[status]}\r\n${extra}X-Request-Id: ${request}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}
