import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import type { Config } from '../base/config.js';
import type { Metrics } from '../base/metrics.js';
import type { Bus } from '../cluster/bus.js';
import type { Devices } from '../cluster/devices.js';
import type { Nodes } from '../cluster/nodes.js';
import type { CommandRouter } from '../domain/commands.js';
import { streamOf, type UserId } from '../domain/ids.js';
import type { EventLog } from '../log/log.js';
import { partitionOf } from '../log/log.js';
import type { Queries } from '../projections/queries.js';
import type { Vault } from '../vault/vault.js';
import { Cursors, Revisions } from './cursor.js';
import { type ContentSources, Delivery, type Texts } from './delivery.js';
import { Profiles, Rooms } from './directory.js';
import { Fanout } from './fanout.js';
import { Gateway } from './gateway.js';
import { CommandRunner, createHandlers } from './handlers.js';
import { Hub } from './hub.js';
import { Presence, type WritePresence } from './presence.js';
import { type Heartbeat, Levelling, startBeating } from './presenceReconciler.js';
import { pushText } from './protocol.js';
import { Ring } from './ring.js';
import { Endings } from './sessionRevocation.js';
import { Typing } from './typing.js';

/** Recent pushes kept a partition, for those who come back soon. */
const RING_BYTES = 8 * 1024 * 1024;
/** Those who went are looked through this often. */
const FORGET_MS = 60_000;
/** Owners say how far their partitions are this often. */
const TAILS_MS = 1000;

export interface GatewayParts {
  readonly config: Config;
  readonly log: Omit<EventLog, 'append'>;
  readonly bus: Bus;
  readonly vault: Vault;
  readonly queries: Queries;
  readonly router: CommandRouter;
  readonly texts: Texts;
  readonly nodes: Nodes;
  readonly devices: Devices;
  /** The partitions that this node owns, now. */
  readonly owned: () => readonly number[];
  /** Of a system of one process. */
  readonly heartbeat: Heartbeat | undefined;
  /** A partition cannot be followed any more: see `FanoutDeps.onStop`. */
  readonly fail: (error: unknown) => void;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface RunningGateway {
  readonly revisions: Revisions;
  readonly endings: Endings;
  /** Lets go of the names and texts of one who has been erased; to be called with nothing of theirs still to come. */
  forget(user: UserId): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>;
  /** Lets clients go, with what they asked for answered. */
  close(): Promise<void>;
  /** Stops listening to the bus, and every timer. */
  release(): Promise<void>;
}

/** Puts the gateway together, following the log from its tail on. To be called before this node writes anything. */
export async function startGateway(parts: GatewayParts): Promise<RunningGateway> {
  const { config, log, bus, vault, queries, router, texts, nodes, devices, metrics, logger } = parts;
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
  const hub = new Hub((user) => queries.contacts(user, fannedOut()), {
    enter: (user) => ring.host(user, fanout.vector),
    leave: (user) => ring.leave(user, performance.now()),
  });
  const forgetting = setInterval(() => ring.forget(performance.now()), FORGET_MS);

  const typing = new Typing({
    push({ to, roomId, userId, isTyping }) {
      const text = pushText('notify typing', JSON.stringify({ roomId, userId, isTyping }));
      for (const member of to)
        for (const connection of hub.connectionsOf(member))
          if (connection.hears(roomId)) connection.sendText(text);
    },
    tell: (note) => bus.broadcast({ kind: 'typing', ...note }),
    isHere: (users) => users.some((user) => hub.connectionsOf(user).length > 0),
  });
  const delivery = new Delivery({
    hub,
    ring,
    cursors,
    onMessage: (room, sender) => typing.sent(room, sender),
  });
  const content: ContentSources = { texts, profiles };
  const fanout = new Fanout(start, {
    delivery,
    interest: { hosts: (user) => ring.hosts(user), isWatched: (subject) => hub.isWatched(subject) },
    content,
    log,
    logger,
    onEvent: ({ type, data }) => {
      if (type === 'UserWentOffline') presence.wentOffline(data.userId);
    },
    onPushed: (recordedAt) => metrics.observePush(Math.max(0, Date.now() - Date.parse(recordedAt))),
    onStop: parts.fail,
  });
  // Contacts are read from at least what has been fanned out: what comes later is added as it comes.
  function fannedOut() {
    return fanout.vector.map((size, partition) => ({ partition, size }));
  }
  const unsubscribe = bus.subscribe((frame) => fanout.receive(frame));
  const tailing = setInterval(() => {
    const tails = parts.owned().map((partition) => {
      const { position, size } = fanout.head(partition);
      // What it owns itself it need not look for.
      fanout.hear(partition, position);
      return [partition, position, size] as const;
    });
    if (tails.length > 0) bus.broadcast({ kind: 'tails', tails });
  }, TAILS_MS);
  const endings = new Endings({ bus, nodes, sessions: vault.sessions });
  const unhear = bus.onNote((note) => {
    if (note.kind === 'tails')
      for (const [partition, position] of note.tails) fanout.hear(partition, position);
    else if (note.kind === 'typing') typing.hear(note);
    else if (note.kind === 'ended') vault.sessions.noteRevoked(note.sessions);
  });

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
    devices,
    graceMs: config.PRESENCE_GRACE,
    now: Date.now,
    setTimer: (run, ms) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    logger,
  });
  const lastLife = await parts.heartbeat?.last();
  const stopBeating = parts.heartbeat
    ? await startBeating(parts.heartbeat, (err) => logger.warn({ err }, 'the heartbeat was missed'))
    : () => {};
  const levelling = new Levelling({
    node: bus.node,
    nodes,
    devices,
    queries,
    write,
    isOurs: (user) => parts.owned().includes(partitionOf(streamOf('user', user), log.partitions)),
    onForgotten: () => presence.repeat(),
    lastLife,
    graceMs: config.PRESENCE_GRACE,
    now: () => performance.now(),
    logger,
  });
  void levelling.start();

  const revisions = new Revisions(cursors, log, fanout);
  const gateway = new Gateway({
    sessions: vault.sessions,
    hub,
    profiles,
    presence,
    handlers: createHandlers({
      commands: new CommandRunner({ router, hub, horizon: fanout, cursors }),
      queries,
      revisions,
      directory: { rooms, profiles },
      live: { hub, presence, typing },
    }),
    cursors,
    revisions,
    replay: { queries, ring, cursors, content, vector: () => fanout.vector },
    logger,
    allowedOrigins: config.ALLOWED_ORIGINS,
    rateLimit: config.RATE_LIMIT,
    onRequest: (event, outcome) => metrics.countCommand(event, outcome),
  });
  metrics.addGauge('parley_connections', () => gateway.connections);
  metrics.addGauge('parley_bytes_waiting', () => gateway.waiting);

  return {
    revisions,
    endings,
    forget(user) {
      profiles.forget(user);
      ring.forgetUser(user);
    },
    upgrade: (request, socket, head) => gateway.upgrade(request, socket, head),
    async close() {
      presence.stop();
      levelling.stop();
      stopBeating();
      typing.stop();
      await gateway.close();
    },
    async release() {
      unsubscribe();
      unhear();
      clearInterval(tailing);
      clearInterval(forgetting);
      profiles.close();
      await fanout.stop();
    },
  };
}
