import { randomBytes } from 'node:crypto';
import type { Commit } from '../log/log.js';
import { type DecodedCommit, readRetryingHole } from './commitBuffer.js';
import {
  divisionAt,
  FilterKey,
  type FilterPlace,
  filterBytesFor,
  filterCapacity,
  filteredIdsProjection,
  filterRow,
  filterRowKey,
  hashInKey,
  IdFilter,
  messageIdFiltersModel,
  messageIdsModel,
  messagesIn,
  type ReadFilter,
  readFilter,
  SEGMENT_EVENTS,
  type StoredFilter,
} from './models/messageIdIndex.js';
import type { AnyProjection } from './projection.js';
import { type FoldedTables, Projector } from './projector.js';
import type { SideWork } from './projectorLoop.js';
import type { ProjectorEngine } from './store/engine.js';
import {
  type AnyModel,
  foldedBy,
  generationOf,
  type ModelWrite,
  type Row,
  type RowStore,
  readGeneration,
  type StoredCheckpoint,
  tableOf,
} from './store/rowStore.js';

/** A batch is written when this number of events wait, or when some have waited for this time. */
const BATCH_EVENTS = 16_384;
const BATCH_MS = 5 * 60_000;
/** Commits of one step. A step pauses the live projections for some milliseconds. */
const STEP_COMMITS = 64;
const ROWS_PER_READ = 1000;

const filterTable = tableOf(messageIdFiltersModel);
const isIdsTable = ({ name }: Pick<AnyModel, 'name'>): boolean =>
  name === messageIdsModel.name || name.startsWith(`${messageIdsModel.name}_g`);

type Engine = Omit<ProjectorEngine, 'close'>;

/** The projector of the other read models: batches follow what it has written. */
type LiveProjector = Pick<Projector, 'sizes'> & FoldedTables;

/**
 * Writes the index of message ids and the filters of ids, in large batches sorted by key. A batch is read from the log
 * when it is due, so that nothing waits in memory. Rows, filters and their checkpoint are one write. Where the live
 * projector folds the index of ids, as on MongoDB, only the filters are written here.
 */
export class MessageIdBatches implements SideWork, FoldedTables {
  readonly #engine: Engine;
  readonly #live: LiveProjector;
  readonly #projector: Projector;
  readonly #batchEvents: number;
  #owned: readonly number[];
  /** Partitions that another process may have folded meanwhile. */
  readonly #renewed = new Set<number>();
  /** By partition, the size up to which the batch goes that is read now. */
  #target: readonly number[] | undefined;
  #writtenAt = performance.now();
  /** Segments whose stored filters are not checked yet; undefined at the start. */
  #unchecked: FilterPlace[] | undefined;

  private constructor(engine: Engine, live: LiveProjector, projector: Projector, options: BatchOptions) {
    this.#engine = engine;
    this.#live = live;
    this.#projector = projector;
    this.#owned = options.owned;
    this.#batchEvents = options.batchEvents ?? BATCH_EVENTS;
  }

  /** `index`: the projection of the index of ids, unless the live projector folds it. */
  static async open(
    engine: Engine,
    live: LiveProjector,
    index: AnyProjection | undefined,
    options: BatchOptions,
  ): Promise<MessageIdBatches> {
    const projections: AnyProjection[] = index ? [index, filteredIdsProjection] : [filteredIdsProjection];
    const store = withFilters(engine);
    const projector = await Projector.open(store, projections, engine.partitions);
    return new MessageIdBatches(engine, live, projector, options);
  }

