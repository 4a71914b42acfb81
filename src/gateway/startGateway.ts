import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { monotonicNow, systemTimer } from '../base/clock.js';
import type { ParleyError } from '../base/errors.js';
import type { Metrics } from '../base/metrics.js';
import { Origins } from '../base/origins.js';
import { UserLimits } from '../base/rateLimits.js';
import type { Config } from '../base/settings.js';
import type { Bus } from '../cluster/bus.js';
import type { Devices, Nodes } from '../cluster/nodes.js';
import type { CommandRouter, Moment } from '../domain/commands.js';
import { streamOf, type UserId } from '../domain/ids.js';
import { type EventLog, partitionOf } from '../log/log.js';
import type { Queries } from '../projections/queries.js';
import type { Vault } from '../vault/vault.js';
import { CommandRunner, type Handlers } from './commandRunner.js';
import { Cursors, Revisions, type Vector } from './cursor.js';
import { type ContentSources, Delivery, type Texts } from './delivery.js';
import { Fanout, type Place, placesOf } from './fanout.js';
import { GroupIndex } from './groupIndex.js';
import { createHandlers } from './handlers.js';
import { askBefore, type HostQuestions } from './heldRooms.js';
import { createIdentify, type Identify, type IdentifyDeps } from './identify.js';
import { ProfileChanges, Profiles, RoomMembers } from './membersAndProfiles.js';
import { Hub, OpenConnections } from './openConnections.js';
import { createPresenceWriter, gatewayClock, Presence, type WritePresence } from './presence.js';
import { type Heartbeat, PresenceReconciler, startBeating } from './presenceReconciler.js';
import { pushText } from './protocol.js';
import { Relations } from './relations.js';
import type { ReportDirectory } from './reporting.js';
import { type ReplayDeps, replay } from './resume.js';
import { Ring } from './ring.js';
import { SessionRevocation } from './sessionRevocation.js';
import { Typing } from './typing.js';
import { createRequestAnswerer, WebSocketServer } from './webSocketServer.js';

/** Recent pushes that are kept a partition, for clients that come back soon. */
const RING_BYTES = 8 * 1024 * 1024;
/** How often the ring forgets users who left too long ago. */
const RING_SWEEP_EVERY_MS = 60_000;
/** How often owners tell how far their partitions are. */
const TAILS_EVERY_MS = 1000;

export interface GatewayParts {
  readonly config: Config;
  readonly stores: {
    readonly log: Omit<EventLog, 'append'>;
    readonly vault: Vault;
    readonly queries: Queries;
    readonly texts: Texts;
    readonly reports: ReportDirectory;
  };
  readonly cluster: {
    readonly bus: Bus;
    readonly nodes: Nodes;
    readonly devices: Devices;
    /** The partitions that this node owns, now. */
    readonly owned: () => readonly number[];
    /** Undefined with several nodes, because the database records their heartbeats. */
    readonly heartbeat: Heartbeat | undefined;
  };
  readonly commands: {
    readonly router: CommandRouter;
    /** See `CommandRunnerDeps.destroyed`. */
    readonly destroyed: (moment: Moment) => Promise<void>;
    readonly hook: HostQuestions;
  };
  readonly report: {
    readonly metrics: Metrics;
    readonly logger: Logger;
    /** A partition cannot be followed any more: see `FanoutDeps.onStop`. */
    readonly fail: (error: unknown) => void;
  };
}

export interface RunningGateway {
  readonly revisions: Revisions;
  readonly sessionRevocation: SessionRevocation;
  /** Drops the names and texts of an erased user. Call it when no push with them is still to come. */
  forget(user: UserId): void;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>;
  /** See `OpenConnections.turnover`. */
  turnover(): number;
  /** See `OpenConnections.checkRequest`. */
  checkRequest(user: UserId): ParleyError | undefined;
  /** Answers the requests that have begun, and closes all connections. */
  close(): Promise<void>;
  /** Leaves the bus and stops every timer. */
  release(): Promise<void>;
}

/** The gateway's caches of users, rooms and recent pushes. */
interface Memory {
  readonly cursors: Cursors;
  readonly ring: Ring;
  readonly profiles: Profiles;
  readonly rooms: RoomMembers;
  readonly hub: Hub;
  readonly groups: GroupIndex;
}

/** The parts that follow the events of the log, besides the connections. */
interface Followers {
  readonly memory: Memory;
  readonly content: ContentSources;
  readonly typing: Typing;
  readonly presence: Presence;
  readonly profileChanges: ProfileChanges;
}

