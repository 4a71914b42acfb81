import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { Bus } from '../bus/bus.js';
import { commitFrame } from '../bus/frame.js';
import type { CommandRouter } from '../commands/commands.js';
import type { Config } from '../config.js';
import type { EventLog } from '../log/log.js';
import type { Metrics } from '../metrics.js';
import type { Queries } from '../projections/queries.js';
import type { Vault } from '../vault/vault.js';
import { Cursors } from './cursor.js';
import { Delivery } from './delivery.js';
import { Fanout, type Texts } from './fanout.js';
import { Gateway } from './gateway.js';
import { createHandlers } from './handlers.js';
import type { Heartbeat } from './heartbeat.js';
import { Hub } from './hub.js';
import { startLevelling } from './levelling.js';
import { Presence, type WritePresence } from './presence.js';
import { Profiles } from './profiles.js';
import { pushText } from './protocol.js';
import { Revisions } from './revisions.js';
import { Ring } from './ring.js';
import { Rooms } from './rooms.js';
import { Typing } from './typing.js';

/** Recent pushes kept a partition, for those who come back soon. */
const RING_BYTES = 8 * 1024 * 1024;

export interface GatewayParts {
  readonly config: Config;
  readonly log: Omit<EventLog, 'append'>;
  readonly bus: Bus;
  readonly vault: Vault;
  readonly queries: Queries;
  readonly router: CommandRouter;
  readonly texts: Texts;
  readonly heartbeat: Heartbeat;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface RunningGateway {
  readonly revisions: Revisions;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>;
  /** Lets clients go, with what they asked for answered. */
  close(): Promise<void>;
  /** Stops listening to the bus, and every timer. */
  release(): Promise<void>;
}

/** Puts the gateway together, listening to the bus from the log's tail on. To be called before anything is written. */
export async function startGateway(parts: GatewayParts): Promise<RunningGateway> {
  const { config, log, bus, vault, queries, router, texts, metrics, logger } = parts;
  const tails = await Promise.all(
    Array.from({ length: log.partitions }, (_, partition) => log.tail(partition)),
  );
  const start = tails.map((tail) => ({ position: tail?.position ?? 0, size: tail?.size ?? 0 }));
  const cursors = new Cursors(log.id, log.partitions);
  const ring = new Ring(
    RING_BYTES * log.partitions,
    start.map(({ size }) => size),
  );
  const profiles = new Profiles(queries);
  const rooms = new Rooms(queries, log.partitions);
  const hub = new Hub((user) => queries.contacts(user, fannedOut()));

  const typing = new Typing((to, roomId, userId, isTyping) => {
    const text = pushText('notify typing', JSON.stringify({ roomId, userId, isTyping }));
    for (const member of to)
      for (const connection of hub.connectionsOf(member))
        if (connection.hears(roomId)) connection.sendText(text);
  });
  const delivery = new Delivery({
    hub,
    ring,
    cursors,
    onMessage: (room, sender) => typing.sent(room, sender),
  });
  const fanout = new Fanout(start, {
    delivery,
    profiles,
    texts,
    log,
    decode: commitFrame,
    logger,
    onPushed: (recordedAt) => metrics.pushed(Math.max(0, Date.now() - Date.parse(recordedAt))),
  });
  // Contacts are read from at least what has been fanned out: what comes later is added as it comes.
  function fannedOut() {
    return fanout.vector.map((size, partition) => ({ partition, size }));
  }
  const unsubscribe = bus.subscribe((frame) => fanout.receive(frame));

  const write: WritePresence = async (userId, lastSeen) => {
    const id = randomUUID();
    const { moment } = lastSeen
      ? await router.execute<'go offline'>(
          { kind: 'go offline', userId, lastSeen: lastSeen.toISOString() },
          id,
        )
      : await router.execute<'go online'>({ kind: 'go online', userId }, id);
    return moment;
  };
  const presence = new Presence({
    write,
    graceMs: config.PRESENCE_GRACE,
    now: Date.now,
    setTimer: (run, ms) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    logger,
  });
  const levelling = await startLevelling({
    heartbeat: parts.heartbeat,
    presence,
    queries,
    write,
    graceMs: config.PRESENCE_GRACE,
    logger,
  });

  const revisions = new Revisions(cursors, log, fanout);
  const gateway = new Gateway({
    sessions: vault.sessions,
    hub,
    profiles,
    presence,
    handlers: createHandlers({
      router,
      queries,
      hub,
      rooms,
      profiles,
      presence,
      typing,
      cursors,
      revisions,
      horizon: fanout,
    }),
    cursors,
    revisions,
    replay: { queries, ring, cursors, vector: () => fanout.vector },
    logger,
    allowedOrigins: config.ALLOWED_ORIGINS,
    rateLimit: config.RATE_LIMIT,
    onRequest: (event, outcome) => metrics.command(event, outcome),
  });
  metrics.gauge('parley_connections', () => gateway.connections);
  metrics.gauge('parley_bytes_waiting', () => gateway.waiting);

  return {
    revisions,
    upgrade: (request, socket, head) => gateway.upgrade(request, socket, head),
    async close() {
      presence.stop();
      levelling.stop();
      typing.stop();
      await gateway.close();
    },
    async release() {
      unsubscribe();
      fanout.stop();
    },
  };
}