  /** Writes the batches of exactly these partitions from now on. */
  own(partitions: readonly number[]): void {
    for (const partition of partitions) if (!this.#owned.includes(partition)) this.#renewed.add(partition);
    this.#owned = [...partitions];
  }

  async step(): Promise<boolean> {
    for (const partition of this.#renewed) {
      await this.#projector.renew(partition);
      this.#renewed.delete(partition);
      this.#target = undefined;
    }
    if (this.#target === undefined && (await this.#repair())) return true;
    if (this.#target === undefined && !this.#isDue()) return false;
    return this.#fold();
  }

  async reset(): Promise<void> {
    this.#target = undefined;
    await this.#projector.reset();
  }

  /** Writes all that the live projector has written, if it is not more than some batches. */
  async flush(): Promise<void> {
    this.#target = undefined;
    if (this.#waiting() === 0 || this.#waiting() > 2 * this.#batchEvents) return;
    while (await this.#fold());
  }

  has(projection: AnyProjection): boolean {
    return this.#of(projection).has(projection);
  }

  adopt(projection: AnyProjection): Promise<void> {
    this.#target = undefined;
    return this.#of(projection).adopt(projection);
  }

  release(projection: AnyProjection): void {
    this.#of(projection).release(projection);
  }

  /** The projector that folds this model, in whichever generation. */
  #of({ model }: AnyProjection): FoldedTables {
    const foldsIndex = this.#projector.tables.some((table) => table !== filterTable);
    return foldsIndex && isIdsTable(model) ? this.#projector : this.#live;
  }

  /** The number of events that the live projector has written and no batch has. */
  #waiting(): number {
    const behind = this.#owned.map(
      (partition) => this.#live.sizes(partition).written - this.#projector.sizes(partition).written,
    );
    return behind.reduce((sum, events) => sum + Math.max(0, events), 0);
  }

  #isDue(): boolean {
    const waiting = this.#waiting();
    if (waiting >= this.#batchEvents) return true;
    if (waiting === 0) this.#writtenAt = performance.now();
    return performance.now() - this.#writtenAt >= BATCH_MS;
  }

  /** Checks the next stored filter, and makes it again if it is damaged. Resolves to whether there are more. */
  async #repair(): Promise<boolean> {
    this.#unchecked ??= this.#owned.flatMap((partition) => this.#wholeSegments(partition));
    const place = this.#unchecked.pop();
    if (!place) return false;
    const { store } = this.#engine;
    const upTo = (place.segment + 1) * SEGMENT_EVENTS;
    if ((await storedFilter(store, place))?.upTo !== upTo) {
      const key = filterRowKey(place);
      const damaged = (await store.get(messageIdFiltersModel, [key])).get(key);
      const made = await remakeFilter(store, place, upTo, []);
      // A row is replaced only by one of a larger offset.
      const offset = Math.max(made.offset, (damaged?.offset ?? 0) + 1);
      await store.write([{ model: messageIdFiltersModel, rows: [{ ...made, offset }] }]);
    }
    return true;
  }

  /** The segments of a partition that get no more ids. A batch checks the last one. */
  #wholeSegments(partition: number): FilterPlace[] {
    const whole = Math.floor(this.#projector.sizes(partition).written / SEGMENT_EVENTS);
    const { id: logId } = this.#engine.log;
    // The last one is taken first; it must be the first segment.
    return Array.from({ length: whole }, (_, i) => ({ logId, partition, segment: whole - 1 - i }));
  }

  /** Reads the next commits, and writes when the batch has all. Resolves to whether the batch goes on. */
  async #fold(): Promise<boolean> {
    this.#target ??= Array.from({ length: this.#engine.partitions }, (_, partition) =>
      this.#owned.includes(partition) ? this.#live.sizes(partition).written : 0,
    );
    const partition = this.#target.findIndex((size, at) => this.#projector.sizes(at).folded < size);
    if (partition >= 0) {
      const after = this.#projector.position(partition);
      const commits = await readRetryingHole(this.#engine.log, partition, after, STEP_COMMITS);
      if (commits.length === 0) throw new Error(`partition ${partition} ended at position ${after}`);
      await this.#projector.fold(commits.map(decodeMessages));
      const isFull = this.#projector.pending / this.#projector.tables.length >= this.#batchEvents;
      if (!isFull) return true;
    }
    await this.#projector.write();
    this.#writtenAt = performance.now();
    if (partition < 0) this.#target = undefined;
    return partition >= 0;
  }
}

interface BatchOptions {
  /** The partitions whose batches are written from the start. */
  readonly owned: readonly number[];
  /** Tests have smaller batches. */
  readonly batchEvents?: number;
}

/** The commit with its messages alone. */
function decodeMessages(commit: Commit): DecodedCommit {
  const { partition, position, size } = commit;
  const events = messagesIn(commit).map(({ event, leaf }) => Object.assign(event, { leaf, position }));
  return { partition, position, size, events };
}

/** A store that is given ids for filters, and writes the filters instead. */
function withFilters({ store, log }: Engine): RowStore {
  return {
    get: (model, keys) => store.get(model, keys),
    range: (model, range) => store.range(model, range),
    find: (model, index, find) => store.find(model, index, find),
    places: (model, index, find) => store.places(model, index, find),
    findPrefix: (model, index, ...search) => store.findPrefix(model, index, ...search),
    prepare: (model) => store.prepare(model),
    async write(writes, checkpoints = []) {
      const isForFilters = ({ model }: ModelWrite) => tableOf(model) === filterTable;
      const others = writes.filter((write) => !isForFilters(write));
      const ids = writes.filter(isForFilters).flatMap(({ rows }) => rows);
      const index = others.filter(({ model }) => isIdsTable(model)).flatMap(({ rows }) => rows);
      const rows: Row<StoredFilter>[] = [];
      for (const checkpoint of checkpoints)
        rows.push(...(await nextFilters({ store, logId: log.id }, checkpoint, { ids, index })));
      await store.write([...others, { model: messageIdFiltersModel, rows }], checkpoints);
    },
    checkpoints: (partitions) => store.checkpoints(partitions),
    removeIndexEntries: (model, key, index) => store.removeIndexEntries(model, key, index),
    scrub: () => store.scrub(),
    drop: (model) => store.drop(model),
    close: () => store.close(),
  };
}

