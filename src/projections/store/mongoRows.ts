import {
  type AnyBulkWriteOperation,
  type Collection,
  type Db,
  type Document,
  type Filter,
  MongoBulkWriteError,
  type MongoClient,
  MongoServerError,
} from 'mongodb';
import { systemClock } from '../../base/clock.js';
import { createMongoClient, withMongoTimeout } from '../../base/mongo.js';
import {
  type AnyModel,
  type Find,
  type IndexEntry,
  type Model,
  type ModelWrite,
  type Range,
  type Row,
  type RowReader,
  type RowStore,
  type StoredCheckpoint,
  tableOf,
  withoutTable,
} from './rowStore.js';

/** A row as a document: partition, offset, value, and under `ix` its place in each index. */
export interface RowDocument {
  _id: string;
  p: number;
  o: number;
  v: unknown;
  ix: Record<string, { t: readonly string[]; s: number }>;
}

interface CheckpointDocument {
  _id: string;
  partition: number;
  tables: readonly string[];
  position: number;
  size: number;
}

/** Rows of one bulk write: well below the server's limit of 48 MB for a message. */
const BULK_ROWS = 1_000;

/** Opens the row store on MongoDB, in the database that the URL names. Throws the errors of the driver. */
export async function openMongoRows(url: string): Promise<RowStore> {
  const client = await connect(url);
  const db = client.db();
  const checkpoints = db.collection<CheckpointDocument>('checkpoints');
  return {
    ...mongoReader(db),
    prepare: (model) => createCollection(db, model),
    async write(writes, advanced = []) {
      await Promise.all(writes.map((write) => writeRows(db, write)));
      await writeCheckpoints(checkpoints, advanced);
    },
    checkpoints: (partitions) => readCheckpoints(checkpoints, partitions),
    async removeIndexEntries(model, key, index) {
      const rows = db.collection<RowDocument>(tableOf(model));
      await answered(rows.updateOne({ _id: key }, { $unset: { [`ix.${index}`]: '' } }));
    },
    async scrub() {},
    async drop(model) {
      // Checkpoints first: rows without a checkpoint are folded anew, but a checkpoint without rows is a gap.
      await removeFromCheckpoints(checkpoints, tableOf(model));
      await db.collection(tableOf(model)).drop();
    },
    close: () => client.close(),
  };
}

/** Drops the checkpoints, then every table of every version. No process may use them. */
export async function dropMongoRows(url: string): Promise<void> {
  const client = await connect(url);
  try {
    const db = client.db();
    const names = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
    if (names.includes('checkpoints')) await db.collection('checkpoints').drop();
    for (const name of names) if (/_v\d+$/.test(name)) await db.collection(name).drop();
  } finally {
    await client.close();
  }
}

/** Majority for all reads and writes: decisions and checkpoints must never be rolled back. */
function connect(url: string): Promise<MongoClient> {
  return createMongoClient(url, {
    socketTimeoutMs: ANSWER_MS,
    writeConcern: { w: 'majority' },
    readConcern: { level: 'majority' },
    readPreference: 'primary',
    ignoreUndefined: true,
  }).connect();
}

const NAMESPACE_EXISTS = 48;

/** Creates the collection even without indexes: a missing one then shows that a table was dropped. */
async function createCollection(db: Db, model: AnyModel): Promise<void> {
  const name = tableOf(model);
  await db.createCollection(name).catch((error: unknown) => {
    if (!(error instanceof MongoServerError && error.code === NAMESPACE_EXISTS)) throw error;
  });
  const names = Object.keys(model.indexes);
  if (names.length > 0)
    await db
      .collection(name)
      .createIndexes(
        names.map((index) => ({ key: { [`ix.${index}.t`]: 1, [`ix.${index}.s`]: 1, _id: 1 }, name: index })),
      );
}

async function writeRows(db: Db, { model, rows }: ModelWrite): Promise<void> {
  const collection = db.collection<RowDocument>(tableOf(model));
  for (let start = 0; start < rows.length; start += BULK_ROWS) {
    const some = rows
      .slice(start, start + BULK_ROWS)
      .map((row) => ({ isNew: row.isNew === true, document: documentOf(model, row) }));
    const haveMet = await writeIgnoringDuplicates(
      collection,
      some.map(({ isNew, document }) => (isNew ? { insertOne: { document } } : replaceOlder(document))),
    );
    // A row that was there already may be older.
    const made = some.filter(({ isNew }) => haveMet && isNew);
    if (made.length > 0)
      await writeIgnoringDuplicates(
        collection,
        made.map(({ document }) => replaceOlder(document)),
      );
  }
}

