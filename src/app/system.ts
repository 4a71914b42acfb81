import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { AuditReader } from '../audit/auditReader.js';
import { eventsUntil, indexedSize } from '../audit/events/streamCommits.js';
import { HeadSigner, Heads } from '../audit/proof/heads.js';
import { Proofs } from '../audit/proof/proofs.js';
import type { Config } from '../base/config.js';
import { Metrics } from '../base/metrics.js';
import { FoldAssignment } from '../cluster/foldAssignment.js';
import { expirePredecessor, openBus, openCluster } from '../cluster/openCluster.js';
import type { Owners } from '../cluster/ownership.js';
import type { Moment } from '../domain/commands.js';
import { streamOf } from '../domain/ids.js';
import { ErasureBroadcast, evictErasedUser } from '../erasure/erasureBroadcast.js';
import { Erasures } from '../erasure/erasures.js';
import { startGateway } from '../gateway/startGateway.js';
import { createApp, readinessOf } from '../http/app.js';
import { partitionOf } from '../log/log.js';
import { capabilities, foldedTables } from '../projections/allProjections.js';
import { auditorsOf } from '../projections/models/roles.js';
import { createQueries } from '../projections/rowQueries.js';
import { startProjections } from '../projections/startProjections.js';
import { openPasswords } from '../vault/credentials.js';
import { deriveKeys, loadMasterKey } from '../vault/masterKey.js';
import { openVault } from '../vault/openVault.js';
import { createPlaintextCache, createTextOpener } from '../vault/textOpener.js';
import { checkControlPath, createControlApp, serveControl } from './controlServer.js';
import { listen, routeCommands } from './listen.js';
import { openEngine } from './openEngine.js';
import { type Operator, systemOperator } from './operator.js';

/** What another node has begun is finished here after so long: longer than a command is under way. */
const CUT_OFF_MS = 20_000;

/** So long after a stop has begun its last signatures are given up: the rest of it must fit into the limit of a stop. */
const SIGNED_MS = 8000;

export interface SystemOptions {
  /** False: nobody but the caller comes to it, through its `operator`. */
  readonly isServing?: boolean;
}

/** The whole of Parley in one process. */
export interface System {
  /** Where it listens; undefined for one that does not. */
  readonly url: string | undefined;
  readonly operator: Operator;
  /** Stops accepting, finishes what is in flight, and lets go of everything. */
  stop(): Promise<void>;
}

/**
 * Opens the stores, takes the partitions over, and serves on its port and its control socket. `fail` is told of what
 * must end the process: after it, nothing is acknowledged any more. Throws, with everything closed again, when it
 * cannot start.
 */
