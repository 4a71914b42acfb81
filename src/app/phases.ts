import { HeadSigner, Heads } from '../audit/proof/heads.js';
import { Proofs } from '../audit/proof/proofs.js';
import { systemClock } from '../base/clock.js';
import type { Bus, NodeId } from '../cluster/bus.js';
import { BusSeal } from '../cluster/busSeal.js';
import { type NodeRouter, PartitionRouter } from '../cluster/commandRouter.js';
import { ForwardedCommandReceiver } from '../cluster/forwarding.js';
import type { Devices, Nodes } from '../cluster/nodes.js';
import { expirePredecessor, openBus, openCluster } from '../cluster/openCluster.js';
import type { Moment } from '../domain/commands.js';
import { streamOf } from '../domain/ids.js';
import { type Consequences, DeletedTexts } from '../erasure/deletedTexts.js';
import { ErasureBroadcast, evictErasedUser } from '../erasure/erasureBroadcast.js';
import { Erasures } from '../erasure/erasures.js';
import { HeldTexts } from '../erasure/heldTexts.js';
import { fileHeartbeat } from '../gateway/presenceReconciler.js';
import { type RunningGateway, startGateway } from '../gateway/startGateway.js';
import { partitionOf } from '../log/log.js';
import { capabilities, foldedTables } from '../projections/allProjections.js';
import { createQueries, type Queries } from '../projections/queries.js';
import { Reports } from '../projections/reportQueries.js';
import { type Projections, startProjections } from '../projections/startProjections.js';
import { LocalRouter, type Writers } from '../writer/writers.js';
import { openSendHook } from './eventDelivery.js';
import { FoldAssignment, type Host, type SelfCheck, warnTo } from './lifecycle.js';
import { createWriters } from './nodeWriters.js';
import type { Stores } from './openStores.js';
import { traceCommands, traceForwarded } from './openTelemetry.js';

/**
 * The phases of a start behind `openStores`, in their order. What a phase opens is closed before what the phases
 * before it have opened.
 */

/** The read models that this node folds, and the queries over them. */
export interface Reads {
  readonly projections: Projections;
  readonly queries: Queries;
  readonly reports: Reports;
}

/** Signed heads of the log, and proofs from them. */
export interface Audit {
  readonly heads: Heads;
  readonly proofs: Proofs;
  readonly signer: HeadSigner;
  /** The partitions that this node folds and signs. */
  readonly assignment: FoldAssignment;
  /** To be called when a stop begins: from then on, the last signatures have `LAST_SIGNATURES_MS`. */
  beginStop(): void;
}

/** The way to the other nodes. */
export interface BusLink {
  readonly bus: Bus;
  /** Says whose messages the bus takes. */
  readonly seal: BusSeal;
}

/** This node among the others. */
export interface Membership {
  readonly bus: Bus;
  readonly nodes: Nodes;
  readonly devices: Devices;
  /** Sends commands to the owners of their partitions, on whichever node. */
  readonly commands: NodeRouter;
  /** The only part of this process that appends to the log. */
  readonly writers: Writers;
  /** Takes commands that other nodes forward. */
  readonly receiver: ForwardedCommandReceiver;
}

/** The parts that the earlier phases have opened. */
export interface Parts {
  readonly stores: Stores;
  readonly reads: Reads;
  readonly audit: Audit;
  readonly membership: Membership;
  readonly selfCheck: SelfCheck;
}

/** Signatures that take longer after a stop has begun are given up: the rest must fit into the limit of a stop. */
const LAST_SIGNATURES_MS = 8000;

/** An erasure that another node began is finished here after this time: longer than a command is under way. */
const ERASURE_TAKEOVER_MS = 20_000;

export async function connectBus(
  { config, logger, closers }: Host,
  { engine: { log }, busKey }: Pick<Stores, 'engine' | 'busKey'>,
  node: NodeId,
): Promise<BusLink> {
  const seal = new BusSeal(node, busKey, log.id);
  const bus = await openBus({ servers: config.NATS_URL, logId: log.id, node, seal, report: warnTo(logger) });
  closers.add(() => bus.close());
  return { bus, seal };
}

