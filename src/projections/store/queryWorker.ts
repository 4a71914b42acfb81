import { parentPort, workerData } from 'node:worker_threads';
import { serveThread } from '../../base/workerThreads.js';
import { type LogReader, openLogReader } from '../../log/logFileReader.js';
import { type Evidence, evidenceOf, TreeReader, tilesModel } from '../models/merkleTiles.js';
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
let known: { readonly tiles: string; readonly evidence: Evidence } | undefined;

/** From the tiles in the model of this name. */
function evidenceIn(tiles: string): Evidence {
  if (known?.tiles === tiles) return known.evidence;
  log ??= openLogReader(logFileOf(dataDir));
  const { read, places } = log;
  const commits = {
    read: async (...asked: Parameters<LogReader['read']>) => read(...asked),
    places: async (...asked: Parameters<LogReader['places']>) => places(...asked),
  };
  const tree = new TreeReader(textReader(reads), { ...tilesModel, name: tiles });
  known = { tiles, evidence: evidenceOf(commits, tree) };
  return known.evidence;
}

type Asked<M extends keyof Evidence> = Parameters<Evidence[M]>;

const api = {
  get: (table: string, keys: readonly string[]) => reads.get(table, keys),
  range: (table: string, range: Range) => reads.range(table, range),
  find: (table: string, index: string, find: Find) => reads.find(table, index, find),
  findPrefix: (table: string, index: string, prefix: string, limit: number, from: PrefixPlace | undefined) =>
    reads.findPrefix(table, index, prefix, limit, from),

  // A proof takes half a dozen reads: asked for one by one, each would have to wake a thread, and wait for it.
  inclusion: (tiles: string, ...asked: Asked<'inclusion'>) => evidenceIn(tiles).inclusion(...asked),
  consistency: (tiles: string, ...asked: Asked<'consistency'>) => evidenceIn(tiles).consistency(...asked),
  root: (tiles: string, ...asked: Asked<'root'>) => evidenceIn(tiles).root(...asked),
  tile: (tiles: string, ...asked: Asked<'tile'>) => evidenceIn(tiles).tile(...asked),
  leaves: (tiles: string, ...asked: Asked<'leaves'>) => evidenceIn(tiles).leaves(...asked),

  close() {
    log?.close();
    file.close();
  },
};

export type QueryApi = typeof api;

if (parentPort) serveThread(parentPort, api);
