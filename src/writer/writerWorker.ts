import { randomUUID } from 'node:crypto';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../base/clock.js';
import { assertNever, NotOwner } from '../base/errors.js';
import { serveThread } from '../base/workerThreads.js';
import type { CommitFrame } from '../cluster/bus.js';
import type { Cluster } from '../cluster/nodes.js';
import { openCluster } from '../cluster/openCluster.js';
import { Ownership } from '../cluster/ownership.js';
import type { OwnWriters } from '../domain/commands.js';
import { pack } from '../log/commit.js';
import type { EventLog } from '../log/log.js';
import { capabilities } from '../projections/allProjections.js';
import { openReaderHere, openWriterLog } from '../projections/store/engine.js';
import { ActiveReader } from '../projections/store/openReader.js';
import { foldedBy, tableOf } from '../projections/store/rowStore.js';
import {
  encodeError,
  type FromWriterThread,
  RemoteAppendGuard,
  RemoteFolding,
  RemoteKeyCache,
  type SentCommand,
  type ToWriterThread,
  type WriterApi,
  type WriterThreadData,
} from './threadProtocol.js';
import { routeToWriters, Writer } from './writer.js';
import { readModels, type WriterDeps } from './writerPorts.js';

// `WriterThreadClient.open` passes these two.
const { data, port } = workerData as { data: WriterThreadData; port: MessagePort };

let outbox: FromWriterThread[] = [];

/** Sends all messages of a turn together, because waking the other thread is the main cost. */
function send(item: FromWriterThread): void {
  if (outbox.push(item) > 1) return;
  setImmediate(() => {
    const items = outbox;
    outbox = [];
    port.postMessage(items);
  });
}

const guard = new RemoteAppendGuard((partition, request) => send({ mayAppendTo: partition, request }));
const keys = new RemoteKeyCache((wantedKeys, request) => send({ wantedKeys, request }));
const folding = new RemoteFolding();
const onFatal = (error: unknown) => send({ fatal: encodeError(error) });
const report = (message: string, error: unknown) => send({ report: message, error: encodeError(error) });

let log: EventLog | undefined;
let ownership: Ownership | undefined;
let reader: ActiveReader | undefined;
const closers: (() => Promise<void>)[] = [];

async function start(...[folded, generations]: Parameters<WriterApi['start']>): Promise<void> {
  if (!log) throw new Error('the log is not open');
  folding.start(folded);
  const { engine, node } = data;
  const isShared = engine.kind === 'mongodb';
  const cluster = await openCluster(isShared ? engine.url : undefined, node, log.partitions, capabilities);
  closers.push(cluster.close);
  const deps = await createWriterDeps(log, cluster, generations);
  const writers = Array.from({ length: log.partitions }, (_, partition) => new Writer(partition, deps));
  ownership = new Ownership({
    ...{ node, cluster, writers, clock: systemClock },
    events: {
      ...{ onFatal, report },
      onOwners: (owners) => send({ owners }),
      onLeasesChanged: () => send({ leasesChanged: true }),
    },
  });
  const router = routeToWriters(writers);
  port.on('message', (message: ToWriterThread) => receive(message, router));
  await ownership.start();
}

async function createWriterDeps(
  log: EventLog,
  { devices }: Cluster,
  generations: ReadonlyMap<string, number>,
): Promise<WriterDeps> {
  const rows = await openReaderHere(data.engine);
  closers.push(rows.close);
  const active = new ActiveReader(rows.reader, generations);
  reader = active;
  const reads = readModels(active, log.id, async (models, partition) => {
    const tables = models.map((model) => tableOf(active.current(model)));
    return foldedBy(await rows.checkpoints([partition]), tables, partition);
  });
  return {
    storage: {
      log,
      bus: { publish: sendCommit },
      folding,
      mayAppend: (partition) => guard.mayAppend(partition),
    },
    // A single process needs no devices: its main thread sets nobody offline who is active.
    lookups: { keys, reads, ...(data.engine.kind === 'mongodb' ? { devices } : {}) },
    environment: {
      clock: systemClock,
      now: Date.now,
      newId: randomUUID,
      isKnownToAll: (type) => ownership?.isKnownToAll(type) ?? false,
    },
    events: {
      onDeposed: (partition) => ownership?.release(partition),
      onFatal,
      report,
      onAppend: ({ events, ms }) => send({ appended: { events, ms } }),
    },
  };
}

function receive(message: ToWriterThread, router: OwnWriters): void {
  if ('commands' in message) for (const sent of message.commands) void execute(router, sent);
  else if ('advances' in message) for (const advance of message.advances) folding.advance(...advance);
  else if ('rebalance' in message) ownership?.rebalance();
  else if ('forget' in message) keys.forget(message.forget);
  else if ('forgetRoom' in message) keys.forgetRoom(message.forgetRoom);
  else if ('mayAppend' in message) guard.handleReply(message);
  else if ('request' in message) keys.handleReply(message);
  else assertNever(message);
}

function execute(router: OwnWriters, [call, command, commandId, epoch]: SentCommand): Promise<void> {
  return router.submit(command, commandId, epoch).then(
    (answer) => send({ answered: call, answer }),
    (error: unknown) =>
      send(error instanceof NotOwner ? { notOwner: call } : { refused: call, error: encodeError(error) }),
  );
}

const sendCommit = (frame: CommitFrame): void => {
  const { partition, position, id, epoch, recordedAt, firstOffset, leaves, size, root, hash } = frame;
  send({
    commit: pack({ partition, position, id, epoch, recordedAt, firstOffset, leaves, size, root, hash }),
    members: frame.members ?? new Map(),
  });
};

const api: WriterApi = {
  async open() {
    log = await openWriterLog(data.engine, data.partitions);
    return { id: log.id, partitions: log.partitions };
  },
  start,
  async switchTo(name: string, generation: number) {
    await reader?.switchTo(name, generation);
  },
  async releaseAll() {
    await ownership?.stop();
  },
  async stop() {
    await ownership?.stop();
    await log?.close();
    for (const close of closers) await close();
    keys.close();
    // Lets the last messages leave before this call is answered.
    await new Promise((resolve) => setImmediate(resolve));
    port.close();
  },
};

if (parentPort) serveThread(parentPort, api);