/** Starts the projections, which follow the log from here on. */
export async function startReads(
  { config, logger, closers, retirement }: Host,
  { engine: { location, log }, texts, vault: { keys } }: Stores,
  bus: Bus,
): Promise<Reads> {
  const projections = await startProjections({
    engine: location,
    names: texts.opener,
    cluster: {
      // A single process folds all partitions from the start. With a shared log, a node folds only those it owns.
      ...(location.kind === 'mongodb' ? { owned: [] } : {}),
      send: (note) => bus.broadcast(note),
    },
    errors: {
      onFatal: retirement.onFatal,
      onRetry: (error) => logger.warn({ err: error }, 'the read models cannot be updated; trying again'),
    },
  });
  closers.add(() => projections.close());
  bus.subscribe(projections.publish);
  bus.onNote((note) => projections.receive(note));
  const { reader, progress } = projections;
  const source = { rows: reader, progress, open: texts.opener, log, contactRule: config.CONTACTS };
  const queries = createQueries(source);
  return { projections, queries, reports: new Reports({ rows: reader, progress, keys }) };
}

/** Prepares heads and proofs; the signer is started when this node owns partitions. */
export function prepareAudit(
  { config, logger, closers }: Host,
  { engine: { log }, vault }: Stores,
  { projections }: Reads,
  node: NodeId,
): Audit {
  const merkleReader = projections.merkleReader(log);
  const { progress } = projections;
  const heads = new Heads({ origin: config.LOG_ORIGIN, vault, log, merkleReader, progress });
  const assignment = new FoldAssignment(node, foldedTables);
  const signer = new HeadSigner({
    heads,
    owned: () => assignment.owned,
    size: async (partition) => (await log.tail(partition))?.size ?? 0,
    report: warnTo(logger),
  });
  let deadline = Number.POSITIVE_INFINITY;
  // Stops after the writers, because it signs their last commits. Stops after the cluster, so that other nodes take
  // over without waiting.
  closers.add(() => signer.stop(Math.min(LAST_SIGNATURES_MS, deadline - performance.now())));
  return {
    heads,
    proofs: new Proofs({ merkleReader, heads }),
    signer,
    assignment,
    beginStop() {
      assignment.retainAll();
      deadline = performance.now() + LAST_SIGNATURES_MS;
    },
  };
}

/** Joins the cluster. Routes no command before `startWriters` has started the writers. */
export async function joinCluster(
  host: Host,
  parts: Pick<Parts, 'stores' | 'reads'> & Pick<Parts, 'audit'>,
  { bus, seal }: BusLink,
): Promise<Membership> {
  const { config, logger, closers, metrics } = host;
  const { location, log, predecessor } = parts.stores.engine;
  const cluster = await openCluster(config.MONGO_URL, { node: bus.node, capabilities, seal }, log.partitions);
  closers.add(cluster.close);
  if (predecessor !== undefined) await expirePredecessor(predecessor, cluster, warnTo(logger));
  const writers = createWriters(host, parts, bus, cluster, (owners) => commands.setOwners(owners));
  const commands =
    location.kind === 'sqlite'
      ? new LocalRouter(writers.ofPartitions, systemClock)
      : new PartitionRouter({
          ...{ partitions: log.partitions, writers, clock: systemClock, bus },
          onStaleOwner: () => writers.rebalance(),
        });
  bus.onNote((note) => {
    if (note.kind === 'rebalance') writers.rebalance();
  });
  seal.onStranger = () => writers.rebalance();
  if (metrics.traces) traceCommands(commands, metrics.traces);
  const receiver = new ForwardedCommandReceiver(traceForwarded(writers, metrics.traces), (partition) =>
    commands.epochOf(partition),
  );
  return { bus, nodes: cluster.nodes, devices: cluster.devices, commands, writers, receiver };
}

