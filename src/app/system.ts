import { randomUUID } from 'node:crypto';
import { statfsSync } from 'node:fs';
import type { Logger } from 'pino';
import { Metrics } from '../base/metrics.js';
import { Origins } from '../base/origins.js';
import type { Config } from '../base/settings.js';
import type { Traces } from '../base/tracing.js';
import type { Moment } from '../domain/commands.js';
import type { DeletedTexts } from '../erasure/deletedTexts.js';
import type { Erasures } from '../erasure/erasures.js';
import { Moderation } from '../erasure/reportDecisions.js';
import type { RunningGateway } from '../gateway/startGateway.js';
import { UserAdministration } from '../http/administration.js';
import { createApp, type HttpParts } from '../http/app.js';
import { createOperationsApp } from '../http/operations.js';
import { checkControlPath, createControlApp, serveControl } from './controlSocket.js';
import { DataFiles, takeNewHistory } from './dataDir.js';
import { checkSendHook, prepareEventDelivery, startEventDelivery } from './eventDelivery.js';
import { prepareIdentity } from './hostIdentity.js';
import { operateSubscriptions } from './hostOperations.js';
import { httpParts, listen, listenForMetrics, readinessOf } from './httpServer.js';
import { Closers, type Host, Retirement, SelfCheck } from './lifecycle.js';
import { checkLogIsNewest, openStores, type Stores } from './openStores.js';
import { openTraces } from './openTelemetry.js';
import { type Accepted, acceptShortened, type Operator, systemOperator } from './operator.js';
import {
  connectBus,
  joinCluster,
  type Parts,
  prepareAudit,
  prepareDeletedTexts,
  serveNodes,
  startDeletedTexts,
  startErasures,
  startPushes,
  startReads,
  startWriters,
} from './phases.js';

export interface SystemOptions {
  /** False: it opens no port and no control socket, and only the caller uses it, through its `operator`. */
  readonly isServing?: boolean;
  /** Accepts the partitions that do not extend their signed heads, before they are taken over, and is told of them. */
  readonly onAccepted?: (accepted: readonly Accepted[]) => void;
}

/** The whole of Parley in one process. */
export interface System {
  /** Undefined when it is not serving. */
  readonly url: string | undefined;
  readonly operator: Operator;
  /** How many connections have opened or closed since the start. */
  turnover(): number;
  /** Accepts nothing more, finishes the work under way, and closes everything. */
  stop(): Promise<void>;
}

/**
 * Opens the stores, takes partitions over, and serves on its port and its control socket. `fail` is given every error
 * that must end the process: after it, nothing is acknowledged any more. Throws, with everything closed again, when the
 * system cannot start.
 */
export async function startSystem(
  config: Config,
  logger: Logger,
  fail: (error: unknown) => void,
  options: SystemOptions = {},
): Promise<System> {
  if (options.isServing !== false) checkControlPath(config.DATA_DIR);
  const [closers, retirement] = [new Closers(), new Retirement(logger, fail)];
  const metrics = new Metrics(await startTraces(config, logger, closers));
  const host: Host = { config, logger, metrics, closers, retirement };
  try {
    return await start(host, options);
  } catch (error) {
    await closers
      .closeAll()
      .catch((cause: unknown) =>
        logger.error({ err: cause }, 'not everything of the failed start was closed'),
      );
    throw error;
  }
}

async function start(host: Host, { isServing = true, onAccepted }: SystemOptions): Promise<System> {
  if (isServing) await checkSendHook(host);
  const node = randomUUID();
  const stores = await openStores(host, node);
  // An operator's command may be the one that accepts the log.
  if (isServing) await checkLogIsNewest(stores.engine.log, stores.vault);
  if (isServing) announceNewHistory(host, stores);
  const link = await connectBus(host, stores, node);
  const reads = await startReads(host, stores, link.bus);
  const audit = prepareAudit(host, stores, reads, node);
  const membership = await joinCluster(host, { stores, reads, audit }, link);
  const selfCheck = await startSelfCheck(host, stores);
  const identity = prepareIdentity(host, { stores, reads, membership });
  const { sessions } = identity;
  const parts: Parts = {
    ...{ reads, audit, membership, selfCheck },
    // From here on, the issuer's tokens are taken wherever Parley's own are.
    stores: { ...stores, vault: { ...stores.vault, sessions } },
  };
  const deletedTexts = prepareDeletedTexts(host, parts);
  const delivery = prepareEventDelivery(host, parts.stores, membership);
  const gateway = await startPushes(host, parts, deletedTexts);
  const broadcast = serveNodes(host, parts, gateway);
  await Promise.all([startWriters(host, parts), onAccepted && acceptAll(parts, onAccepted)]);
  const erasures = startErasures(host, parts, gateway, broadcast);
  audit.signer.start();
  const administration = administrationOf(parts, gateway, erasures);
  const moderation = moderationOf(parts, deletedTexts, administration);
  startDeletedTexts(host, deletedTexts, {
    endSessions: ({ data, recordedAt }) => administration.endSessionsBefore(data.userId, recordedAt),
    finishDecision: (event) => moderation.finish(event),
  });
  // Nothing is sent by a system without clients, such as one that carries erasures out again.
  if (isServing) startEventDelivery(host, delivery);
  const destroyed = (moment: Moment) => deletedTexts.waitFor(moment);
  const deciders = { administration, moderation, identity, destroyed, delivery };
  const operator = {
    ...operatorOf(parts, { deletedTexts, erasures, administration, moderation }),
    ...operateSubscriptions(delivery.subscriptions),
  };
  registerMetrics(host, parts);
  const url = isServing
    ? await serve(host, httpParts(host, parts, gateway, deciders), gateway, operator)
    : undefined;
  if (!isServing) host.closers.add(() => gateway.close());
  return {
    url,
    operator,
    turnover: gateway.turnover,
    stop() {
      audit.beginStop();
      return host.closers.closeAll();
    },
  };
}

