import { isDeepStrictEqual } from 'node:util';
import type { Recorded } from '../../domain/events.js';
import { partitionOf } from '../../log/log.js';
import { allProjections } from '../../projections/allProjections.js';
import { messageIdsModel } from '../../projections/models/messageIdIndex.js';
import {
  type AnyProjection,
  type Folded,
  foldTouching,
  type Projection,
  type Rows,
  type Touched,
  type TouchingEvent,
} from '../../projections/projection.js';
import {
  type AnyModel,
  type Checkpoint,
  foldedBy,
  generationOf,
  type Model,
  type Row,
  readGenerations,
  tableOf,
  type WrittenRow,
} from '../../projections/store/rowStore.js';
import type { StoredRow } from '../../projections/store/sqliteReads.js';
import { entriesOf } from '../../projections/store/sqliteRows.js';
import type { EntryRow, ExpectedEntry, StoredRows } from '../storedRows.js';
import { type Mismatch, MismatchError } from './report.js';

/** A read model to compare, and how far it is stored. */
export interface ComparedModel {
  readonly name: string;
  /** The generation of the active table. */
  readonly generation: number;
  /** By partition. */
  readonly checkpoints: readonly Checkpoint[];
}

/** Names are only in indexes, never in rows, so no keys are needed. */
const noNames = {
  notes: async (names: readonly unknown[]): Promise<null[]> => names.map(() => null),
};

const withIndexes = allProjections(noNames);

/** Every projection, into rows without indexes. */
const projections: readonly AnyProjection[] = withIndexes.map((projection) => ({
  ...projection,
  model: { ...projection.model, indexes: {} },
}));

/** The models of this version, in generation 0. */
export const comparableModels = (): AnyModel[] => withIndexes.map(({ model }) => model);

/** The projection of a compared model, for the fresh fold. */
export function projectionOf({ name }: Pick<ComparedModel, 'name'>): AnyProjection {
  const found = projections.find(({ model }) => model.name === name);
  if (!found) throw new RangeError(`there is no projection ${name}`);
  return found;
}

/** The compared model in its active table, with its indexes. */
export function storedModel({ name, generation }: Pick<ComparedModel, 'name' | 'generation'>): AnyModel {
  const found = withIndexes.find(({ model }) => model.name === name);
  if (!found) throw new RangeError(`there is no projection ${name}`);
  return generationOf(found.model, generation);
}

/**
 * Lists the read models, with their checkpoints now. There are none before a server has run. Throws a `MismatchError` if
 * some have a table and others have none.
 */
export async function findComparedModels(stored: StoredRows, partitions: number): Promise<ComparedModel[]> {
  const active = await activeGenerations(stored);
  const comparedModels: ComparedModel[] = [];
  const checkpoints = await stored.checkpoints();
  const missing: string[] = [];
  for (const { model } of projections) {
    const generation = active.get(tableOf(model)) ?? 0;
    const table = generationOf(model, generation);
    if (!(await stored.hasTable(table))) missing.push(tableOf(table));
    const places = Array.from({ length: partitions }, (_, partition) =>
      foldedBy(checkpoints, [tableOf(table)], partition),
    );
    comparedModels.push({ name: model.name, generation, checkpoints: places });
  }
  if (missing.length === projections.length && checkpoints.length === 0) return [];
  if (missing.length > 0) throw new MismatchError({ what: `the table ${missing[0]} is missing` });
  return comparedModels;
}

/** A model in its active table. */
export async function activeModel(stored: StoredRows, name: string): Promise<AnyModel> {
  const { model } = projectionOf({ name });
  return generationOf(model, (await activeGenerations(stored)).get(tableOf(model)) ?? 0);
}

/** The active generation of each model, by the table of generation 0. */
export async function activeGenerations(stored: StoredRows): Promise<Map<string, number>> {
  const reader = {
    // Nothing may be written; without the table there are no generations.
    async prepare() {},
    async get<R>(model: Model<R>, keys: readonly string[]): Promise<Map<string, Row<R>>> {
      const rows = (await stored.hasTable(model)) ? await stored.get(model, keys) : [];
      // A table holds rows of its own model.
      const parsed = rows.map(([key, partition, offset, text]): [string, Row<R>] => [
        key,
        { key, partition, offset, value: text === null ? null : (JSON.parse(text) as R) },
      ]);
      return new Map(parsed);
    },
  };
  const generations = await readGenerations(
    reader,
    projections.map(({ model }) => model),
  );
  return new Map(projections.map(({ model }, i) => [tableOf(model), generations[i]?.active ?? 0]));
}

