import { LRUCache } from 'lru-cache';
import { type DecodedCommit, decodeCommit, type LogSource, readRetryingHole } from './commitBuffer.js';
import { type AnyProjection, collectKeys, foldTouching, type Rows, selectTouching } from './projection.js';
import type { Checkpoint, Model, ModelWrite, Row, RowStore } from './store/rowStore.js';

/** Rows at hand for the next events that touch them; others are loaded. */
const CACHED_ROWS = 20_000;

/** A model has been written up to a size of a partition. */
export interface Advance {
  readonly projection: AnyProjection;
  readonly partition: number;
  readonly size: number;
}

interface Place {
  readonly folded: Checkpoint;
  readonly written: Checkpoint;
}

/** One projection in work: its place in each partition, and rows that are not written yet. */
interface Work {
  readonly projection: AnyProjection;
  readonly places: Place[];
  readonly changed: Rows;
}

/**
 * Folds commits into rows, in memory, until `write`. Its place is what the store's checkpoints say: after any
 * error call `reset`, and give it the commits from `position` again. Calls must not overlap.
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

  /** Makes the models' tables if absent, and begins where their checkpoints are. */
  static async open(
    store: RowStore,
    projections: readonly AnyProjection[],
    partitions: number,
  ): Promise<Projector> {
    const projector = new Projector(store, partitions);
    for (const projection of projections) await projector.adopt(projection);
    return projector;
  }

  /** Where the next commit of the partition must follow: the place of the projection that is least far. */
  position(partition: number): number {
    return Math.min(...this.#work.map(({ places }) => placeIn(places, partition).folded.position));
  }

  /** Tree sizes of the partition up to which every projection has folded, and written. */
  sizes(partition: number): { folded: number; written: number } {
    const places = this.#work.map(({ places }) => placeIn(places, partition));
    return {
      folded: Math.min(...places.map(({ folded }) => folded.size)),
      written: Math.min(...places.map(({ written }) => written.size)),
    };
  }

  /** How far this projection is written, by partition, as the store's checkpoints say. */
  written(projection: AnyProjection): readonly number[] {
    const work = this.#work.find((candidate) => candidate.projection === projection);
    return work?.places.map(({ written }) => written.size) ?? [];
  }

  /** Whether it folds this projection. */
  has(projection: AnyProjection): boolean {
    return this.#work.some((work) => work.projection === projection);
  }

  /** Rows that wait to be written. */
  get pending(): number {
    return this.#work.reduce((sum, { changed }) => sum + changed.size, 0);
  }

  /** Whether something is folded that is not written. */
  get isBehind(): boolean {
    return this.#work.some(({ places }) =>
      places.some(({ folded, written }) => folded.position > written.position),
    );
  }

  /** Begins to fold one more projection, from its own checkpoints on. */
  async adopt(projection: AnyProjection): Promise<void> {
    await this.#store.prepare(projection.model);
    this.#work.push(await this.#begin(projection));
  }

  /** Folds this one no more; what of it is not written is dropped. */
  release(projection: AnyProjection): void {
    this.#work = this.#work.filter((work) => work.projection !== projection);
  }

  /**
   * Folds commits that follow each other in one partition; a projection that has seen some of them skips those.
   * Throws `RangeError` on a gap; what the store or a projection throws otherwise.
   */
  async fold(commits: readonly DecodedCommit[]): Promise<void> {
    const [first] = commits;
    if (!first) return;
    if (first.position > this.position(first.partition) + 1)
      throw new RangeError(`commit ${first.position} of partition ${first.partition} leaves a gap`);
    await Promise.all(this.#work.map((work) => this.#foldInto(work, first.partition, commits)));
  }

  /** Writes what is folded, with pauses as of `RowStore.write`. Gives how far the models are written now. */
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
   * Begins one partition again at the store's checkpoints and forgets its rows, for another process has folded it in
   * the meantime. Gives how far it is written.
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

  /** Drops all that is in memory and begins again at the store's checkpoints. */
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
    // A table's rows are of its model; the projection alone looks into them.
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

/** So many are read at once; fewer, and the end of the log is there. */
const PAGE_COMMITS = 64;

/** Folds and writes what the log holds of these many partitions, whoever else folds them. Throws what these throw. */
export async function catchUp(projector: Projector, log: LogSource, partitions: number): Promise<void> {
  for (let partition = 0; partition < partitions; partition++)
    for (let isMore = true; isMore; ) {
      const commits = await readRetryingHole(log, partition, projector.position(partition), PAGE_COMMITS);
      await projector.fold(commits.map(decodeCommit));
      await projector.write();
      isMore = commits.length === PAGE_COMMITS;
    }
}
