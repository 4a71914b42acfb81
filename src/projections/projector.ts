import { LRUCache } from 'lru-cache';
import {
  type CommitSource,
  type DecodedCommit,
  decodeCommit,
  isCut,
  readNextRetryingHole,
} from './commitBuffer.js';
import {
  type AnyProjection,
  type Folded,
  foldTouching,
  type Rows,
  selectTouching,
  type TouchingEvent,
} from './projection.js';
import {
  type Checkpoint,
  foldedBy,
  type Model,
  type Row,
  type RowStore,
  tableOf,
  valuesOf,
} from './store/rowStore.js';

/** Rows of a projection that are kept in memory for later events; other rows are loaded. */
const CACHED_ROWS = 8_000;

/**
 * While there is more to fold, rows are written when there are this many, or after this time. Many rows in one write
 * cost less each; a write should pause other work for some tens of milliseconds only.
 */
const GATHER_ROWS = 8192;
const GATHER_MS = 1000;

/** The size of a partition up to which all projections are written. */
export interface Advance {
  readonly partition: number;
  readonly size: number;
}

/** How far one partition is folded in memory, and in the store. */
interface Place {
  readonly folded: Checkpoint;
  readonly written: Checkpoint;
}

/** A projection with its rows that are not written yet. */
interface Work {
  readonly projection: AnyProjection;
  readonly changed: Rows;
  /** By partition, the size up to which its table was folded when the projector began. */
  readonly from: readonly number[];
  /** Rows as they are written; made when one is kept, as it takes memory for all that it may hold at once. */
  cache: LRUCache<string, Row<unknown>> | undefined;
}

/** The tables that are folded, as a rebuild changes them. */
export interface FoldedTables {
  /** Whether this projection's table is folded. */
  has(projection: AnyProjection): boolean;
  /** Begins to fold one more projection. */
  adopt(projection: AnyProjection): Promise<void>;
  /** Stops to fold a projection, and drops its unwritten rows. */
  release(projection: AnyProjection): void;
}

/**
 * Folds commits into rows in memory until `write`. All projections are at one place of each partition and
 * share its checkpoint. After any error call `reset`, then fold the commits behind `position` again. Calls
 * must not overlap.
 */
export class Projector implements FoldedTables {
  readonly #store: RowStore;
  /** All partitions of the log. */
  readonly partitions: readonly number[];
  #work: readonly Work[] = [];
  #places: Place[] = [];
  /** On the monotonic clock. */
  #writtenAt = performance.now();

  private constructor(store: RowStore, partitions: number) {
    this.#store = store;
    this.partitions = Array.from({ length: partitions }, (_, partition) => partition);
  }

  /** Creates missing tables, and begins at the checkpoints. */
  static async open(
    store: RowStore,
    projections: readonly AnyProjection[],
    partitions: number,
  ): Promise<Projector> {
    const projector = new Projector(store, partitions);
    for (const { model } of projections) await store.prepare(model);
    await projector.#begin(projections);
    return projector;
  }

  /** The position behind which the next commit of the partition must come. */
  position(partition: number): number {
    return this.#place(partition).folded.position;
  }

  /** Tree sizes of the partition that are folded, and written. */
  sizes(partition: number): { folded: number; written: number } {
    const { folded, written } = this.#place(partition);
    return { folded: folded.size, written: written.size };
  }

  /** The tables that are folded, in ascending order. */
  get tables(): readonly string[] {
    return this.#work.map(({ projection }) => tableOf(projection.model)).sort();
  }

  /** Whether the projector folds this projection's table. */
  has({ model }: AnyProjection): boolean {
    return this.tables.includes(tableOf(model));
  }

  /** The number of rows that wait to be written. */
  get pending(): number {
    return this.#work.reduce((sum, { changed }) => sum + changed.size, 0);
  }

  /** Whether the waiting rows should be written before more events are folded: too many wait, or for too long. */
  get isFull(): boolean {
    return this.pending >= GATHER_ROWS || performance.now() - this.#writtenAt >= GATHER_MS;
  }

  /** Whether folded commits wait to be written. */
  get isBehind(): boolean {
    return this.#places.some(({ folded, written }) => folded.position > written.position);
  }

  /**
   * Begins to fold one more projection, and to do so starts again at the checkpoints. Those of its table may
   * be behind: the others skip what they hold.
   */
  async adopt(projection: AnyProjection): Promise<void> {
    await this.#store.prepare(projection.model);
    await this.#begin([projection]);
  }

  /** Stops to fold a projection, and drops its unwritten rows. */
  release({ model }: AnyProjection): void {
    this.#work = this.#work.filter((work) => tableOf(work.projection.model) !== tableOf(model));
  }