/** The last version of a stream, and the `seq` of its last message. */
interface StreamEnd {
  readonly version: number;
  readonly seq: number;
}

/**
 * Folds the version of each stream and the last `seq` of each room. Throws a `MismatchError` if one does not follow, or
 * if the stream belongs to another partition.
 */
export const streamVersions = (partitions: number | undefined): Projection<StreamEnd> => ({
  model: { name: 'stream_versions', version: 1, indexes: {} },
  keys: ({ stream }) => [stream],
  evolve(last, event) {
    const expected = (last?.version ?? 0) + 1;
    if (event.version !== expected) throw misplaced(event, `version ${expected} comes next`);
    if (
      partitions !== undefined &&
      expected === 1 &&
      partitionOf(event.stream, partitions) !== event.partition
    )
      throw misplaced(event, `the stream belongs to partition ${partitionOf(event.stream, partitions)}`);
    const seq = last?.seq ?? 0;
    if (event.type !== 'MessageSent') return { version: event.version, seq };
    if (event.data.seq !== seq + 1)
      throw misplaced(event, `it is message ${event.data.seq}, but message ${seq + 1} comes next`);
    return { version: event.version, seq: event.data.seq };
  },
});

function misplaced({ partition, offset, stream, version }: Recorded, but: string): MismatchError {
  const what = `event ${offset} of partition ${partition} is version ${version} of ${stream}: ${but}`;
  return new MismatchError({ what, partition, offset });
}

/** Compares JSON texts by value, because a database may change the order of fields. */
function isSameValue(a: string | null, b: string | null): boolean {
  if (a === b) return true;
  return a !== null && b !== null && isDeepStrictEqual(parsed(a), parsed(b));
}

/** Text that is not JSON equals only itself. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return Symbol(text);
  }
}

/** Compares a stored row with the fresh one; undefined if they are equal. */
export function compareRow(
  model: AnyModel,
  stored: StoredRow | undefined,
  fresh: StoredRow,
): Mismatch | undefined {
  const [key, partition, offset, value] = fresh;
  const row = `row ${key} of the read model ${model.name}`;
  const place = { partition, offset };
  if (!stored)
    return { ...place, what: `${row} is missing: event ${offset} of partition ${partition} makes it` };
  if (stored[1] !== partition)
    return { ...place, what: `${row} names partition ${stored[1]}, not ${partition}` };
  if (stored[2] !== offset)
    return {
      ...place,
      what: `${row} names event ${stored[2]} of partition ${partition}, not ${offset}`,
    };
  if (isSameValue(stored[3], value)) return undefined;
  return {
    ...place,
    what: `${row} differs from a fresh fold of partition ${partition} up to event ${offset}`,
  };
}

/** The mismatch of a row that no event of the partition makes. */
export function rowWithoutEvent(model: AnyModel, [key, partition, offset]: StoredRow): Mismatch {
  return { partition, offset, what: `row ${key} of the read model ${model.name} has no event that makes it` };
}

/** Rows of one comparison. */
const BATCH = 256;

/** Whether an event makes each row of the model, which later events rarely change. */
export const isMadeOnce = (comparedModel: Pick<ComparedModel, 'name'>): boolean =>
  projectionOf(comparedModel).creates !== undefined;

/** What events do to a table whose rows one event makes. */
export interface MadeRows {
  /** The rows that they make, as they are after the last event. */
  readonly made: Rows;
  /** What they change in rows that earlier events have made. */
  readonly before: readonly TouchingEvent[];
}

/** Folds the rows that events make, in one pass. Throws a `MismatchError` if two events make one row. */
export function foldMade(projection: AnyProjection, events: readonly Folded[]): MadeRows {
  const made: Rows = new Map();
  const before: TouchingEvent[] = [];
  let now = -1;
  const touched: Touched = (key) => {
    const row = made.get(key);
    return row?.offset === now ? row.value : undefined;
  };
  for (const event of events) {
    const keys = projection.keys(event);
    if (keys.length === 0) continue;
    if (!projection.creates?.(event)) {
      const here = keys.filter((key) => made.has(key));
      const others = keys.filter((key) => !made.has(key));
      foldTouching(projection, [{ event, keys: here }], () => undefined, made);
      if (others.length > 0) before.push({ event, keys: others });
      continue;
    }
    const { partition, offset } = event;
    now = offset;
    for (const key of keys) {
      const { size } = made;
      const value = projection.evolve(undefined, event, key, touched);
      made.set(key, { key, partition, offset, value, isNew: true });
      // One look-up an event: nearly all events come here.
      if (made.size === size) throw new MismatchError(madeTwice(projection, events, event, key));
    }
  }
  return { made, before };
}