/** Where filters are stored. */
interface FilterStore {
  readonly store: RowStore;
  readonly logId: string;
}

/** Rows of the index of ids that a batch adds: to the filters, and to the index itself. */
interface AddedIds {
  readonly ids: readonly Row<unknown>[];
  readonly index: readonly Row<unknown>[];
}

/** The filters of a partition as they are at this checkpoint. */
async function nextFilters(
  at: FilterStore,
  { partition, size, tables }: StoredCheckpoint,
  added: AddedIds,
): Promise<Row<StoredFilter>[]> {
  const before = foldedBy(await at.store.checkpoints([partition]), [filterTable], partition).size;
  if (!tables.includes(filterTable) || size <= before) return [];
  const rows: Row<StoredFilter>[] = [];
  for (let segment = Math.floor(before / SEGMENT_EVENTS); segment * SEGMENT_EVENTS < size; segment++) {
    const upTo = Math.min(size, (segment + 1) * SEGMENT_EVENTS);
    rows.push(await nextFilter(at, { logId: at.logId, partition, segment }, { before, upTo }, added));
  }
  return rows;
}

/** `before`: the size up to which the stored filters must be whole. */
async function nextFilter(
  { store }: FilterStore,
  place: FilterPlace,
  { before, upTo }: { readonly before: number; readonly upTo: number },
  { ids, index }: AddedIds,
): Promise<Row<StoredFilter>> {
  const stored = await storedFilter(store, place);
  const isInSegment = ({ partition, offset }: Row<unknown>) =>
    partition === place.partition && Math.floor(offset / SEGMENT_EVENTS) === place.segment;
  const added = ids.filter(isInSegment);
  if (stored && stored.upTo >= before) {
    const total = stored.ids + added.length;
    const { filter } = stored;
    if (total <= filterCapacity(filter.bits.length)) {
      for (const row of added) filter.add(filter.key.digest(hashInKey(row.key)));
      return filterRow(place, filter, { ids: total, upTo });
    }
  }
  return remakeFilter(store, place, upTo, [...added, ...index.filter(isInSegment)]);
}

async function storedFilter(store: RowStore, place: FilterPlace): Promise<ReadFilter | undefined> {
  const key = filterRowKey(place);
  return readFilter(place, (await store.get(messageIdFiltersModel, [key])).get(key));
}

/**
 * Makes a filter from the index of ids and the rows that are about to be added: it is the first, it grows, or the
 * stored one is damaged.
 */
async function remakeFilter(
  store: RowStore,
  place: FilterPlace,
  upTo: number,
  added: readonly Row<unknown>[],
): Promise<Row<StoredFilter>> {
  // On MongoDB the index has them already.
  const fresh = new Set(added.map(({ key }) => hashInKey(key)));
  let ids = fresh.size;
  for await (const hashes of indexedHashes(store, place, upTo))
    ids += hashes.filter((one) => !fresh.has(one)).length;
  // Only the first segment grows. A later one is of a large log.
  const bytes = filterBytesFor(place.segment > 0 ? SEGMENT_EVENTS : ids);
  // With the same key an id is hashed once for all filters.
  const before = await storedFilter(store, { ...place, segment: place.segment - 1 });
  const filterKey = before?.filter.key ?? new FilterKey(randomBytes(16));
  const filter = new IdFilter(filterKey, new Uint8Array(bytes));
  const add = (hash: string) => filter.add(filter.key.digest(hash));
  fresh.forEach(add);
  for await (const hashes of indexedHashes(store, place, upTo)) hashes.forEach(add);
  return filterRow(place, filter, { ids, upTo });
}

/** The ids of a segment that are in the index and were sent before `upTo`, in pages. */
async function* indexedHashes(
  store: RowStore,
  { partition, segment }: FilterPlace,
  upTo: number,
): AsyncGenerator<string[]> {
  const { active } = await readGeneration(store, messageIdsModel);
  const model = generationOf(messageIdsModel, active);
  const end = (segment + 1) * SEGMENT_EVENTS;
  for (let offset = segment * SEGMENT_EVENTS; offset < end; ) {
    const { before, end: next, ...division } = divisionAt(offset);
    for (let { after } = division; ; ) {
      const page = await store.range(model, { after, before, limit: ROWS_PER_READ });
      const wanted = page.filter((row) => row.partition === partition && row.offset < upTo);
      yield wanted.map(({ key }) => hashInKey(key));
      after = page.at(-1)?.key ?? after;
      if (page.length < ROWS_PER_READ) break;
    }
    offset = next;
  }
}
