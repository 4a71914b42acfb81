import { randomUUID } from 'node:crypto';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { localRouter } from '../commands/router.js';
import { Writer } from '../commands/writer.js';
import { pack } from '../log/codec.js';
import type { EventLog } from '../log/log.js';
import { ActiveReader } from '../projections/activeReader.js';
import { openReaderHere, openWriterLog } from '../projections/engine.js';
import { readModels } from '../projections/readModels.js';
import { RemoteKeys } from './remoteKeys.js';
import { serve } from './rpc.js';
import { ThreadFolding } from './threadFolding.js';
import { type FromWriters, type ToWriters, toWire, type WriterApi, type WriterThreadData } from './wire.js';

// The thread is started with these two by `startWriters`, and by nobody else.
const { data, port } = workerData as { data: WriterThreadData; port: MessagePort };

let outbox: FromWriters[] = [];

/** What one turn of the event loop has to tell leaves in one message: waking the other thread is what costs. */
function tell(item: FromWriters): void {
  if (outbox.push(item) > 1) return;
  setImmediate(() => {
    const items = outbox;
    outbox = [];
    port.postMessage(items);
  });
}

const keys = new RemoteKeys((owners, request) => tell({ keysOf: owners, request }));
const folding = new ThreadFolding();
let log: EventLog | undefined;
let writers: Writer[] = [];
let reader: ActiveReader | undefined;
let closeReader: () => Promise<void> = async () => {};

async function start(...[folded, generations]: Parameters<WriterApi['start']>): Promise<void> {
  if (!log) throw new Error('the log is not open');
  folding.start(folded);
  const rows = await openReaderHere(data.engine);
  closeReader = rows.close;
  reader = new ActiveReader(rows.reader, generations);
  const deps = {
    log,
    bus: { publish: tellCommit },
    keys,
    reads: readModels(reader, folding, log),
    folding,
    now: Date.now,
    newId: randomUUID,
    onFatal: (error: unknown) => tell({ fatal: toWire(error) }),
    report: (report: string, error: unknown) => tell({ report, error: toWire(error) }),
    onAppend: ({ events, ms }: { events: number; ms: number }) => tell({ appended: { events, ms } }),
  };
  writers = Array.from({ length: log.partitions }, (_, partition) => new Writer(partition, deps));
  const router = localRouter(writers);
  port.on('message', (message: ToWriters) => {
    if ('commands' in message)
      for (const [command, commandId] of message.commands)
        router.execute(command, commandId).then(
          (answer) => tell({ answered: commandId, answer }),
          (error: unknown) => tell({ refused: commandId, error: toWire(error) }),
        );
    else if ('advances' in message) for (const advance of message.advances) folding.advance(...advance);
    else keys.receive(message);
  });
  await Promise.all(writers.map((writer) => writer.start()));
}

const tellCommit = (commit: Parameters<typeof pack>[0]): void => {
  const { partition, position, id, epoch, recordedAt, firstOffset, leaves, size, root, hash } = commit;
  tell({
    commit: pack({ partition, position, id, epoch, recordedAt, firstOffset, leaves, size, root, hash }),
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
  async stop() {
    await Promise.all(writers.map((writer) => writer.stop()));
    await closeReader();
    await log?.close();
    keys.close();
    // What was told last leaves before this is answered.
    await new Promise((resolve) => setImmediate(resolve));
    port.close();
  },
};

if (parentPort) serve(parentPort, api);
