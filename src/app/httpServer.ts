import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type Koa from 'koa';
import { AuditReader } from '../audit/auditReader.js';
import { eventsUntil, indexedSize, type StreamSource } from '../audit/events/eventFilter.js';
import { type AuditKeys, openEvents } from '../audit/events/transcript.js';
import { ConfigError } from '../base/settings.js';
import type { Moment } from '../domain/commands.js';
import { type Recorded, sealedTextsOf } from '../domain/events.js';
import { type RoomId, streamOf, type UserId } from '../domain/ids.js';
import type { Moderation } from '../erasure/reportDecisions.js';
import type { RunningGateway } from '../gateway/startGateway.js';
import { KeyAdministration } from '../host/keyAdministration.js';
import type { UserAdministration } from '../http/administration.js';
import { createHttpServer, type HttpParts } from '../http/app.js';
import { presentUser, roleCheck } from '../http/auth.js';
import { checkReadiness, type Readiness } from '../http/operations.js';
import { partitionOf } from '../log/log.js';
import type { RevocationCause } from '../vault/vault.js';
import type { EventDelivery } from './eventDelivery.js';
import type { Identity } from './hostIdentity.js';
import type { Host } from './lifecycle.js';
import type { Parts } from './phases.js';
import { prepareStorage } from './storageFigures.js';

/** Gives each group of HTTP resources its parts. */
export function httpParts(
  host: Host,
  parts: Parts,
  gateway: RunningGateway,
  { administration, moderation, identity, destroyed, delivery }: Deciders,
): HttpParts {
  const { config, metrics } = host;
  const { stores, reads, audit, membership } = parts;
  const { vault, passwords, texts, engine } = stores;
  const { log, attemptLimit } = engine;
  const { queries, projections } = reads;
  const { reader: rows, progress } = projections;
  const { heads, proofs } = audit;
  const { commands } = membership;
  const past = { log, rows, indexed: indexedSize(progress) };
  const present = presentUser({ log, queries, progress });
  const roomNow = async (roomId: RoomId) => {
    const partition = partitionOf(streamOf('room', roomId), log.partitions);
    return [{ partition, size: (await log.tail(partition))?.size ?? 0 }];
  };
  const now = () => gateway.revisions.present();
  const lifetimeMs = config.SESSION_TTL;
  const announceEnds = (sessions: readonly string[], why?: RevocationCause) =>
    gateway.sessionRevocation.announce(sessions, why);
  return {
    accounts: {
      ...{ vault, passwords, commands, queries },
      sessionRules: { lifetimeMs, announceEnds, present, signUp: config.SIGN_UP },
      limits: {
        ...{ attemptLimit, trustedProxies: config.TRUST_PROXY },
        checkRequest: (user) => gateway.checkRequest(user),
      },
    },
    users: {
      ...{ queries, reports: reads.reports, revisions: gateway.revisions },
      administration,
      erase: (userId, username) => administration.eraseSelf(userId, username),
      historyOf: (userId) => openHistory(eventsUntil(past, streamOf('user', userId)), vault.keys),
    },
    audit: {
      hasRole: roleCheck({ log, queries, progress }),
      commands,
      moderation,
      reader: new AuditReader({ log, rows, progress, keys: vault.keys, open: texts.opener }),
      log: { heads, proofs, partitions: log.partitions },
    },
    operations: {
      metrics,
      isMetricsPublic: config.METRICS_PORT === undefined,
      ready: async () => readinessOf(host, parts),
      storage: prepareStorage(host, parts, delivery.subscriptions),
    },
    host: {
      server: {
        ...{ keys: vault.serverKeys, users: identity.users },
        reads: { ...{ queries, present, roomNow, now }, hostIdOf: findHostId(past, vault.keys) },
        writes: { commands, destroyed, keys: vault.keys },
        access: { administration, sessions: vault.sessions, lifetimeMs },
      },
      events: { ...delivery, commands },
      keys: new KeyAdministration({ keys: vault.serverKeys, commands, policyId: log.id }),
      issuer: identity.issuer && {
        ...identity.issuer,
        clientId: config.OIDC_CLIENT_ID,
        announceEnds,
        present,
      },
    },
  };
}

/** What decides and carries out beside the gateway. */
interface Deciders {
  readonly administration: UserAdministration;
  readonly moderation: Moderation;
  readonly identity: Identity;
  readonly delivery: EventDelivery;
  /** See `CommandRunnerDeps.destroyed`. */
  readonly destroyed: (moment: Moment) => Promise<void>;
}

/** A new user is linked before anybody else can act as this user: among the first events, of these many. */
const EVENTS_BEFORE_LINK = 32;

/** Finds the host application's own id of a user in the user's first events. */
const findHostId = (past: StreamSource, keys: AuditKeys) => async (userId: UserId) => {
  let seen = 0;
  for await (const event of openHistory(eventsUntil(past, streamOf('user', userId)), keys)) {
    if (event.type === 'IdentityLinked') return event.data.subject ?? undefined;
    if (++seen === EVENTS_BEFORE_LINK) return undefined;
  }
  return undefined;
};

