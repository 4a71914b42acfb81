import type { Db, MongoClient } from 'mongodb';
import { z } from 'zod';
import { createMongoClient, isDuplicateKey, MAJORITY } from '../base/mongo.js';
import { StorageError } from './log.js';
import {
  checkLogMeta,
  DRAFT_META_TABLE,
  draftOfFormat,
  type LogMeta,
  LogMismatch,
  META_TABLE,
  newMeta,
} from './logMeta.js';

/** The time limit of one attempt. A write that takes longer has an unknown outcome, which is then settled. */
export const ATTEMPT_TIMEOUT_MS = 5000;

/** The collection of all commits. */
export const COMMITS = 'commits';
/** The collection of the first partition in an earlier draft of the format. */
const DRAFT_COMMITS = 'commits_0';

/** The description of a log in MongoDB. */
export interface MongoLogMeta extends LogMeta {
  /** While `parley move` copies the log into this database. Absent of a whole log. */
  readonly arriving?: Arrival;
}

/** A log that is being copied. */
export interface Arrival {
  /** Where it comes from, for people. */
  readonly from: string;
  /** The run of `parley move` that copies it now: a UUID. */
  readonly run: string;
}

/** The driver must not retry: `MongoLog` retries, and must know of every attempt. */
export function connectMongoLog(url: string): MongoClient {
  return createMongoClient(url, {
    retryWrites: false,
    retryReads: false,
    serverSelectionTimeoutMS: ATTEMPT_TIMEOUT_MS,
    // An attempt that was given up must not be sent when a connection becomes free.
    waitQueueTimeoutMS: ATTEMPT_TIMEOUT_MS,
    socketTimeoutMs: ATTEMPT_TIMEOUT_MS,
  });
}

async function withDatabase<T>(url: string, work: (db: Db) => Promise<T>): Promise<T> {
  const client = connectMongoLog(url);
  try {
    return await work(client.db());
  } finally {
    await client.close();
  }
}

/**
 * Returns the description of the log in this database; null if there is none. Throws `LogMismatch` if `openMongoLog`
 * would refuse the log. Writes nothing.
 */
export function checkMongoLog(url: string, partitions: number | undefined): Promise<LogMeta | null> {
  return withDatabase(url, async (db) => {
    const meta = await readMongoMeta(db);
    if (meta) {
      checkWhole(meta);
      checkLogMeta(meta, partitions);
    }
    return meta;
  });
}

/** Throws `LogMismatch` while the log is being copied into its database. */
export function checkWhole({ arriving }: MongoLogMeta): void {
  if (!arriving) return;
  throw new LogMismatch(
    `the database of MONGO_URL has a part of the log that parley move copies from ${arriving.from}; wait until it is done, or repeat it if it was cut off`,
  );
}

/** Gives the log in this database a new history. Durable once resolved. No process may have the log open. */
export function renewMongoHistory(url: string, history: string): Promise<void> {
  return withDatabase(url, async (db) => {
    const { matchedCount } = await metaIn(db).updateOne({ _id: 'log' }, { $set: { history } });
    if (matchedCount === 0) throw new StorageError('the database holds no log');
  });
}

const metaIn = (db: Db) => db.collection<MongoLogMeta & { _id: 'log' }>(META_TABLE, MAJORITY);

/** Reads the description of the log in this database; null if there is none. Throws `LogMismatch`. */
export async function readMongoMeta(db: Db): Promise<MongoLogMeta | null> {
  const isDraft = await db.listCollections({ name: { $in: [DRAFT_META_TABLE, DRAFT_COMMITS] } }).hasNext();
  if (isDraft) throw draftOfFormat('MONGO_URL');
  return metaIn(db).findOne({ _id: 'log' });
}

/** As `readMongoMeta`. Creates a log with `partitions` if there is none, and then calls `onCreated`. */
export async function openMongoMeta(
  db: Db,
  partitions: number,
  onCreated = (): void => {},
): Promise<MongoLogMeta> {
  const there = await readMongoMeta(db);
  if (there) return there;
  const made = newMeta(partitions);
  // If it is not inserted, another node has created the log first.
  if (!(await insertMongoMeta(db, made))) return openMongoMeta(db, partitions, onCreated);
  onCreated();
  return made;
}

/** Stores the description of a log. Returns false if the database has one. */
export async function insertMongoMeta(
  db: Db,
  { id, history, partitions, format, arriving }: MongoLogMeta,
): Promise<boolean> {
  const meta = { id, history, partitions, format, ...(arriving ? { arriving } : {}) };
  try {
    await metaIn(db).insertOne({ _id: 'log', ...meta });
    return true;
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
    return false;
  }
}

/** Lets this run go on with a log that is being copied. Returns false if there is no such log, or it is whole. */
export async function resumeArrival(
  db: Db,
  { id, history }: Pick<LogMeta, 'id' | 'history'>,
  arriving: Arrival,
): Promise<boolean> {
  const begun = { _id: 'log' as const, id, arriving: { $exists: true } };
  const { matchedCount } = await metaIn(db).updateOne(begun, { $set: { history, arriving } });
  return matchedCount === 1;
}

/** Whether this run copies the log. Another run may have taken it over. */
export async function isArriving(db: Db, run: string): Promise<boolean> {
  return (await metaIn(db).findOne({ _id: 'log', 'arriving.run': run })) !== null;
}

/** Makes the log whole: from here on nodes start on it. Returns false if another run has taken it over. */
export async function endArrival(db: Db, run: string): Promise<boolean> {
  const mine = { _id: 'log' as const, 'arriving.run': run };
  const { matchedCount } = await metaIn(db).updateOne(mine, { $unset: { arriving: true } });
  return matchedCount === 1;
}

/** What the counters of a database say. */
const Size = z.looseObject({ storageSize: z.number(), indexSize: z.number() });
const CollectionSize = z.looseObject({ storageSize: z.number(), totalIndexSize: z.number() });

/** Reads how many bytes log, vault and read models take in this database, by its own counters. */
export function openMongoCounters(url: string) {
  const client = connectMongoLog(url);
  const db = client.db();
  const bytesOf = async (of: Db): Promise<number> => {
    const { storageSize, indexSize } = Size.parse(await of.command({ dbStats: 1 }));
    return storageSize + indexSize;
  };
  return {
    async read() {
      const [all, vault, commits] = await Promise.all([
        bytesOf(db),
        bytesOf(client.db(`${db.databaseName}_vault`)),
        db.command({ collStats: COMMITS }).then((stats) => CollectionSize.parse(stats)),
      ]);
      const log = commits.storageSize + commits.totalIndexSize;
      return { log, vault, readModels: Math.max(0, all - log) };
    },
    close: () => client.close(),
  };
}