/** Puts the gateway together, following the log from its tail on. Call it before this node writes anything. */
export async function startGateway(parts: GatewayParts): Promise<RunningGateway> {
  const { log, queries, vault } = parts.stores;
  const { bus, nodes } = parts.cluster;
  const start = await placesOf(log);
  const memory = createMemory(parts, start, () => fanout.vector);
  const { cursors, hub, profiles, ring, rooms, groups } = memory;
  const write = createPresenceWriter(parts.commands.router);
  const presence = createPresence(parts, write);
  const typing = createTyping(hub, groups, bus);
  const content = { texts: parts.stores.texts, profiles, chats: queries };
  const { logger } = parts.report;
  const vector = () => fanout.vector;
  const profileChanges = new ProfileChanges({ queries, profiles, live: { hub, groups }, vector, logger });
  const fanout = followLog(parts, start, { memory, content, typing, presence, profileChanges });
  const stopNotes = exchangeNotes(parts, fanout, typing);
  const ringSweep = setInterval(() => ring.forget(monotonicNow()), RING_SWEEP_EVERY_MS);
  const stopReconciling = await startReconciling(parts, presence, write);
  const revisions = new Revisions(cursors, log, fanout);
  const node = { vector, isToldReads: hub.relations.isToldReads };
  const replayDeps: ReplayDeps = { queries, ring, cursors, content, node };
  const { sessions } = vault;
  const users = { hub, presence, find: (user: UserId) => queries.self(user, []) };
  const identify = createIdentify({
    sessions,
    users,
    revisions,
    replay: (connection, user, since) =>
      replay(connection, user, since, () => connection.goLive(), replayDeps),
    logger,
  });
  const handlers = createHandlers({
    commands: new CommandRunner({ ...parts.commands, hub, fanout, cursors }),
    queries,
    revisions,
    directory: { rooms, profiles, reports: parts.stores.reports },
    live: { hub, presence, typing },
    vault,
  });
  const { connections, server } = serveSockets(parts, users, identify, handlers);
  return {
    revisions,
    sessionRevocation: new SessionRevocation({ node: bus.node, bus, nodes, sessions, setTimer: systemTimer }),
    forget(user) {
      profiles.forget(user);
      ring.forgetUser(user);
    },
    upgrade: (request, socket, head) => server.upgrade(request, socket, head),
    turnover: () => connections.turnover,
    checkRequest: (user) => connections.checkRequest(user),
    async close() {
      presence.stop();
      stopReconciling();
      typing.stop();
      profileChanges.stop();
      await connections.stop();
    },
    async release() {
      stopNotes();
      clearInterval(ringSweep);
      profiles.close();
      await fanout.stop();
    },
  };
}

function createMemory(
  { config, stores }: GatewayParts,
  start: readonly Place[],
  fannedOut: () => Vector,
): Memory {
  const { log, queries } = stores;
  const ring = new Ring(
    RING_BYTES * log.partitions,
    start.map(({ size }) => size),
    (user) => groups.remove(user),
  );
  const groups = new GroupIndex((user) => queries.groups.memberships(user, present()), fannedOut);
  const present = () => fannedOut().map((size, partition) => ({ partition, size }));
  // Read as of the present vector or later. The fan-out applies what comes later.
  const relations = new Relations(config.CONTACTS, async (user) => {
    const at = present();
    const [ties, preferences] = await Promise.all([queries.ties(user, at), queries.preferences(user, at)]);
    return { ties, preferences };
  });
  const hosting = {
    enter(user: UserId) {
      ring.host(user, fannedOut());
      // The groups are kept as long as the ring keeps the pushes.
      return groups.isKnown(user) ? undefined : groups.add(user).then(() => ring.restart(user, fannedOut()));
    },
    leave: (user: UserId) => ring.leave(user, monotonicNow()),
  };
  const limits = config.RATE_LIMIT === 'off' ? undefined : new UserLimits(config.RATE_LIMIT);
  return {
    cursors: new Cursors(log.history, log.partitions),
    ring,
    profiles: new Profiles(queries),
    rooms: new RoomMembers(queries, log.partitions),
    hub: new Hub(relations, hosting, limits),
    groups,
  };
}

function createPresence({ config, cluster, report }: GatewayParts, write: WritePresence): Presence {
  return new Presence({
    write,
    devices: cluster.devices,
    graceMs: config.PRESENCE_GRACE,
    clock: gatewayClock,
    logger: report.logger,
  });
}

