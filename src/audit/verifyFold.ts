import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Recorded } from '../events/types.js';
import { LogEndsEarly } from '../log/check.js';
import { type Frame, frameOf } from '../projections/frame.js';
import type { AnyProjection } from '../projections/projection.js';
import { Projector } from '../projections/projector.js';
import type { Checkpoint, RowStore } from '../projections/rows.js';
import { openSqliteRows } from '../projections/rowsSqlite.js';
import { compareInserted } from './compareRows.js';
import { countOf, projectionOf, storedModel, type Target, versionsOf } from './freshModels.js';
import type { SourceLog } from './source.js';
import type { StoredRows } from './storedRows.js';
import { Contradiction, type Wrong, wrongOf } from './wrong.js';

/** Commits are read so many at once. */
const PAGE = 256;

/** The file into which a partition is folded anew. */
export const scratchFile = (directory: string, partition: number): string =>
  join(directory, `rows-${partition}.db`);

/** How far a fresh fold has come, and what it ran into. */
export interface FoldStep {
  /** Of the partition's events. */
  readonly size: number;
  readonly isDone: boolean;
  readonly wrong?: Wrong;
}

/** One projection, which is folded up to where the stored one is. */
interface Work {
  readonly name: string;
  readonly projector: Projector;
  readonly upTo: Checkpoint;
  /** Compares rows that are written once with the stored ones. */
  compare?(events: readonly Recorded[]): Promise<void>;
}

/** What is folded, from where, and into which directory. */
export interface FoldOptions {
  readonly log: SourceLog;
  readonly stored: StoredRows;
  readonly directory: string;
  readonly partition: number;
  readonly targets: readonly Target[];
  /** The log's, up to which stream versions are checked. */
  readonly end: Checkpoint;
}

/**
 * Folds a partition anew into a file, each read model exactly as far as it is stored, and the versions of its streams
 * to the end; memory does not grow with the log. Rows that are written once are compared on the way. A file that is
 * there already is gone on with.
 */
export class PartitionFold {
  #position: number;
  #size = 0;

  private constructor(
    private readonly options: FoldOptions,
    private readonly scratch: RowStore,
    private readonly works: readonly Work[],
  ) {
    const { partition } = options;
    const unfinished = works.map(({ projector, upTo }) => {
      const at = projector.position(partition);
      return at < upTo.position ? at : options.end.position;
    });
    this.#position = Math.min(...unfinished);
  }

  /** Throws what the files throw. */
  static async open(options: FoldOptions): Promise<PartitionFold> {
    const { directory, partition, targets, end, log } = options;
    const scratch = openSqliteRows(scratchFile(directory, partition));
    const begin = async (name: string, projection: AnyProjection, upTo: Checkpoint): Promise<Work> => ({
      name,
      upTo,
      projector: await Projector.open(scratch, [projection], log.partitions),
    });
    const works = [await begin('stream versions', versionsOf(log.partitions), end)];
    for (const target of targets) {
      const projection = projectionOf(target);
      const upTo = target.checkpoints[partition] ?? { position: 0, size: 0 };
      if (projection.model.insertOnly) {
        const work = await begin(target.name, countOf(projection), upTo);
        const model = storedModel(target);
        works.push({
          ...work,
          compare: (events) => compareInserted(options.stored, projection, model, events),
        });
      } else works.push(await begin(target.name, projection, upTo));
    }
    // The store has fallen back behind an earlier check: what that has folded is of no use.
    if (works.some(({ projector, upTo }) => projector.position(partition) > upTo.position)) {
      await scratch.close();
      rmSync(scratchFile(directory, partition));
      return PartitionFold.open(options);
    }
    return new PartitionFold(options, scratch, works);
  }

  /** Folds about so many events more. */
  async step(events: number): Promise<FoldStep> {
    const { partition, end } = this.options;
    const until = this.#size + events;
    try {
      while (this.#position < end.position && this.#size < until) await this.#page();
      for (const { projector } of this.works) await projector.write();
      return { size: this.#size, isDone: this.#position >= end.position };
    } catch (error) {
      const wrong = wrongOf(error, partition, this.#position);
      return { size: this.#size, isDone: true, wrong };
    }
  }

  close(): Promise<void> {
    return this.scratch.close();
  }

  async #page(): Promise<void> {
    const { log, partition, end } = this.options;
    const limit = Math.min(PAGE, end.position - this.#position);
    const commits = await log.read(partition, this.#position, limit);
    const last = commits.at(-1);
    if (!last) throw new LogEndsEarly(partition, this.#position);
    const frames = commits.map(frameOf);
    for (const work of this.works) await this.#give(work, frames);
    this.#position = last.position;
    this.#size = last.size;
  }

  async #give({ name, projector, upTo, compare }: Work, frames: readonly Frame[]): Promise<void> {
    const { partition } = this.options;
    const from = projector.position(partition);
    const fresh = frames.filter(({ position }) => position > from && position <= upTo.position);
    const last = fresh.at(-1);
    if (!last) return;
    if (last.position === upTo.position && last.size !== upTo.size) {
      const what = `the read model ${name} holds partition ${partition} up to position ${upTo.position} as ${upTo.size} events: there are ${last.size}`;
      throw new Contradiction({ what, partition, position: last.position });
    }
    await compare?.(fresh.flatMap(({ events }) => events));
    await projector.fold(fresh);
  }
}
