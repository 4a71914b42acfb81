import { LRUCache } from 'lru-cache';
import { type CommitSource, type DecodedCommit, decodeCommit, readRetryingHole } from './commitBuffer.js';
import { type AnyProjection, collectKeys, foldTouching, type Rows, selectTouching } from './projection.js';
import type { Checkpoint, Model, ModelWrite, Row, RowStore } from './store/rowStore.js';

/** Rows kept in memory for later events; other rows are loaded. */
const CACHED_ROWS = 20_000;

/** The size of a partition up to which a projection is written. */
export interface Advance {
  readonly projection: AnyProjection;
  readonly partition: number;
  readonly size: number;
}

interface Place {
  readonly folded: Checkpoint;
  readonly written: Checkpoint;
}

/** A projection's place in each partition, and its rows that are not written yet. */
interface Work {
  readonly projection: AnyProjection;
  readonly places: Place[];
  readonly changed: Rows;
}

/**
 * Folds commits into rows in memory until `write`. It starts at the store's checkpoints. After any error call
 * `reset`, then fold the commits behind `position` again. Calls must not overlap.
 */
export class Projector {
  readonly #store: RowStore;
  readonly #partitions: number;
  #work: Work[] = [];
  readonly #cache = new LRUCache<string, Row<unknown>>({ max: CACHED_ROWS });

  private constructor(store: RowStore, partitions: number) {
    this.#store = store;
    this.#partitions = partitions;
  }

  /** Creates missing tables, and begins at the checkpoints. */
  static async open(
    store: RowStore,
    projections: readonly AnyProjection[],
    partitions: number,
  ): Promise<Projector> {
    const projector = new Projector(store, partitions);
    for (const projection of projections) await projector.adopt(projection);
    return projector;
  }

  /**
   * The position behind which the next commit of the partition must come. It is the least of all projections.
   */
  position(partition: number): number {
    return Math.min(...this.#work.map(({ places }) => placeIn(places, partition).folded.position));
  }

  /** Tree sizes of the partition that every projection has folded, and written. */
  sizes(partition: number): { folded: number; written: number } {
    const places = this.#work.map(({ places }) => placeIn(places, partition));
    return {
      folded: Math.min(...places.map(({ folded }) => folded.size)),
      written: Math.min(...places.map(({ written }) => written.size)),
    };
  }

  /** The tree sizes up to which this projection is written, by partition. */
  written(projection: AnyProjection): readonly number[] {
    const work = this.#work.find((candidate) => candidate.projection === projection);
    return work?.places.map(({ written }) => written.size) ?? [];
  }

  /** Whether the projector folds this projection. */
  has(projection: AnyProjection): boolean {
    return this.#work.some((work) => work.projection === projection);
  }

  /** The number of rows that wait to be written. */
  get pending(): number {
    return this.#work.reduce((sum, { changed }) => sum + changed.size, 0);
  }

  /** Whether folded commits wait to be written. */
  get isBehind(): boolean {
    return this.#work.some(({ places }) =>
      places.some(({ folded, written }) => folded.position > written.position),
    );
  }

  /** Begins to fold one more projection, at its own checkpoints. */
  async adopt(projection: AnyProjection): Promise<void> {
    await this.#store.prepare(projection.model);
    this.#work.push(await this.#begin(projection));
  }

  /** Stops to fold a projection, and drops its unwritten rows. */
  release(projection: AnyProjection): void {
    this.#work = this.#work.filter((work) => work.projection !== projection);
  }