/**
 * Matches only a smaller offset. Otherwise the filter misses the row and the insert fails on its key, as
 * intended.
 */
function replaceOlder({ _id, ...fields }: RowDocument): AnyBulkWriteOperation<RowDocument> {
  return { updateOne: { filter: { _id, o: { $lt: fields.o } }, update: { $set: fields }, upsert: true } };
}

const checkpointId = ({ partition, tables }: StoredCheckpoint): string => `${partition} ${tables.join(' ')}`;

async function readCheckpoints(
  checkpoints: Collection<CheckpointDocument>,
  partitions: readonly number[] | undefined,
): Promise<StoredCheckpoint[]> {
  const filter = partitions === undefined ? {} : { partition: { $in: [...partitions] } };
  const found = await answered(checkpoints.find(filter).toArray());
  return found.map(({ _id, ...checkpoint }) => checkpoint);
}

async function writeCheckpoints(
  checkpoints: Collection<CheckpointDocument>,
  advanced: readonly StoredCheckpoint[],
): Promise<void> {
  if (advanced.length === 0) return;
  const operations = advanced.map((checkpoint) => ({
    updateOne: {
      filter: { _id: checkpointId(checkpoint), position: { $lt: checkpoint.position } },
      update: { $set: checkpoint },
      upsert: true,
    },
  }));
  await writeIgnoringDuplicates(checkpoints, operations);
}

/** What the checkpoints say of other tables is written before those that name the table are deleted. */
async function removeFromCheckpoints(
  checkpoints: Collection<CheckpointDocument>,
  table: string,
): Promise<void> {
  const stored = await readCheckpoints(checkpoints, undefined);
  const left = withoutTable(stored, table);
  await writeCheckpoints(checkpoints, left);
  await checkpoints.deleteMany({ tables: table });
  const kept = new Set(left.map(checkpointId));
  // Only as they were read: another process may have advanced one meanwhile.
  for (const one of stored)
    if (!kept.has(checkpointId(one)))
      await checkpoints.deleteOne({ _id: checkpointId(one), position: one.position });
}

/**
 * Writes in any order. Resolves to whether some keys were there already: of an update, with a document that
 * is at least as new.
 */
async function writeIgnoringDuplicates<D extends { _id: string }>(
  collection: Collection<D>,
  operations: AnyBulkWriteOperation<D>[],
): Promise<boolean> {
  try {
    await answered(collection.bulkWrite(operations, { ordered: false }));
    return false;
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError)) throw error;
    const failures = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors];
    const onlyDuplicates = failures.every(
      ({ code, errmsg }) => code === 11000 || /duplicate key/.test(errmsg ?? ''),
    );
    // Without the write concern the rows may be lost, whatever else was reported.
    if (!onlyDuplicates || failures.length === 0 || error.result.getWriteConcernError()) throw error;
    return true;
  }
}

function documentOf(model: AnyModel, row: Row<unknown>): RowDocument {
  const ix: RowDocument['ix'] = {};
  for (const index of Object.keys(model.indexes)) {
    const place = placeOf(model, index, row);
    if (place && place.terms.length > 0) ix[index] = { t: place.terms, s: place.sort };
  }
  return { _id: row.key, p: row.partition, o: row.offset, v: row.value, ix };
}

function placeOf(model: AnyModel, index: string, row: Row<unknown>): IndexEntry | undefined {
  if (row.value === null) return undefined;
  // A model's rows come from its projection, so they have its type.
  return (model as Model<unknown>).indexes[index]?.({ ...row, value: row.value });
}

// Every string with a prefix sorts before the prefix followed by the last code point.
const LAST_CODE_POINT = '\u{10FFFF}';

/** The time limit for an answer of the database. */
export const ANSWER_MS = 10_000;

/** Rejects if the answer is late; a write may still happen. */
export const answered = <T>(asked: Promise<T>): Promise<T> => withMongoTimeout(systemClock, ANSWER_MS, asked);

