import { Worker } from 'node:worker_threads';
import { connect } from '../threads/rpc.js';
import type { Engine } from './engine.js';
import type { QueryApi, QueryThreadData } from './queryWorker.js';
import type { RowReader } from './rows.js';
import { textReader } from './textReader.js';

export interface OpenReader {
  readonly reader: RowReader;
  close(): Promise<void>;
}

/** Files are read in a thread of their own, so that no query waits for a write; a server is asked from here. */
export async function openReader(engine: Engine, alarm: (error: unknown) => void): Promise<OpenReader> {
  if (engine.kind === 'mongodb') {
    const { openMongoRows } = await import('./rowsMongodb.js');
    const store = await openMongoRows(engine.url);
    return { reader: store, close: () => store.close() };
  }
  const workerData: QueryThreadData = { dataDir: engine.dataDir };
  const worker = new Worker(new URL('./queryWorker.js', import.meta.url), { workerData });
  const remote = connect<QueryApi>(worker);
  let isClosing = false;
  worker.on('error', alarm);
  worker.on('exit', (code) => {
    if (!isClosing) alarm(new Error(`the thread of the queries ended with code ${code}`));
  });
  return {
    reader: textReader(remote),
    async close() {
      isClosing = true;
      await remote.close().catch(alarm);
      await worker.terminate();
    },
  };
}
