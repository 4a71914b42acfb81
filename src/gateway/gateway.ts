import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { badRequest, isOutage, overloaded, ParleyError, unauthenticated } from '../base/errors.js';
import { TokenBucket } from '../base/rateLimits.js';
import { type RequestName, requests, validate } from '../domain/contract.js';
import { parseBearerToken } from '../vault/sessions.js';
import type { Session } from '../vault/vault.js';
import { CloseCode, Connection, type Site } from './connection.js';
import type { Handler, Handlers } from './handlers.js';
import { createIdentify, type IdentifyDeps } from './identify.js';
import { answerText, errorText, isRequestName, type Request } from './protocol.js';
import { Flusher } from './sender.js';

const MAX_FRAME = 128 * 1024;
const CHECK_MS = 500;
/** A peer not heard for this long is asked; after twice this, it is gone. */
const PING_MS = 30_000;

export interface GatewayDeps extends IdentifyDeps {
  readonly handlers: Handlers;
  readonly allowedOrigins: readonly string[] | undefined;
  readonly rateLimit: { readonly rate: number; readonly burst: number } | 'off';
  /** Told of every request: its event and how it ended. */
  readonly onRequest: (event: string, outcome: string) => void;
}

/** The class of the sockets: each knows its connection, so that one set of listeners serves all. */
class PeerSocket extends WebSocket {
  connection: Connection | undefined;
}