/** The events with their sealed texts opened. */
async function* openHistory(events: AsyncIterable<Recorded>, keys: AuditKeys): AsyncGenerator<Recorded> {
  for await (const event of events) {
    const [opened] = sealedTextsOf(event).length > 0 ? await openEvents(keys, [event]) : [event];
    yield opened as Recorded; // Opened texts are texts, as sealed ones are.
  }
}

/** Whether the node can do its work now. */
export function readinessOf(
  { retirement }: Host,
  {
    reads,
    audit,
    membership,
    selfCheck,
  }: Pick<Parts, 'reads' | 'audit'> & Pick<Parts, 'membership' | 'selfCheck'>,
): Readiness {
  const { bus, writers } = membership;
  const { progress } = reads.projections;
  const { heads } = audit;
  return checkReadiness({ isRetired: retirement.isRetired, heads, writers, progress, bus }, selfCheck);
}

/** Takes over the socket of a request that offers to become a WebSocket. */
type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Upgrades WebSockets at `/ws`. Any other offer to upgrade is ignored: the request is answered as if it had none. */
export function serveUpgrades(server: Server, upgrade: Upgrade): void {
  /** Sockets with requests that are not answered yet. */
  const busy = new WeakSet<Duplex>();
  server.on('request', ({ socket }, response) => {
    busy.add(socket);
    response.once('close', () => busy.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    // Node detaches the answers before it from the socket: they could not be sent in order.
    if (busy.has(socket)) socket.destroy();
    else if (isWebSocketOffer(request)) upgrade(request, socket, head);
    else {
      socket.unshift(Buffer.concat([headWithoutOffer(request), head]));
      // Once more from the beginning, with the deadlines of a new connection.
      server.emit('connection', socket);
    }
  });
}

const tokensOf = (list: string): string[] => list.split(',').map((token) => token.trim().toLowerCase());

function isWebSocketOffer({ method, url = '', headers }: IncomingMessage): boolean {
  const [path = ''] = url.split('?', 1);
  return (
    method === 'GET' &&
    (path === '/ws' || path === '/ws/') &&
    tokensOf(headers.upgrade ?? '').includes('websocket')
  );
}

/** The request line and headers as they came, but for those that offer to upgrade (RFC 9110 section 7.8). */
function headWithoutOffer({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name = '', value = ''] = [rawHeaders[i], rawHeaders[i + 1]];
    const lowerName = name.toLowerCase();
    if (OFFER_HEADERS.includes(lowerName)) continue;
    if (lowerName !== 'connection') lines.push(`${name}: ${value}`);
    else {
      const kept = tokensOf(value).filter((token) => !OFFER_HEADERS.includes(token));
      if (kept.length > 0) lines.push(`${name}: ${kept.join(', ')}`);
    }
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

const OFFER_HEADERS = ['upgrade', 'http2-settings'];

/** A port that is served. */
export interface Listening {
  readonly url: string;
  /** Accepts nothing more, answers the requests under way, and disconnects all clients. */
  stop(): Promise<void>;
}

/** Where to listen, by the setting that names the port. */
type Address = { readonly HOST: string } & ({ readonly PORT: number } | { readonly METRICS_PORT: number });

/** Errors of `listen` that another port would not have. The others are of the address. */
const PORT_ERRORS: ReadonlySet<string | undefined> = new Set(['EADDRINUSE', 'EACCES']);

/** Opens the port and returns its URL. Throws `ConfigError` if it cannot listen there. */
async function openPort(server: Server, at: Address): Promise<string> {
  const [name, wanted] = 'PORT' in at ? ['PORT', at.PORT] : ['METRICS_PORT', at.METRICS_PORT];
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const setting = PORT_ERRORS.has(cause.code) ? name : 'HOST';
      reject(
        new ConfigError(`${setting}: cannot listen on ${at.HOST}, port ${wanted}: ${cause.message}`, {
          cause,
        }),
      );
    });
    server.listen(wanted, at.HOST, resolve);
  });
  const { address, family, port } = server.address() as AddressInfo; // It listens on a port, not on a pipe.
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

/** Serves HTTP and sockets. Throws `ConfigError` if it cannot listen there. */
export async function listen(
  { HOST, PORT }: { readonly HOST: string; readonly PORT: number },
  app: Koa,
  gateway: Pick<RunningGateway, 'upgrade' | 'close'>,
): Promise<Listening> {
  const server = createHttpServer(app);
  serveUpgrades(server, (request, socket, head) => void gateway.upgrade(request, socket, head));
  return {
    url: await openPort(server, { HOST, PORT }),
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await gateway.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Serves the metrics on a port of their own. Throws `ConfigError` if it cannot listen there. */
export async function listenForMetrics(
  at: { readonly HOST: string; readonly METRICS_PORT: number },
  app: Koa,
): Promise<Listening> {
  const server = createHttpServer(app);
  return {
    url: await openPort(server, at),
    stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}
