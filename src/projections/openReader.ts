import { Worker } from 'node:worker_threads';
import type { Evidence } from '../audit/evidence.js';
import { connect, type Remote } from '../threads/rpc.js';
import type { Engine } from './engine.js';
import type { QueryApi, QueryThreadData } from './queryWorker.js';
import type { RowReader } from './rows.js';
import { textReader } from './textReader.js';

/** Gives a read the name of the model that the tiles are in, for as long as it takes. */
export type ReadingTiles = <T>(read: (tiles: string) => Promise<T>) => Promise<T>;

export interface OpenReader {
  readonly reader: RowReader;
  /** What proofs are made of, read beside this thread; undefined where there is no such thread. */
  readonly evidence?: (reading: ReadingTiles) => Evidence;
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
    evidence: (reading) => remoteEvidence(remote, reading),
    async close() {
      isClosing = true;
      await remote.close().catch(alarm);
      await worker.terminate();
    },
  };
}

const remoteEvidence = (remote: Remote<QueryApi>, reading: ReadingTiles): Evidence => ({
  inclusion: (...asked) => reading((tiles) => remote.inclusion(tiles, ...asked)),
  consistency: (...asked) => reading((tiles) => remote.consistency(tiles, ...asked)),
  root: (...asked) => reading((tiles) => remote.root(tiles, ...asked)),
  tile: (...asked) => reading((tiles) => remote.tile(tiles, ...asked)),
  leaves: (...asked) => reading((tiles) => remote.leaves(tiles, ...asked)),
});
