import { parentPort, workerData } from 'node:worker_threads';
import { serveThread } from '../../base/workerThreads.js';
import { type LogReader, openLogReader } from '../../log/logFileReader.js';
import { type MerkleReader, StoredMerkleReader, TileReader, tilesModel } from '../models/merkleTiles.js';
import { logFileOf, openRowsFile } from './engine.js';
import type { Find, Range } from './rowStore.js';
import { type PrefixPlace, SqliteReads, textReader } from './sqliteReads.js';

/** The data of the query thread. */
export interface QueryThreadData {
  /** The directory of `read.db` and `log.db`. */
  readonly dataDir: string;
}

// `openReader` starts the thread with this data.
const { dataDir } = workerData as QueryThreadData;
const file = openRowsFile(dataDir);
const reads = new SqliteReads(file);

let log: LogReader | undefined;
/** The reader of the last tiles asked for. A rebuild of the tiles changes their model's name. */
let known: { readonly tiles: string; readonly merkleReader: MerkleReader } | undefined;

/** Returns the reader of the tiles in the model of this name. */
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
  places: (table: string, index: string, terms: string, above: number | undefined) =>
    reads.places(table, index, terms, above),
  findPrefix: (table: string, index: string, prefix: string, limit: number, from: PrefixPlace | undefined) =>
    reads.findPrefix(table, index, prefix, limit, from),

  // A proof takes about six reads. One call for all of them wakes the thread only once.
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
