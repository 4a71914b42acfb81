import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { LogEndsEarly } from '../log/check.js';
import { type Frame, frameOf } from '../projections/frame.js';
import type { RowStore } from '../projections/rows.js';
import { openSqliteRows } from '../projections/rowsSqlite.js';
import { changedOf, type FoldOptions, insertedOf, type Share, type Work } from './foldWork.js';
import { Contradiction, type Wrong, wrongOf } from './wrong.js';

/** Commits are read so many at once: few, so that what is made of them dies young. */
const PAGE = 16;

/** Pages of a file that are kept at hand: a check runs beside a server, which has more use for memory. */
const CACHE_KIB = 8192;

/** The file into which a share of a partition is folded anew. */
export const scratchFile = (directory: string, share: Share, partition: number): string =>
  join(directory, `${share}-${partition}.db`);

/** How far a fresh fold has come, and what it ran into. */
export interface FoldStep {
  /** Of the partition's events. */
  readonly size: number;
  readonly isDone: boolean;
  readonly wrong?: Wrong;
}

/**
 * Folds a share of a partition anew into a file, each read model exactly as far as it is stored, and the versions of
 * its streams to the end; memory does not grow with the log. A file that is there already is gone on with.
 */
export class PartitionFold {
  #position: number;
  #size = 0;
  /** Where there is nothing more to do. */
  readonly #end: number;

  private constructor(
    private readonly options: FoldOptions,
    private readonly scratch: RowStore,
    private readonly works: readonly Work[],
  ) {
    this.#end = Math.max(0, ...works.map(({ upTo }) => upTo.position));
    const unfinished = works.map((work) => {
      const at = work.position();
      return at < work.upTo.position ? at : this.#end;
    });
    this.#position = Math.min(this.#end, ...unfinished);
  }

  /** Throws what the files throw. */
  static async open(options: FoldOptions): Promise<PartitionFold> {
    const { directory, partition, share } = options;
    const file = scratchFile(directory, share, partition);
    const scratch = openSqliteRows(file, CACHE_KIB);
    const works = await (share === 'changed' ? changedOf(options, scratch) : insertedOf(options, scratch));
    // The store has fallen back behind an earlier check: what that has folded is of no use.
    if (works.some((work) => work.position() > work.upTo.position)) {
      await scratch.close();
      rmSync(file);
      return PartitionFold.open(options);
    }
    return new PartitionFold(options, scratch, works);
  }

  /** Folds about so many events more. */
  async step(events: number): Promise<FoldStep> {
    const { partition } = this.options;
    const until = this.#size + events;
    try {
      while (this.#position < this.#end && this.#size < until) await this.#page();
      for (const work of this.works) await work.write();
      return { size: this.#size, isDone: this.#position >= this.#end };
    } catch (error) {
      const wrong = wrongOf(error, partition, this.#position);
      return { size: this.#size, isDone: true, wrong };
    }
  }

  close(): Promise<void> {
    return this.scratch.close();
  }

  async #page(): Promise<void> {
    const { log, partition } = this.options;
    const limit = Math.min(PAGE, this.#end - this.#position);
    const commits = await log.read(partition, this.#position, limit);
    const last = commits.at(-1);
    if (!last) throw new LogEndsEarly(partition, this.#position);
    const frames = commits.map(frameOf);
    for (const work of this.works) await this.#give(work, frames);
    this.#position = last.position;
    this.#size = last.size;
  }

  async #give(work: Work, frames: readonly Frame[]): Promise<void> {
    const { name, upTo } = work;
    const { partition } = this.options;
    const from = work.position();
    const fresh = frames.filter(({ position }) => position > from && position <= upTo.position);
    const last = fresh.at(-1);
    if (!last) return;
    if (last.position === upTo.position && last.size !== upTo.size) {
      const what = `the read model ${name} holds partition ${partition} up to position ${upTo.position} as ${upTo.size} events: there are ${last.size}`;
      throw new Contradiction({ what, partition, position: last.position });
    }
    await work.give(fresh);
  }
}