/** The mismatch of a row that two events make. */
function madeTwice(
  projection: AnyProjection,
  events: readonly Folded[],
  { partition, offset }: Folded,
  key: string,
): Mismatch {
  const first = events.find((event) => projection.creates?.(event) && projection.keys(event).includes(key));
  const what = `events ${first?.offset} and ${offset} of partition ${partition} have the row ${key} of the read model ${projection.model.name} in common`;
  return { what, partition, offset };
}

/**
 * Compares the rows that the events of a section make. Returns their number, and those that are stored at a
 * later event. Throws a `MismatchError` at the first difference.
 */
export async function compareMade(
  stored: StoredRows,
  comparedModel: ComparedModel,
  { made }: MadeRows,
): Promise<{ readonly count: number; readonly changed: WrittenRow[] }> {
  const table = storedModel(comparedModel);
  const rows = [...made.values()];
  const changed: WrittenRow[] = [];
  for (let at = 0; at < rows.length; at += BATCH)
    changed.push(...(await compareBatch(stored, table, rows.slice(at, at + BATCH))));
  await compareEntries(stored, comparedModel, rows, changed);
  return { count: rows.length, changed };
}

/** Returns the rows that are stored at a later event. */
async function compareBatch(
  stored: StoredRows,
  table: AnyModel,
  rows: readonly WrittenRow[],
): Promise<WrittenRow[]> {
  // Nearly always true, and twice as fast as reading each row.
  if (await stored.has(table, rows)) return [];
  const found = await stored.get(
    table,
    rows.map(({ key }) => key),
  );
  const byKey = new Map(found.map((row) => [row[0], row]));
  return rows.filter((row) => {
    const there = byKey.get(row.key);
    if (there && there[1] === row.partition && there[2] > row.offset) return true;
    const mismatch = compareRow(table, there, textRow(row));
    if (mismatch) throw new MismatchError(mismatch);
    return false;
  });
}

/** Checks that the rows that are stored as they were made have their index entries. */
async function compareEntries(
  stored: StoredRows,
  comparedModel: ComparedModel,
  rows: readonly WrittenRow[],
  changed: readonly WrittenRow[],
): Promise<void> {
  const { entryTables } = stored;
  const table = storedModel(comparedModel);
  if (!entryTables || Object.keys(table.indexes).length === 0) return;
  const later = new Set(changed);
  const expected = new Map(Object.keys(table.indexes).map((index): [string, ExpectedEntry[]] => [index, []]));
  for (const row of rows)
    if (!later.has(row))
      for (const [index, term, sort] of entriesOf(table, row))
        expected.get(index)?.push([term, sort, row.key, row.offset]);
  for (const [index, entries] of expected)
    for (let at = 0; at < entries.length; at += BATCH) {
      const some = entries.slice(at, at + BATCH);
      // Nearly always true, and several times as fast as looking for what is missing.
      if (await entryTables.has(table, index, some)) continue;
      const missing = await entryTables.findMissing(table, index, some);
      if (missing) throw new MismatchError(missingEntry(table, index, missing));
    }
}

/** The mismatch of a message id that two messages have. */
export async function findSharedId(
  stored: StoredRows,
  comparedModel: ComparedModel,
): Promise<Mismatch | undefined> {
  if (comparedModel.name !== messageIdsModel.name) return undefined;
  const table = storedModel(comparedModel);
  const shared = await stored.findShared(table);
  if (shared === undefined) return undefined;
  return { what: `two rows of the read model ${table.name} have ${JSON.stringify(shared)} in common` };
}

/** The mismatch of a row that an index does not lead to. */
export const missingEntry = ({ name }: AnyModel, index: string, [term, , key]: EntryRow): Mismatch => ({
  what: `row ${key} of the read model ${name} is missing in its index ${index} under ${JSON.stringify(term)}`,
});

const textRow = ({ key, partition, offset, value }: WrittenRow): StoredRow => [
  key,
  partition,
  offset,
  value === null ? null : JSON.stringify(value),
];