/** Starts the gateway: before the writers, so that it fans out all that this node commits. */
export async function startPushes(
  { config, logger, metrics, closers, retirement }: Host,
  { stores, reads, membership }: Parts,
  deletedTexts: DeletedTexts,
): Promise<RunningGateway> {
  const { engine, vault, texts } = stores;
  const { bus, nodes, devices, commands } = membership;
  // The nodes of a shared log tell each other that they live.
  const heartbeat = engine.location.kind === 'sqlite' ? fileHeartbeat(engine.location.dataDir) : undefined;
  const gateway = await startGateway({
    config,
    stores: {
      ...{ log: engine.log, vault, queries: reads.queries, texts: texts.opener },
      reports: { found: reads.reports, whenKept: (moment) => deletedTexts.waitFor(moment) },
    },
    cluster: { bus, nodes, devices, owned: () => commands.owned, heartbeat },
    commands: {
      router: commands,
      destroyed: (moment) => deletedTexts.waitFor(moment),
      hook: openSendHook({ config, logger, metrics }),
    },
    report: { metrics, logger, fail: retirement.onFatal },
  });
  closers.add(() => gateway.release());
  return gateway;
}

/** Answers the requests of other nodes, and asks them to forget erased users. */
export function serveNodes(
  { retirement }: Host,
  { stores, reads, membership }: Parts,
  gateway: RunningGateway,
): ErasureBroadcast {
  const { vault, texts } = stores;
  const { bus, nodes, receiver, writers } = membership;
  const memories = {
    keys: vault.keys,
    fannedOut: (at: readonly Moment[]) => gateway.revisions.reached(at),
    texts: texts.cache,
    gateway,
    projections: reads.projections,
  };
  const broadcast = new ErasureBroadcast({
    bus,
    nodes,
    evictErasedUser: (user, at) => evictErasedUser(memories, user, at),
  });
  bus.serve(
    (body, from) =>
      gateway.sessionRevocation.serve(body) ?? broadcast.serve(body) ?? receiver.serve(body, from),
  );
  retirement.enable(async () => {
    await Promise.all([gateway.close(), writers.stop()]);
  });
  return broadcast;
}

/** Starts the writers, which take over partitions: from here on commands are accepted. */
export async function startWriters(
  { closers }: Host,
  { membership: { writers, commands } }: Parts,
): Promise<void> {
  // Before the read models and the vault: commands under way still need both.
  closers.add(() => writers.stop());
  closers.add(() => commands.stop());
  await writers.start();
}

/** Prepares what destroys the keys of deleted texts; it is started when this node owns partitions. */
export function prepareDeletedTexts(
  { logger }: Host,
  { stores: { engine, vault, texts }, membership: { bus, commands } }: Parts,
): DeletedTexts {
  const deletedTexts = new DeletedTexts({
    log: engine.log,
    keys: vault.keys,
    texts: new HeldTexts({
      ...{ keys: vault.keys, holds: vault.holds, partitions: engine.log.partitions },
      forgetRoom: ({ owner }) => texts.cache.deleteOwner(owner),
    }),
    owned: () => commands.owned,
    logger,
  });
  bus.subscribe(deletedTexts.receive);
  return deletedTexts;
}

/** Starts destroying the keys of deleted texts and finishing decisions, first those that a crash left. */
export function startDeletedTexts(
  { closers }: Host,
  deletedTexts: DeletedTexts,
  consequences: Consequences,
): void {
  deletedTexts.start(consequences);
  closers.add(() => deletedTexts.stop());
}

/** Starts erasing users, first those whose erasure was interrupted. */
export function startErasures(
  { logger, closers }: Host,
  { stores: { engine, vault }, reads: { queries }, membership: { commands } }: Parts,
  gateway: RunningGateway,
  broadcast: ErasureBroadcast,
): Erasures {
  const { log, location } = engine;
  const erasures = new Erasures({
    steps: {
      ...{ rooms: { commands, queries, log }, vault, queries },
      announceRevocations: (sessions) => gateway.sessionRevocation.announce(sessions),
      evictEverywhere: (user, at, signal) => broadcast.evictEverywhere(user, at, signal),
    },
    isOwned: (user) => commands.owned.includes(partitionOf(streamOf('user', user), log.partitions)),
    takeOverMs: location.kind === 'mongodb' ? ERASURE_TAKEOVER_MS : 0,
    logger,
  });
  erasures.start();
  closers.add(() => erasures.stop());
  return erasures;
}