  /**
   * Folds consecutive commits of one partition. A projection skips commits that it has seen. Throws
   * `RangeError` on a gap, and the errors of the store and the projections.
   */
  async fold(commits: readonly DecodedCommit[]): Promise<void> {
    const [first] = commits;
    if (!first) return;
    if (first.position > this.position(first.partition) + 1)
      throw new RangeError(`commit ${first.position} of partition ${first.partition} leaves a gap`);
    await Promise.all(this.#work.map((work) => this.#foldInto(work, first.partition, commits)));
  }

  /**
   * Writes what is folded; `pause` is that of `RowStore.write`. Returns how far the projections are written
   * now.
   */
  async write(pause?: () => Promise<void> | undefined): Promise<Advance[]> {
    const writes = this.#work.map(modelWrite).filter((write) => write.checkpoints.length > 0);
    if (writes.length === 0) return [];
    await this.#store.write(writes, pause);
    const advances: Advance[] = [];
    for (const { projection, places, changed } of this.#work) {
      if (!projection.model.insertOnly) for (const row of changed.values()) this.#keep(projection, row);
      changed.clear();
      places.forEach(({ folded, written }, partition) => {
        if (folded.position > written.position) advances.push({ projection, partition, size: folded.size });
        places[partition] = { folded, written: folded };
      });
    }
    return advances;
  }

  /**
   * Begins one partition again at the store's checkpoints, and drops its rows from memory. Needed because
   * another process has folded it meanwhile. Returns how far it is written.
   */
  async renew(partition: number): Promise<Advance[]> {
    const cached = [...this.#cache.entries()].filter(([, row]) => row.partition === partition);
    for (const [key] of cached) this.#cache.delete(key);
    return Promise.all(
      this.#work.map(async ({ projection, places, changed }) => {
        for (const [key, row] of changed) if (row.partition === partition) changed.delete(key);
        const at = await this.#store.checkpoint(projection.model, partition);
        places[partition] = { folded: at, written: at };
        return { projection, partition, size: at.size };
      }),
    );
  }

  /** Drops everything in memory and begins again at the store's checkpoints. */
  async reset(): Promise<void> {
    this.#cache.clear();
    this.#work = await Promise.all(this.#work.map(({ projection }) => this.#begin(projection)));
  }

  #keep(projection: AnyProjection, row: Row<unknown>): void {
    const key = cacheKey(projection, row.key);
    if (row.value !== null && projection.isFinished?.(row.value)) this.#cache.delete(key);
    else this.#cache.set(key, row);
  }

  async #begin(projection: AnyProjection): Promise<Work> {
    const places = await Promise.all(
      Array.from({ length: this.#partitions }, async (_, partition): Promise<Place> => {
        const at = await this.#store.checkpoint(projection.model, partition);
        return { folded: at, written: at };
      }),
    );
    return { projection, places, changed: new Map() };
  }

  async #foldInto(work: Work, partition: number, commits: readonly DecodedCommit[]): Promise<void> {
    const { projection, places, changed } = work;
    const { folded, written } = placeIn(places, partition);
    const fresh = commits.filter((commit) => commit.position > folded.position);
    const last = fresh.at(-1);
    if (!last) return;
    const events = fresh.flatMap((commit) => commit.events);
    await projection.prepare?.(events);
    const touching = selectTouching(projection, events);
    if (touching.length > 0) {
      const loaded = await this.#load(work, collectKeys(touching));
      foldTouching(projection, touching, (key) => loaded.get(key), changed);
    }
    places[partition] = { folded: { position: last.position, size: last.size }, written };
  }

  async #load({ projection, changed }: Work, keys: ReadonlySet<string>): Promise<Rows> {
    const rows: Rows = new Map();
    if (projection.model.insertOnly) return rows;
    const absent: string[] = [];
    for (const key of keys) {
      if (changed.has(key)) continue;
      const row = this.#cache.get(cacheKey(projection, key));
      if (row) rows.set(key, row);
      else absent.push(key);
    }
    if (absent.length === 0) return rows;
    // A table holds rows of its own model, and only the projection reads their values.
    const found = await this.#store.get(projection.model as Model<unknown>, absent);
    for (const [key, row] of found) rows.set(key, row);
    return rows;
  }
}

function modelWrite({ projection, places, changed }: Work): ModelWrite {
  const checkpoints = places.flatMap(({ folded, written }, partition) =>
    folded.position > written.position ? [{ partition, at: folded }] : [],
  );
  return { model: projection.model, rows: [...changed.values()], checkpoints };
}

const cacheKey = ({ model }: AnyProjection, key: string): string => `${model.name}/${model.version}/${key}`;

function placeIn(places: readonly Place[], partition: number): Place {
  const place = places[partition];
  if (!place) throw new RangeError(`there is no partition ${partition}`);
  return place;
}

/** Commits of one read. A shorter page is the end of the log. */
const PAGE_COMMITS = 64;

/**
 * Folds and writes the rest of the log in all partitions, whichever process owns them. Throws the errors of
 * the log and the projector.
 */
export async function catchUp(projector: Projector, log: CommitSource, partitions: number): Promise<void> {
  for (let partition = 0; partition < partitions; partition++)
    for (let isMore = true; isMore; ) {
      const commits = await readRetryingHole(log, partition, projector.position(partition), PAGE_COMMITS);
      await projector.fold(commits.map(decodeCommit));
      await projector.write();
      isMore = commits.length === PAGE_COMMITS;
    }
}