  /**
   * Folds consecutive commits of one partition, and skips those that it has seen. Throws `RangeError` on a
   * gap, and the errors of the store and the projections.
   */
  async fold(commits: readonly DecodedCommit[]): Promise<void> {
    const [first] = commits;
    if (!first) return;
    const { partition } = first;
    const { folded, written } = this.#place(partition);
    if (first.position > folded.position + 1)
      throw new RangeError(`commit ${first.position} of partition ${partition} leaves a gap`);
    const fresh = commits.filter((commit) => commit.position > folded.position);
    const last = fresh.at(-1);
    if (!last) return;
    const events = fresh.flatMap((commit) => commit.events);
    await Promise.all(this.#work.map((work) => this.#foldInto(work, partition, events)));
    this.#places[partition] = { folded: { position: last.position, size: last.size }, written };
  }

  /** Writes what is folded. Returns how far the partitions that have advanced are written now. */
  async write(): Promise<Advance[]> {
    this.#writtenAt = performance.now();
    const [work, { tables }] = [this.#work, this];
    const advanced = this.partitions.flatMap((partition) => {
      const { folded, written } = this.#place(partition);
      return folded.position > written.position ? [{ partition, tables, ...folded }] : [];
    });
    if (advanced.length === 0) return [];
    await this.#store.write(
      work.map(({ projection: { model }, changed }) => ({ model, rows: [...changed.values()] })),
      advanced,
    );
    for (const one of work) {
      for (const row of one.changed.values()) keep(one, row);
      one.changed.clear();
    }
    this.#places = this.#places.map(({ folded }) => ({ folded, written: folded }));
    return advanced.map(({ partition, size }) => ({ partition, size }));
  }

  /**
   * Begins one partition again at the store's checkpoint, and drops its rows from memory. Needed because
   * another process has folded it meanwhile. Returns how far it is written.
   */
  async renew(partition: number): Promise<Advance> {
    const stored = await this.#store.checkpoints([partition]);
    this.#work = this.#work.map((work) => {
      for (const rows of work.cache ? [work.changed, work.cache] : [work.changed])
        for (const [key, row] of [...rows.entries()]) if (row.partition === partition) rows.delete(key);
      const { size } = foldedBy(stored, [tableOf(work.projection.model)], partition);
      return { ...work, from: work.from.with(partition, size) };
    });
    const at = foldedBy(stored, this.tables, partition);
    this.#places[partition] = { folded: at, written: at };
    return { partition, size: at.size };
  }

  /** Drops everything in memory and begins again at the store's checkpoints. */
  reset(): Promise<void> {
    return this.#begin([]);
  }

  #place(partition: number): Place {
    const place = this.#places[partition];
    if (!place) throw new RangeError(`there is no partition ${partition}`);
    return place;
  }

  async #begin(added: readonly AnyProjection[]): Promise<void> {
    const stored = await this.#store.checkpoints();
    // Read only now: a projection may have been released meanwhile.
    this.#work = [...this.#work.map(({ projection }) => projection), ...added].map((projection) => ({
      projection,
      changed: new Map(),
      cache: undefined,
      from: this.partitions.map((partition) => foldedBy(stored, [tableOf(projection.model)], partition).size),
    }));
    this.#places = this.partitions.map((partition) => {
      const at = foldedBy(stored, this.tables, partition);
      return { folded: at, written: at };
    });
  }

  async #foldInto(work: Work, partition: number, events: readonly Folded[]): Promise<void> {
    const { projection, changed } = work;
    const from = work.from[partition] ?? 0;
    const fresh = (events[0]?.offset ?? from) < from ? events.filter(({ offset }) => offset >= from) : events;
    const touching = selectTouching(projection, fresh);
    if (touching.length === 0) return;
    const loaded = await this.#load(work, touching);
    await projection.prepare?.(fresh, valuesOf(loaded.values()));
    foldTouching(projection, touching, (key) => loaded.get(key), changed);
  }

  /** Reads the rows that the events change, except those that they make. */
  async #load({ projection, changed, cache }: Work, touching: readonly TouchingEvent[]): Promise<Rows> {
    const rows: Rows = new Map();
    const absent = new Set<string>();
    for (const { event, keys } of touching) {
      if (projection.creates?.(event)) continue;
      for (const key of keys) {
        if (changed.has(key) || rows.has(key)) continue;
        const row = cache?.get(key);
        if (row) rows.set(key, row);
        else absent.add(key);
      }
    }
    if (absent.size === 0) return rows;
    // A table holds rows of its own model, and only the projection reads their values.
    const found = await this.#store.get(projection.model as Model<unknown>, [...absent]);
    for (const [key, row] of found) rows.set(key, row);
    return rows;
  }
}

/** Keeps a written row for later events, if there will be some. */
function keep(work: Work, row: Row<unknown>): void {
  if (row.value !== null && work.projection.isRarelyChanged?.(row.value)) {
    work.cache?.delete(row.key);
    return;
  }
  work.cache ??= new LRUCache<string, Row<unknown>>({ max: CACHED_ROWS });
  work.cache.set(row.key, row);
}

/** A step of catching up pauses other work for some tens of milliseconds. Many rows in one write cost less each. */
const STEP_ROWS = 1024;
const STEP_MS = 30;
const STEP_COMMITS = 16;

/**
 * Folds the next commits of each partition, whichever process owns it, for at most `ms` and up to about 1,000 rows,
 * then writes. Resolves to whether there may be more. Throws the errors of the log and the projector.
 */
export async function foldNext(projector: Projector, log: CommitSource, ms = STEP_MS): Promise<boolean> {
  const until = performance.now() + ms;
  for (;;) {
    const isMore = await foldPage(projector, log);
    if (isMore && projector.pending < STEP_ROWS && performance.now() < until) continue;
    // Nothing may wait in memory between two steps: a user may be erased there.
    await projector.write();
    return isMore;
  }
}

async function foldPage(projector: Projector, log: CommitSource): Promise<boolean> {
  const places = projector.partitions.map((partition) => ({
    partition,
    after: projector.position(partition),
  }));
  const commits = await readNextRetryingHole(log, places, STEP_COMMITS);
  const pages = places.map(({ partition }) => commits.filter((commit) => commit.partition === partition));
  for (const page of pages) await projector.fold(page.map(decodeCommit));
  return isCut(commits) || pages.some(({ length }) => length === STEP_COMMITS);
}