/** The WebSocket server: lets clients in, has their requests answered, and tells them what changed. */
export class Gateway implements Site {
  readonly flusher: Flusher;
  readonly #deps: GatewayDeps;
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME,
    WebSocket: PeerSocket,
  });
  readonly #connections = new Set<Connection>();
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  readonly #identify: (connection: Connection, request: Request) => Promise<void>;
  #closing = false;

  constructor(deps: GatewayDeps) {
    this.#deps = deps;
    this.#identify = createIdentify(deps);
    this.flusher = new Flusher(() => this.now());
    this.#timer = setInterval(() => this.#check(), CHECK_MS);
    this.#unsubscribe = deps.sessions.onRevoked((id) => this.#sessionEnded(id));
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Bytes that wait to be read by clients. */
  get waiting(): number {
    let bytes = 0;
    for (const connection of this.#connections) bytes += connection.waiting;
    return bytes;
  }

  now(): number {
    return Date.now();
  }

  bucket(): TokenBucket | undefined {
    const { rateLimit } = this.#deps;
    return rateLimit === 'off' ? undefined : new TokenBucket(rateLimit.rate, rateLimit.burst);
  }

  /** The HTTP server's `upgrade`. */
  async upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const path = (request.url ?? '').split('?', 1)[0];
    if (path !== '/ws') return refuseUpgrade(socket, 404);
    if (!originAllowed(request, this.#deps.allowedOrigins)) return refuseUpgrade(socket, 403);
    if (this.#closing || !(socket instanceof Socket)) return refuseUpgrade(socket, 503);
    const { authorization } = request.headers;
    let bearer: Session | undefined;
    if (authorization !== undefined) {
      const token = parseBearerToken(authorization);
      try {
        if (token !== undefined) bearer = await this.#deps.sessions.find(token, new Date(this.now()));
      } catch (error) {
        this.#deps.logger.warn({ err: error }, 'a token could not be looked up');
        return refuseUpgrade(socket, 503);
      }
      if (!bearer) return refuseUpgrade(socket, 401);
    }
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#accept(ws, socket, bearer));
  }

  #accept(ws: PeerSocket, socket: Socket, bearer: Session | undefined): void {
    const connection = new Connection(ws, socket, this, bearer);
    ws.connection = connection;
    this.#connections.add(connection);
    ws.on('message', onMessage);
    ws.on('pong', onPong);
    ws.on('error', onError);
    const drained = () => connection.drained();
    socket.on('drain', drained);
    ws.on('close', () => {
      socket.off('drain', drained);
      this.#closed(connection);
    });
  }

  closing(connection: Connection, code: number, reason: string): void {
    // Sign-outs and restarts are everyday; the others tell of a client that misbehaves.
    const level = code === CloseCode.slow || code === CloseCode.abuse ? 'warn' : 'debug';
    this.#deps.logger[level]({ code, user: connection.bearer?.userId, waiting: connection.waiting }, reason);
  }

  async handle(connection: Connection, request: Request): Promise<void> {
    let outcome = 'ok';
    try {
      if (request.event === 'identity') await this.#identify(connection, request);
      else {
        const { session } = connection;
        if (!session) throw unauthenticated('identify first');
        if (!isRequestName(request.event) || request.event === 'identity')
          throw badRequest('there is no such event', [
            { path: 'event', message: 'is not an event of this protocol' },
          ]);
        const data = validate(requests[request.event].data, request.data);
        // The schema that has just validated is the one of this event.
        const handler = this.#deps.handlers[request.event] as Handler<RequestName>;
        const answer = await handler(connection, session.userId, data);
        connection.sendText(answerText(request, JSON.stringify(answer)));
      }
    } catch (error) {
      outcome = this.#refuse(connection, request, error);
    }
    this.#deps.onRequest(isRequestName(request.event) ? request.event : 'other', outcome);
  }

  #refuse(connection: Connection, request: Request, error: unknown): string {
    const told = isOutage(error) ? overloaded('a store does not answer') : error;
    if (told instanceof ParleyError) {
      connection.sendText(errorText(request, told));
      return told.code;
    }
    const incident = randomUUID();
    this.#deps.logger.error({ err: error, incident, event: request.event }, 'a request failed');
    const internal = new ParleyError('internal', 'something went wrong here; the incident is in the log');
    connection.sendText(errorText(request, internal, incident));
    return 'internal';
  }

  #closed(connection: Connection): void {
    connection.closed();
    this.#connections.delete(connection);
    const { bearer } = connection;
    if (!bearer) return;
    this.#deps.hub.leave(bearer.userId, connection);
    this.#deps.presence.lost(bearer.userId, connection, bearer.id);
  }

  #sessionEnded(id: string): void {
    for (const connection of this.#connections) {
      if (connection.bearer?.id !== id) continue;
      this.#deps.presence.signedOut(connection.bearer.userId, connection);
      connection.close(CloseCode.signedOut, 'signed out');
    }
    this.#deps.presence.ended(id);
  }

  #check(): void {
    const now = this.now();
    for (const connection of this.#connections) {
      connection.check(now);
      const silent = now - connection.heardAt;
      if (silent >= 2 * PING_MS) connection.ws.terminate();
      // Asked once: within the one round of checks in which the silence passes the mark.
      else if (silent >= PING_MS && silent < PING_MS + CHECK_MS && connection.state.kind !== 'closing')
        connection.ws.ping();
    }
  }

  /** Begins no more requests, waits until those begun are answered (5 s at most), and closes all with 1012. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#unsubscribe();
    for (const connection of this.#connections) connection.ws.pause();
    await this.#until(5000, () => ![...this.#connections].some(({ inFlight }) => inFlight > 0));
    for (const connection of this.#connections) connection.close(CloseCode.restart, 'the server restarts');
    await this.#until(2000, () => this.#connections.size === 0);
    for (const connection of this.#connections) connection.ws.terminate();
    clearInterval(this.#timer);
  }

  async #until(ms: number, done: () => boolean): Promise<void> {
    for (const end = this.now() + ms; !done() && this.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  const { connection } = this as PeerSocket; // The server makes no other sockets.
  if (isBinary) connection?.close(CloseCode.binary, 'text frames only');
  else connection?.receive(data.toString());
}

function onPong(this: WebSocket): void {
  const { connection } = this as PeerSocket; // As above.
  if (connection) connection.heardAt = Date.now();
}

/** The close that follows says what is to be said. */
function onError(): void {}

/** Why an upgrade is refused: an HTTP status before any WebSocket is there. */
export type Refusal = 401 | 403 | 404 | 503;

const reasons: Record<Refusal, string> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  503: 'Service Unavailable',
};

/**
 * Whether a browser's page may connect. Without a list, only a page of the same host; other clients send no
 * `Origin`. Origins are compared whole: scheme, host and port.
 */
function originAllowed(request: IncomingMessage, allowed: readonly string[] | undefined): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined) return true;
  if (allowed) return allowed.includes(origin);
  return URL.canParse(origin) && new URL(origin).host === host;
}

/** Answers the upgrade with a status and nothing more. */
function refuseUpgrade(socket: Duplex, status: Refusal): void {
  const extra = status === 401 ? 'WWW-Authenticate: Bearer\r\n' : '';
  socket.end(
    `HTTP/1.1 ${status} ${reasons[status]}\r\n${extra}Connection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}