export async function startSystem(
  config: Config,
  logger: Logger,
  fail: (error: unknown) => void,
  { isServing = true }: SystemOptions = {},
): Promise<System> {
  if (isServing) checkControlPath(config.DATA_DIR);
  const opened: (() => unknown)[] = [];
  let retire: (() => Promise<void>) | undefined;
  let isRetired = false;
  /** An event that a newer version wrote is for newer nodes to serve: this one stands aside, and waits to be replaced. */
  function failed(error: unknown): void {
    const isNewer = error instanceof Error && error.name === 'UnknownEventType';
    if (!isNewer || !retire) return fail(error);
    if (isRetired) return;
    isRetired = true;
    logger.error({ err: error }, 'this version is too old for the log: upgrade this node');
    retire().catch(fail);
  }
  const closeAll = async () => {
    for (const close of opened.splice(0).reverse()) await close();
  };
  try {
    return await start();
  } catch (error) {
    await closeAll().catch((cause: unknown) =>
      logger.error({ err: cause }, 'the failed start was not cleared up'),
    );
    throw error;
  }

  async function start(): Promise<System> {
    const metrics = new Metrics();
    const closing = (close: () => unknown) => opened.push(close);
    const node = randomUUID();
    const engine = await openEngine(config, node, closing);
    const { place, writers, log, heartbeat, addressLimit } = engine;
    const masterKey = config.MASTER_KEY ?? (await loadMasterKey(config.DATA_DIR));
    const report = (message: string, error: unknown) => logger.warn({ err: error }, message);
    const vault = await openVault({ engine: place, masterKey, report });
    closing(() => vault.close());
    const passwords = openPasswords({ cost: config.BCRYPT_COST, pepper: deriveKeys(masterKey).pepper });
    closing(() => passwords.close());
    const plaintexts = createPlaintextCache();
    closing(() => plaintexts.close());
    const texts = createTextOpener(vault.keys, plaintexts);

    const bus = await openBus({ servers: config.NATS_URL, logId: log.id, node, report });
    closing(() => bus.close());

    const projections = await startProjections({
      engine: place,
      names: texts,
      // Alone, it folds from the start on; of a shared log, what it owns.
      cluster: {
        ...(place.kind === 'mongodb' ? { owned: [] } : {}),
        send: (note) => bus.broadcast(note),
      },
      errors: {
        onFatal: failed,
        onRetry: (error) => logger.warn({ err: error }, 'the projector is held up; trying again'),
      },
    });
    closing(() => projections.close());
    const { reader, progress } = projections;
    const queries = createQueries({ rows: reader, progress, open: texts, log });

    const merkleReader = projections.merkleReader(log);
    const heads = new Heads({
      origin: config.LOG_ORIGIN,
      vault,
      ...{ log, merkleReader, progress },
    });
    const assignment = new FoldAssignment(node, foldedTables);
    const signer = new HeadSigner({
      heads,
      owned: () => assignment.owned,
      size: async (partition) => (await log.tail(partition))?.size ?? 0,
      report,
    });
    let signedBy = Number.POSITIVE_INFINITY;
    const stop = () => {
      assignment.retainAll();
      signedBy = performance.now() + SIGNED_MS;
      return closeAll();
    };
    // Behind the writers, whose last commits it signs: what others take over does not wait for that.
    closing(() => signer.stop(Math.min(SIGNED_MS, signedBy - performance.now())));

    bus.subscribe((frame) => projections.publish(frame));
    bus.onNote((note) => projections.receive(note));
    const { router, receiver } = routeCommands(bus, writers);
    const cluster = await openCluster(config.MONGO_URL, node, log.partitions, capabilities);
    closing(cluster.close);
    const { nodes, devices } = cluster;
    if (engine.predecessor !== undefined) await expirePredecessor(engine.predecessor, cluster, report);
    const gateway = await startGateway({
      config,
      stores: { log, vault, queries, texts },
      cluster: { bus, nodes, devices, owned: () => router.owned, heartbeat },
      router,
      report: { metrics, logger, fail: failed },
    });
    closing(() => gateway.release());
    const memories = {
      keys: vault.keys,
      fannedOut: (at: readonly Moment[]) => gateway.revisions.reached(at),
      texts: plaintexts,
      writers,
      gateway,
      projections,
    };
    const erasureBroadcast = new ErasureBroadcast({
      bus,
      nodes,
      evictErasedUser: (user, at) => evictErasedUser(memories, user, at),
    });
    bus.serve(
      (body, from) =>
        gateway.sessionRevocation.serve(body) ?? erasureBroadcast.serve(body) ?? receiver.serve(body, from),
    );
    retire = async () => {
      await Promise.all([gateway.close(), writers.releaseAll()]);
    };

    projections.onSwitch((name, generation) => writers.switchTo(name, generation));
    progress.onAdvance((model, partition, size) => writers.advance(model, partition, size));
    const deps = {
      bus,
      keys: vault.keys,
      mayAppend: (partition: number) => heads.check(partition),
      folding: progress,
      events: {
        onSealed: plaintexts.set,
        onAppend: (ms: number, events: number) => metrics.observeAppend(ms, events),
        onOwners(owners: Owners) {
          router.setOwners(owners);
          assignment.setOwners(owners);
          projections.own(assignment.folded).catch((error: unknown) => {
            // It folds nothing any more once it has met what it cannot read.
            if (!isRetired) failed(error);
          });
        },
        onLeasesChanged: () => bus.broadcast({ kind: 'owners' }),
        onFatal: failed,
        report,
      },
    };
    await writers.start(deps, projections.start.folded, projections.start.generations);
    // Before the read models and the vault close: what is under way still needs them.
    closing(() => writers.stop());
    closing(() => router.stop());

    const erasures = new Erasures({
      steps: {
        rooms: { commands: router, queries, log },
        vault,
        queries,
        announceRevocations: (sessions) => gateway.sessionRevocation.announce(sessions),
        evictEverywhere: (user, at, signal) => erasureBroadcast.evictEverywhere(user, at, signal),
      },
      isOwned: (user) => router.owned.includes(partitionOf(streamOf('user', user), log.partitions)),
      takeOverMs: place.kind === 'mongodb' ? CUT_OFF_MS : 0,
      logger,
    });
    erasures.start();
    closing(() => erasures.stop());
    signer.start();
    const past = { log, rows: reader, indexed: indexedSize(progress) };
    const app = createApp({
      vault,
      passwords,
      commands: router,
      queries,
      announceEnds: (sessions) => gateway.sessionRevocation.announce(sessions),
      erase: (userId, username) => erasures.erase(userId, username),
      present: () => gateway.revisions.present(),
      historyOf: (userId) => eventsUntil(past, streamOf('user', userId)),
      isAuditor: auditorsOf({ log, queries, progress }),
      auditLog: { heads, proofs: new Proofs({ merkleReader, heads }), partitions: log.partitions },
      auditReader: new AuditReader({ log, rows: reader, progress, keys: vault.keys, open: texts }),
      now: () => new Date(),
      random: Math.random,
      sessionTtlMs: config.SESSION_TTL,
      parseRevision: (text) => gateway.revisions.parse(text),
      addressLimit,
      trustProxy: config.TRUST_PROXY,
      ready: async () => readinessOf({ isRetired, heads, writers, progress, bus }),
      metrics,
      log: logger,
    });
    metrics.addGauge('parley_projection_lag_seconds', () => progress.lagMs() / 1000);
    metrics.addQueue('passwords', () => passwords.waiting);
    metrics.addQueue('commands', () => writers.depth);
    metrics.addQueue('router', () => router.depth);
    metrics.addGauge('parley_partitions_owned', () => router.owned.length);

    const operator = systemOperator({
      credentials: vault.credentials,
      commands: router,
      projections,
      ...{ heads, signing: vault.signing, partitions: log.partitions },
    });
    if (!isServing) {
      closing(() => gateway.close());
      return { url: undefined, operator, stop };
    }
    const listening = await listen(config, app, gateway);
    closing(() => listening.stop());
    const control = await serveControl(config.DATA_DIR, createControlApp(operator, logger));
    closing(() => control.close());
    return { url: listening.url, operator, stop };
  }
}