/** Takes the users of dead nodes offline. Returns the function that stops it. */
async function startReconciling(
  { config, stores, cluster, report }: GatewayParts,
  presence: Presence,
  write: WritePresence,
): Promise<() => void> {
  const { bus, nodes, devices, owned, heartbeat } = cluster;
  const { logger } = report;
  const lastHeartbeat = await heartbeat?.last();
  const stopBeating = heartbeat
    ? await startBeating(heartbeat, (err) => logger.warn({ err }, 'the heartbeat was missed'))
    : () => {};
  const reconciler = new PresenceReconciler({
    cluster: {
      node: bus.node,
      nodes,
      devices,
      async forgetNode(node) {
        await devices.dropNode(node);
        await nodes.forget(node);
      },
    },
    users: {
      online: (limit, after) => stores.queries.online(limit, after),
      isOurs: (user) => owned().includes(partitionOf(streamOf('user', user), stores.log.partitions)),
    },
    presence: { write, announceAgain: () => presence.announceAgain() },
    times: { graceMs: config.PRESENCE_GRACE, lastHeartbeat, now: monotonicNow },
    logger,
  });
  void reconciler.start();
  return () => {
    reconciler.stop();
    stopBeating();
  };
}

function createTyping(hub: Hub, groups: GroupIndex, bus: Bus): Typing {
  return new Typing({
    push({ to, roomId, userId, isTyping }) {
      const text = pushText('notify typing', JSON.stringify({ roomId, userId, isTyping }));
      const others = 'group' in to ? groups.membersNow(roomId).filter((member) => member !== userId) : to;
      for (const member of others)
        for (const connection of hub.relations.isTold(member, userId) ? hub.connectionsOf(member) : [])
          if (connection.isListeningTo(roomId)) connection.sendText(text);
    },
    tell: (note) => bus.broadcast({ kind: 'typing', ...note }),
    isAnyHere: (to) =>
      'group' in to ? groups.hasMembers(to.group) : to.some((user) => hub.connectionsOf(user).length > 0),
    setTimer: systemTimer,
  });
}

function followLog(
  { stores, report }: GatewayParts,
  start: readonly Place[],
  { memory, content, typing, presence, profileChanges }: Followers,
): Fanout {
  const { hub, ring, cursors, rooms, groups } = memory;
  const { metrics, logger } = report;
  return new Fanout(start, {
    delivery: new Delivery({ hub, ring, cursors, typing, groups }),
    interest: { groups, ring, relations: hub.relations },
    content,
    source: { log: stores.log, rooms, queries: stores.queries },
    observer: {
      logger,
      metrics,
      onOffline: (user) => presence.restoreOnline(user),
      onProfileChange(user, event) {
        profileChanges.note(user, event);
        if (event.type === 'UserSuspended') hub.closeSuspended(event);
      },
      onStop: report.fail,
    },
  });
}

/** Takes commits and notes from the bus, and sends the other nodes the tails of this node's partitions. */
function exchangeNotes({ stores, cluster }: GatewayParts, fanout: Fanout, typing: Typing): () => void {
  const { bus, owned } = cluster;
  const unsubscribe = bus.subscribe(fanout.receive);
  const tailsTimer = setInterval(() => {
    const tails = owned().map((partition) => {
      const { position, size } = fanout.head(partition);
      // Keeps the reader of an own partition from polling.
      fanout.noteTail(partition, position);
      return [partition, position, size] as const;
    });
    if (tails.length > 0) bus.broadcast({ kind: 'logTails', tails });
  }, TAILS_EVERY_MS);
  const unhear = bus.onNote((note) => {
    if (note.kind === 'logTails')
      for (const [partition, position] of note.tails) fanout.noteTail(partition, position);
    else if (note.kind === 'typing') typing.receive(note);
    else if (note.kind === 'revokedSessions') stores.vault.sessions.noteRevoked(note.sessions, note.why);
  });
  return () => {
    unsubscribe();
    unhear();
    clearInterval(tailsTimer);
  };
}

function serveSockets(
  { config, stores, report, commands }: GatewayParts,
  { hub, presence }: IdentifyDeps['users'],
  identify: Identify,
  handlers: Handlers,
): { readonly connections: OpenConnections; readonly server: WebSocketServer } {
  const { sessions } = stores.vault;
  const { metrics, logger } = report;
  const connections = new OpenConnections({ hub, presence, sessions, clock: gatewayClock, logger });
  const asking = askBefore(handlers, commands.hook);
  const server = new WebSocketServer({
    sessions,
    connections,
    answerRequest: createRequestAnswerer({ identify, handlers: asking, metrics, logger }),
    rules: { origins: new Origins(config), rateLimit: config.RATE_LIMIT },
    logger,
  });
  metrics.addGauge('parley_connections', () => connections.count);
  metrics.addGauge('parley_bytes_waiting', () => connections.waitingBytes);
  return { connections, server };
}