function announceNewHistory({ config, logger }: Host, { engine: { log } }: Stores): void {
  if (takeNewHistory(config.DATA_DIR, log.history))
    logger.info(
      { history: log.history },
      'the log was restored: this is the first start on a new history, and clients begin anew',
    );
}

/** Sends traces where the settings say so; else nothing of OpenTelemetry is loaded. */
async function startTraces(
  { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_SAMPLER_ARG: share }: Config,
  logger: Logger,
  closers: Closers,
): Promise<Traces | undefined> {
  if (endpoint === undefined) return undefined;
  const { traces, close } = await openTraces(endpoint, share, logger);
  closers.add(close);
  return traces;
}

async function startSelfCheck(
  { config, logger, closers }: Host,
  { engine: { log } }: Stores,
): Promise<SelfCheck> {
  const files = new DataFiles(config);
  const lastTimes = async () => {
    const tails = await Promise.all(Array.from({ length: log.partitions }, (_, p) => log.tail(p)));
    return tails.flatMap((tail) => tail?.recordedAt ?? []);
  };
  const selfCheck = new SelfCheck({ findLost: () => files.findLost(), lastTimes, logger });
  await selfCheck.start();
  closers.add(() => selfCheck.stop());
  return selfCheck;
}

/** Together with the writers, which wait for it: on MongoDB only a partition's owner folds what a head is made of. */
async function acceptAll(
  { stores, audit }: Parts,
  onAccepted: NonNullable<SystemOptions['onAccepted']>,
): Promise<void> {
  onAccepted(await acceptShortened(audit.heads, stores.engine.log.partitions));
}

const administrationOf = (
  { stores, reads, membership }: Parts,
  gateway: RunningGateway,
  erasures: Erasures,
): UserAdministration =>
  new UserAdministration({
    vault: stores.vault,
    commands: membership.commands,
    queries: reads.queries,
    announceEnds: (sessions) => gateway.sessionRevocation.announce(sessions),
    erase: (userId, username, via) => erasures.erase(userId, username, via),
  });

const moderationOf = (
  { stores: { engine, vault }, reads: { reports, queries, projections }, membership }: Parts,
  deletedTexts: DeletedTexts,
  administration: UserAdministration,
): Moderation =>
  new Moderation({
    reads: { reports, queries, rows: projections.reader },
    ...{ log: engine.log, keys: vault.keys, commands: membership.commands },
    effects: { deletedTexts, suspend: (...decided) => administration.suspend(...decided) },
  });

const operatorOf = (
  { stores, reads, audit, membership }: Parts,
  messages: Omit<Parameters<typeof systemOperator>[0]['messages'], 'commands'>,
): ReturnType<typeof systemOperator> =>
  systemOperator({
    vault: stores.vault,
    messages: { commands: membership.commands, ...messages },
    projections: reads.projections,
    heads: audit.heads,
    log: stores.engine.log,
  });

function registerMetrics(host: Host, parts: Parts): void {
  const { metrics } = host;
  const { stores, reads, membership, selfCheck } = parts;
  const { progress } = reads.projections;
  const { commands } = membership;
  metrics.addGauge('parley_projection_lag_seconds', () => progress.lagMs() / 1000);
  metrics.addQueue('passwords', () => stores.passwords.waiting);
  metrics.addQueue('commands', () => membership.writers.depth);
  metrics.addQueue('router', () => commands.depth);
  metrics.addGauge('parley_partitions', () => stores.engine.log.partitions);
  metrics.addGauge('parley_partitions_owned', () => commands.owned.length);
  metrics.addGauge('parley_ready', () => Number(readinessOf(host, parts).ok));
  metrics.addGauge('parley_clock_behind', () => Number(selfCheck.isAhead));
  metrics.addGauge('parley_disk_free_bytes', () => freeBytesAt(host.config.DATA_DIR));
}

/** The bytes that this process may still write there; not a number if the directory is gone. */
function freeBytesAt(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return Number.NaN; // A scrape must not fail with the directory; `/ready` names it.
  }
}

/** Listens for clients, then for operators; the URL for clients. */
async function serve(
  { config, logger, closers }: Host,
  parts: HttpParts,
  gateway: RunningGateway,
  operator: Operator,
): Promise<string> {
  const app = createApp(parts, new Origins(config), logger);
  const listening = await listen(config, app, gateway);
  closers.add(() => listening.stop());
  const { HOST, METRICS_PORT } = config;
  if (METRICS_PORT !== undefined) {
    const forMetrics = await listenForMetrics(
      { HOST, METRICS_PORT },
      createOperationsApp(parts.operations, logger),
    );
    closers.add(() => forMetrics.stop());
    logger.info(`metrics are at ${forMetrics.url}/metrics`);
  }
  const control = await serveControl(config.DATA_DIR, createControlApp(operator, logger));
  closers.add(() => control.close());
  return listening.url;
}
