import type { Db, Document, Filter } from 'mongodb';
import { systemClock } from '../clock.js';
import { within } from '../mongo.js';
import type { Find, Model, Range, Row, RowReader } from './rows.js';
import type { RowDocument } from './rowsMongodb.js';
import { tableOf } from './tables.js';

// No string that begins with a prefix sorts behind the prefix followed by the last code point there is.
const lastCodePoint = '\u{10FFFF}';

/** How long an answer of the database is waited for. */
export const ANSWER_MS = 10_000;

/** The answer, if it comes in time; else rejects, and a write may still happen. */
export const answered = <T>(asked: Promise<T>): Promise<T> => within(systemClock, ANSWER_MS, asked);

/** The reads of a database of rows; they see what a resolved write wrote, as the primary does. */
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
      const query = rows(model)
        .find({ v: { $ne: null }, ...((after ?? before) === undefined ? {} : { _id: bounds }) })
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

function filterOf(index: string, { terms, above, below, from, reverse, byKey }: Find): Filter<RowDocument> {
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

/** Each row under the first of its terms that match. */
function prefixPipeline(
  index: string,
  prefix: string,
  limit: number,
  from: { readonly term: string; readonly key: string } | undefined,
): Document[] {
  const terms = `ix.${index}.t`;
  const matching = { $gte: prefix, $lt: prefix + lastCodePoint };
  const matches = {
    $and: [{ $gte: ['$$term', matching.$gte] }, { $lt: ['$$term', matching.$lt] }],
  };
  const behind = from
    ? [{ $match: { $or: [{ term: { $gt: from.term } }, { term: from.term, _id: { $gt: from.key } }] } }]
    : [];
  return [
    // One element must lie within both bounds; two conditions apart could be met by two elements.
    { $match: { [terms]: { $elemMatch: matching } } },
    { $addFields: { term: { $min: { $filter: { input: `$${terms}`, as: 'term', cond: matches } } } } },
    ...behind,
    { $sort: { term: 1, _id: 1 } },
    { $limit: limit },
  ];
}

function rowOf<R>({ _id, p, o, v }: RowDocument): Row<R> {
  // What a collection holds was written from rows of its model.
  return { key: _id, partition: p, offset: o, value: v as R | null };
}
