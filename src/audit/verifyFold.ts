import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { LogEndsEarly } from '../log/check.js';
import { type Frame, frameOf } from '../projections/frame.js';
import type { AnyProjection, Folded } from '../projections/projection.js';
import { Projector } from '../projections/projector.js';
import type { Checkpoint, RowStore } from '../projections/rows.js';
import { openSqliteRows } from '../projections/rowsSqlite.js';
import { compareInserted } from './compareRows.js';
import { countOf, projectionOf, storedModel, type Target, versionsOf } from './freshModels.js';
import type { SourceLog } from './source.js';
import type { StoredRows } from './storedRows.js';
import { Contradiction, type Wrong, wrongOf } from './wrong.js';

/** Commits are read so many at once: few, so that what is made of them dies young. */
const PAGE = 16;

/**
 * Two shares of the work on a partition, which two threads can do at once: rows that events change, with the versions
 * of streams, are folded into a file; rows that are written once are compared in passing, and only counted in it.
 */
export type Share = 'changed' | 'inserted';

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

/** One projection, which is folded up to where the stored one is. */
interface Work {
  readonly name: string;
  readonly projector: Projector;
  readonly upTo: Checkpoint;
  /** Compares rows that are written once with the stored ones. */
  compare?(events: readonly Folded[]): Promise<void>;
}

/** What is folded, from where, and into which directory. */
export interface FoldOptions {
  readonly log: SourceLog;
  readonly stored: StoredRows;
  readonly directory: string;
  readonly partition: number;
  readonly share: Share;
  readonly targets: readonly Target[];
  /** The log's, up to which stream versions are checked. */
  readonly end: Checkpoint;
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
    const { partition } = options;
    this.#end = Math.max(0, ...works.map(({ upTo }) => upTo.position));
    const unfinished = works.map(({ projector, upTo }) => {
      const at = projector.position(partition);
      return at < upTo.position ? at : this.#end;
    });
    this.#position = Math.min(this.#end, ...unfinished);
  }

  /** Throws what the files throw. */
  static async open(options: FoldOptions): Promise<PartitionFold> {
    const { directory, partition, share, log } = options;
    const file = scratchFile(directory, share, partition);
    const scratch = openSqliteRows(file);
    const works: Work[] = [];
    for (const { projection, ...work } of share === 'changed' ? changedOf(options) : insertedOf(options))
      works.push({ ...work, projector: await Projector.open(scratch, [projection], log.partitions) });
    // The store has fallen back behind an earlier check: what that has folded is of no use.
    if (works.some(({ projector, upTo }) => projector.position(partition) > upTo.position)) {
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
      for (const { projector } of this.works) await projector.write();
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

type Planned = Omit<Work, 'projector'> & { readonly projection: AnyProjection };

const upToOf = ({ checkpoints }: Target, partition: number): Checkpoint =>
  checkpoints[partition] ?? { position: 0, size: 0 };

function changedOf({ log, partition, targets, end }: FoldOptions): Planned[] {
  const versions = { name: 'stream versions', projection: versionsOf(log.partitions), upTo: end };
  const models = targets.map((target) => ({
    name: target.name,
    projection: projectionOf(target),
    upTo: upToOf(target, partition),
  }));
  return [versions, ...models.filter(({ projection }) => !projection.model.insertOnly)];
}

function insertedOf({ stored, partition, targets }: FoldOptions): Planned[] {
  return targets.flatMap((target) => {
    const projection = projectionOf(target);
    if (!projection.model.insertOnly) return [];
    const model = storedModel(target);
    return {
      name: target.name,
      projection: countOf(projection),
      upTo: upToOf(target, partition),
      compare: (events: readonly Folded[]) => compareInserted(stored, projection, model, events),
    };
  });
}
