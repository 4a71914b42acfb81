import { type Db, MongoClient } from 'mongodb';
import { META_TABLE } from '../log/logMeta.js';
import { COMMITS } from '../log/mongoLogMeta.js';
import { openMongoRows, type RowDocument } from '../projections/store/mongoRows.js';
import { type AnyModel, tableOf } from '../projections/store/rowStore.js';
import type { Entry, StoredRow } from '../projections/store/sqliteReads.js';
import { CLUSTER_COLLECTIONS, type StoredRows } from './storedRows.js';

/** Opens the rows of read models in MongoDB. */
export async function openStoredDocuments(url: string): Promise<StoredRows> {
  const store = await openMongoRows(url);
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 5000, readConcernLevel: 'majority' });
  const db: Db = client.db();
  const table = (model: AnyModel) => db.collection<RowDocument>(tableOf(model));
  const get: StoredRows['get'] = async (model, keys) => {
    const found = table(model).find({ _id: { $in: [...keys] } });
    return (await found.toArray()).map(rowOf);
  };
  return {
    hasTable: (model) => db.listCollections({ name: tableOf(model) }).hasNext(),
    get,
    async has(model, rows) {
      const keys = rows.map(({ key }) => key);
      const found = new Map((await get(model, keys)).map((row) => [row[0], row]));
      return rows.every(({ key, partition, offset, value }) => {
        const row = found.get(key);
        return row && row[1] === partition && row[2] === offset && row[3] === JSON.stringify(value);
      });
    },
    async page(model, after, limit) {
      const filter = after === undefined ? {} : { _id: { $gt: after } };
      return (await table(model).find(filter).sort({ _id: 1 }).limit(limit).toArray()).map(rowOf);
    },
    async pagePlaces(model, after, limit) {
      const filter = after === undefined ? {} : { _id: { $gt: after } };
      const found = table(model).find(filter, { projection: { p: 1, o: 1 } });
      return (await found.sort({ _id: 1 }).limit(limit).toArray()).map(({ _id, p, o }) => [_id, p, o]);
    },
    count: (model, below) =>
      Promise.all([
        ...below.map((end, p) => table(model).countDocuments({ p, o: { $lt: end } })),
        table(model).countDocuments({ p: { $nin: [...below.keys()] } }),
      ]),
    async pageIndexed(model, after, limit) {
      const filter = after === undefined ? {} : { _id: { $gt: after } };
      const found = await table(model).find(filter).sort({ _id: 1 }).limit(limit).toArray();
      return found.map((document) => ({ row: rowOf(document), kept: entriesText(document, model) }));
    },
    async pageAhead(model, { partition, offset }, after = '', limit) {
      const filter = { p: partition, o: { $gte: offset }, _id: { $gt: after } };
      return (await table(model).find(filter).sort({ _id: 1 }).limit(limit).toArray()).map(rowOf);
    },
    isKept: (_, kept, entries) => kept === JSON.stringify(entries),
    async findShared(model) {
      const group = { _id: { $arrayElemAt: [{ $split: ['$_id', '/'] }, 1] }, count: { $sum: 1 } };
      const stages = [{ $group: group }, { $match: { count: { $gt: 1 } } }, { $limit: 1 }];
      const found = await table(model).aggregate(stages, { allowDiskUse: true }).toArray();
      return found[0] && String(found[0]._id);
    },
    checkpoints: () => store.checkpoints(),
    async close() {
      await store.close();
      await client.close();
    },
  };
}

/**
 * The entries of a document, by index in the order of the model. No writer stores a place without terms: one that is
 * there is an entry with an empty term, so that it differs from what the fold expects.
 */
function entriesText({ ix }: RowDocument, { indexes }: AnyModel): string {
  const names = [...new Set([...Object.keys(indexes), ...Object.keys(ix ?? {})])];
  const entries = names.flatMap((name) => {
    const place = ix?.[name];
    if (!place) return [];
    return (place.t.length > 0 ? place.t : ['']).map((term): Entry => [name, term, place.s]);
  });
  return JSON.stringify(entries);
}

const rowOf = ({ _id, p, o, v }: RowDocument): StoredRow => [
  _id,
  p,
  o,
  v === null || v === undefined ? null : JSON.stringify(v),
];

/** The collections of a database: those of the log, and of the read models as they are now. */
interface ExpectedCollections {
  readonly partitions: number;
  readonly active: readonly AnyModel[];
  readonly others: readonly AnyModel[];
}

/** Says which collection, view or index of a database this version does not make; undefined if there is none. */
export async function findWrongCollection(
  url: string,
  { partitions, active, others }: ExpectedCollections,
): Promise<string | undefined> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 5000, readConcernLevel: 'majority' });
  try {
    const db = client.db();
    const models = new Map([...active, ...others].map((model) => [tableOf(model), model]));
    const known = new Set([META_TABLE, COMMITS, 'checkpoints', 'generations_v1', ...CLUSTER_COLLECTIONS]);
    for (const found of await db.listCollections().toArray()) {
      const { name, type = 'collection' } = found;
      const options = 'options' in found ? Object.keys(found.options ?? {}) : [];
      if (name.startsWith('system.')) continue;
      if (type !== 'collection' || options.length > 0)
        return `the ${type} ${name} is not one that this version makes`;
      if (!known.has(name) && !models.has(name)) return `this version does not make the collection ${name}`;
      if (CLUSTER_COLLECTIONS.includes(name)) continue;
      const wrong = await findWrongIndex(db, name, models.get(name));
      if (wrong !== undefined) return wrong;
    }
    const planted = await db.collection(COMMITS).findOne({ $nor: placesOf(partitions) });
    if (planted) return `the collection ${COMMITS} has a document that is no commit of a partition`;
    const descriptions = await db.collection(META_TABLE).countDocuments({});
    return descriptions === 1 ? undefined : `the log has ${descriptions} descriptions`;
  } finally {
    await client.close();
  }
}

/** The ranges of the places of commits, a filter a partition. All that lies in them is read and checked. */
const placesOf = (partitions: number) =>
  Array.from({ length: partitions }, (_, p) => ({ _id: { $gte: { p, n: 1 }, $lt: { p: p + 1 } } }) as object);

async function findWrongIndex(
  db: Db,
  name: string,
  model: AnyModel | undefined,
): Promise<string | undefined> {
  const expected = new Map(
    Object.keys(model?.indexes ?? {}).map((index) => [
      index,
      JSON.stringify({ [`ix.${index}.t`]: 1, [`ix.${index}.s`]: 1, _id: 1 }),
    ]),
  );
  for (const { name: index, key, ...options } of await db.collection(name).indexes()) {
    if (index === '_id_') continue;
    const isPlain =
      options.unique !== true && options.partialFilterExpression === undefined && !options.sparse;
    if (expected.get(index ?? '') !== JSON.stringify(key) || !isPlain)
      return `the index ${index} of the collection ${name} is not one that this version makes`;
    expected.delete(index ?? '');
  }
  const [missing] = expected.keys();
  return missing === undefined ? undefined : `the collection ${name} lacks the index ${missing}`;
}
