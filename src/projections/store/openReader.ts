import { Worker } from 'node:worker_threads';
import { connectThread, type Remote } from '../../base/workerThreads.js';
import type { MerkleReader } from '../models/merkleTiles.js';
import type { Engine } from './engine.js';
import type { QueryApi, QueryThreadData } from './queryWorker.js';
import { type AnyModel, generationOf, type Model, type RowReader } from './rowStore.js';
import { textReader } from './sqliteReads.js';

/** Runs a read with the model name of the current tiles, which are not dropped meanwhile. */
export type TileAccess = <T>(read: (tiles: string) => Promise<T>) => Promise<T>;

export interface OpenReader {
  readonly reader: RowReader;
  /** Creates a reader of proofs in the query thread; absent where there is no such thread. */
  readonly merkleReader?: (reading: TileAccess) => MerkleReader;
  close(): Promise<void>;
}

/**
 * Opens the rows. Files are read in a thread of their own, so that no query waits for a write. MongoDB is
 * read from this thread.
 */
export async function openReader(engine: Engine, alarm: (error: unknown) => void): Promise<OpenReader> {
  if (engine.kind === 'mongodb') {
    const { openMongoRows } = await import('./mongoRows.js');
    const store = await openMongoRows(engine.url);
    return { reader: store, close: () => store.close() };
  }
  const workerData: QueryThreadData = { dataDir: engine.dataDir };
  const worker = new Worker(new URL('./queryWorker.js', import.meta.url), { workerData });
  const remote = connectThread<QueryApi>(worker);
  let isClosing = false;
  worker.on('error', alarm);
  worker.on('exit', (code) => {
    if (!isClosing) alarm(new Error(`the thread of the queries ended with code ${code}`));
  });
  return {
    reader: textReader(remote),
    merkleReader: (reading) => remoteMerkleReader(remote, reading),
    async close() {
      isClosing = true;
      await remote.close().catch(alarm);
      await worker.terminate();
    },
  };
}

const remoteMerkleReader = (remote: Remote<QueryApi>, reading: TileAccess): MerkleReader => ({
  inclusion: (...asked) => reading((tiles) => remote.inclusion(tiles, ...asked)),
  consistency: (...asked) => reading((tiles) => remote.consistency(tiles, ...asked)),
  root: (...asked) => reading((tiles) => remote.root(tiles, ...asked)),
  tile: (...asked) => reading((tiles) => remote.tile(tiles, ...asked)),
  leaves: (...asked) => reading((tiles) => remote.leaves(tiles, ...asked)),
});

/** Reads each model from its active generation. */
export class ActiveReader implements RowReader {
  readonly #reader: RowReader;
  readonly #active: Map<string, number>;
  readonly #open = new Set<Promise<unknown>>();

  /** `active`: generations other than 0, by model name. */
  constructor(reader: RowReader, active: ReadonlyMap<string, number>) {
    this.#reader = reader;
    this.#active = new Map(active);
  }

  get: RowReader['get'] = (model, keys) => this.reading(model, (current) => this.#reader.get(current, keys));

  range: RowReader['range'] = (model, range) =>
    this.reading(model, (current) => this.#reader.range(current, range));

  find: RowReader['find'] = (model, index, find) =>
    this.reading(model, (current) => this.#reader.find(current, index, find));

  places: RowReader['places'] = (model, index, find) =>
    this.reading(model, (current) => this.#reader.places(current, index, find));

  findPrefix: RowReader['findPrefix'] = (model, index, prefix, limit, from) =>
    this.reading(model, (current) => this.#reader.findPrefix(current, index, prefix, limit, from));

  /** Runs a read on the active generation, which is not dropped before the read has settled. */
  reading<R, T>(model: Model<R>, read: (current: Model<R>) => Promise<T>): Promise<T> {
    const reading = read(this.current(model));
    this.#open.add(reading);
    const done = () => this.#open.delete(reading);
    reading.then(done, done);
    return reading;
  }

  /** Makes later reads use this generation. Resolves when no read of another generation is open. */
  async switchTo(name: string, generation: number): Promise<void> {
    this.#active.set(name, generation);
    await Promise.allSettled(this.#open);
  }

  /** The model in its active generation. */
  current<M extends Pick<AnyModel, 'name' | 'version'>>(model: M): M {
    return generationOf(model, this.#active.get(model.name) ?? 0);
  }
}
