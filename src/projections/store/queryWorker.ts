import { parentPort, workerData } from 'node:worker_threads';
import { serveThread } from '../../base/rpc.js';
import { type LogReader, openLogReader } from '../../log/logFileReader.js';
import { type MerkleReader, StoredMerkleReader, TileReader, tilesModel } from '../models/merkleTiles.js';
import { logFileOf, openRowsFile } from './engine.js';
import type { Find, Range } from './rowStore.js';
import { type PrefixPlace, SqliteReads, textReader } from './sqliteReads.js';

/** What the thread is given. */
export interface QueryThreadData {
  /** Where `read.db` and `log.db` are. */
  readonly dataDir: string;
}

// The thread is started with these by the host of the read models.
const { dataDir } = workerData as QueryThreadData;
const file = openRowsFile(dataDir);
const reads = new SqliteReads(file);

let log: LogReader | undefined;
/** Of the tiles that were asked for last: there are others only once they have been built anew. */
let known: { readonly tiles: string; readonly merkleReader: MerkleReader } | undefined;

/** From the tiles in the model of this name. */
function readerOfTiles(tiles: string): MerkleReader {
  if (known?.tiles === tiles) return known.merkleReader;
  log ??= openLogReader(logFileOf(dataDir));
  const { read, places } = log;
  const commits = {
    read: async (...asked: Parameters<LogReader['read']>) => read(...asked),
    places: async (...asked: Parameters<LogReader['places']>) => places(...asked),
  };
  const tree = new TileReader(textReader(reads), { ...tilesModel, name: tiles });
  known = { tiles, merkleReader: new StoredMerkleReader(commits, tree) };
  return known.merkleReader;
}

type Asked<M extends keyof MerkleReader> = Parameters<MerkleReader[M]>;

const api = {
  get: (table: string, keys: readonly string[]) => reads.get(table, keys),
  range: (table: string, range: Range) => reads.range(table, range),
  find: (table: string, index: string, find: Find) => reads.find(table, index, find),
  findPrefix: (table: string, index: string, prefix: string, limit: number, from: PrefixPlace | undefined) =>
    reads.findPrefix(table, index, prefix, limit, from),

  // A proof takes half a dozen reads: asked for one by one, each would have to wake a thread, and wait for it.
  inclusion: (tiles: string, ...asked: Asked<'inclusion'>) => readerOfTiles(tiles).inclusion(...asked),
  consistency: (tiles: string, ...asked: Asked<'consistency'>) => readerOfTiles(tiles).consistency(...asked),
  root: (tiles: string, ...asked: Asked<'root'>) => readerOfTiles(tiles).root(...asked),
  tile: (tiles: string, ...asked: Asked<'tile'>) => readerOfTiles(tiles).tile(...asked),
  leaves: (tiles: string, ...asked: Asked<'leaves'>) => readerOfTiles(tiles).leaves(...asked),

  close() {
    log?.close();
    file.close();
  },
};

export type QueryApi = typeof api;

if (parentPort) serveThread(parentPort, api);