/** Creates the reads of a database. They go to the primary and see every resolved write. */
export function mongoReader(db: Db): RowReader {
  const rows = (model: Model<never>) => db.collection<RowDocument>(tableOf(model), {});
  return {
    async get<R>(model: Model<R>, keys: readonly string[]) {
      if (keys.length === 0) return new Map();
      const query = rows(model).find({ _id: { $in: keys } });
      const found = await answered(query.toArray());
      return new Map(found.map((document) => [document._id, rowOf<R>(document)]));
    },
    async range<R>(model: Model<R>, { after, before, reverse, limit }: Range) {
      const bounds = {
        ...(after === undefined ? {} : { $gt: after }),
        ...(before === undefined ? {} : { $lt: before }),
      };
      // `{ v: { $ne: null } }` would leave out an array that holds a null.
      const isRow = { $expr: { $ne: ['$v', null] } };
      const query = rows(model)
        .find({ ...isRow, ...((after ?? before) === undefined ? {} : { _id: bounds }) })
        .sort({ _id: reverse ? -1 : 1 })
        .limit(limit);
      const found = await answered(query.toArray());
      return found.map(rowOf<R>);
    },
    async find<R>(model: Model<R>, index: string, find: Find) {
      const query = rows(model).find(filterOf(index, find));
      const direction = find.reverse ? -1 : 1;
      if (!find.unordered)
        query
          .sort(find.byKey ? { _id: direction } : { [`ix.${index}.s`]: direction, _id: direction })
          .limit(find.limit);
      const found = await answered(query.toArray());
      return found.map(rowOf<R>);
    },
    async places(model, index, find) {
      const query = rows(model)
        .find(filterOf(index, find))
        .project<Pick<RowDocument, '_id' | 'ix'>>({ [`ix.${index}.s`]: 1 });
      const found = await answered(query.toArray());
      return new Map(found.map(({ _id, ix }) => [_id, ix[index]?.s ?? 0]));
    },
    async findPrefix<R>(
      model: Model<R>,
      index: string,
      prefix: string,
      limit: number,
      from?: { readonly term: string; readonly key: string },
    ) {
      const pipeline = prefixPipeline(index, prefix, limit, from);
      const query = rows(model).aggregate<RowDocument & { term: string }>(pipeline);
      const found = await answered(query.toArray());
      return found.map((document) => ({ row: rowOf<R>(document), term: document.term }));
    },
  };
}

function filterOf(
  index: string,
  { terms, above, below, from, reverse, byKey }: Omit<Find, 'limit'>,
): Filter<RowDocument> {
  const sort = `ix.${index}.s`;
  const behind = reverse ? '$lt' : '$gt';
  const bounds: Document = {
    ...(above === undefined ? {} : { $gt: above }),
    ...(below === undefined ? {} : { $lt: below }),
  };
  const filter: Document = { [`ix.${index}.t`]: { $in: terms } };
  if (Object.keys(bounds).length > 0) filter[sort] = bounds;
  if (from && byKey) filter._id = { [behind]: from.key };
  if (from && !byKey)
    filter.$or = [{ [sort]: { [behind]: from.sort } }, { [sort]: from.sort, _id: { [behind]: from.key } }];
  return filter;
}

/** Finds each row once, under the first of its terms that match. */
function prefixPipeline(
  index: string,
  prefix: string,
  limit: number,
  from: { readonly term: string; readonly key: string } | undefined,
): Document[] {
  const terms = `ix.${index}.t`;
  const matching = { $gte: prefix, $lt: prefix + LAST_CODE_POINT };
  const matches = {
    $and: [{ $gte: ['$$term', matching.$gte] }, { $lt: ['$$term', matching.$lt] }],
  };
  const behind = from
    ? [{ $match: { $or: [{ term: { $gt: from.term } }, { term: from.term, _id: { $gt: from.key } }] } }]
    : [];
  return [
    // One element must meet both bounds; two separate conditions could match two elements.
    { $match: { [terms]: { $elemMatch: matching } } },
    { $addFields: { term: { $min: { $filter: { input: `$${terms}`, as: 'term', cond: matches } } } } },
    ...behind,
    { $sort: { term: 1, _id: 1 } },
    { $limit: limit },
  ];
}

function rowOf<R>({ _id, p, o, v }: RowDocument): Row<R> {
  // A collection holds rows of its own model.
  return { key: _id, partition: p, offset: o, value: v as R | null };
}
