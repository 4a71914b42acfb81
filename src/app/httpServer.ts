import type { AddressInfo } from 'node:net';
import type Koa from 'koa';
import { AuditReader } from '../audit/auditReader.js';
import { eventsUntil, indexedSize } from '../audit/events/eventFilter.js';
import { streamOf } from '../domain/ids.js';
import type { Erasures } from '../erasure/erasures.js';
import type { RunningGateway } from '../gateway/startGateway.js';
import { createHttpServer, type HttpParts } from '../http/app.js';
import { checkReadiness } from '../http/operations.js';
import { auditorsOf } from '../projections/queries.js';
import type { Host } from './lifecycle.js';
import type { Parts } from './phases.js';

/** Gives each group of HTTP resources its parts. */
export function httpParts(
  { config, metrics, retirement }: Host,
  { stores, reads, audit, membership, selfCheck }: Parts,
  gateway: RunningGateway,
  erasures: Erasures,
): HttpParts {
  const { vault, passwords, texts, engine } = stores;
  const { log, writers, attemptLimit } = engine;
  const { queries, projections } = reads;
  const { reader: rows, progress } = projections;
  const { heads, proofs } = audit;
  const { bus, commands } = membership;
  const past = { log, rows, indexed: indexedSize(progress) };
  return {
    accounts: {
      ...{ vault, passwords, commands, queries },
      sessionRules: {
        lifetimeMs: config.SESSION_TTL,
        announceEnds: (sessions) => gateway.sessionRevocation.announce(sessions),
      },
    },
    passwordLimits: { attemptLimit, trustedProxies: config.TRUST_PROXY },
    users: {
      ...{ queries, revisions: gateway.revisions },
      erase: (userId, username) => erasures.erase(userId, username),
      historyOf: (userId) => eventsUntil(past, streamOf('user', userId)),
    },
    audit: {
      isAuditor: auditorsOf({ log, queries, progress }),
      commands,
      reader: new AuditReader({ log, rows, progress, keys: vault.keys, open: texts.opener }),
      log: { heads, proofs, partitions: log.partitions },
    },
    operations: {
      metrics,
      ready: async () =>
        checkReadiness({ isRetired: retirement.isRetired, heads, writers, progress, bus }, selfCheck),
    },
  };
}

/** A port that is served. */
export interface Listening {
  readonly url: string;
  /** Accepts nothing more, answers the requests under way, and disconnects all clients. */
  stop(): Promise<void>;
}

/** Serves HTTP and sockets. Throws the error of `listen`. */
export async function listen(
  { HOST, PORT }: { readonly HOST: string; readonly PORT: number },
  app: Koa,
  gateway: Pick<RunningGateway, 'upgrade' | 'close'>,
): Promise<Listening> {
  const server = createHttpServer(app);
  server.on('upgrade', (request, socket, head) => void gateway.upgrade(request, socket, head));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(PORT, HOST, resolve);
  });
  const { address, family, port } = server.address() as AddressInfo; // It listens on a port, not on a pipe.
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `http://${host}:${port}`,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await gateway.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
