import type { Frame } from '../projections/frame.js';
import type { AnyProjection } from '../projections/projection.js';
import { Projector } from '../projections/projector.js';
import type { Checkpoint, RowStore } from '../projections/rows.js';
import { compareInserted } from './compareRows.js';
import { countModel, projectionOf, storedModel, type Target, versionsOf } from './freshModels.js';
import type { SourceLog } from './source.js';
import type { StoredRows } from './storedRows.js';

/**
 * Two shares of the work on a partition, which two threads can do at once and which take about as long: rows that events
 * change are folded into a file; rows that are written once are compared in passing and only counted in it, and beside
 * them the versions of streams are checked.
 */
export type Share = 'changed' | 'inserted';

/** One piece of the work: what is folded or compared up to where the stored read model is. */
export interface Work {
  readonly name: string;
  readonly upTo: Checkpoint;
  /** Of the last commit it was given. */
  position(): number;
  give(frames: readonly Frame[]): Promise<void>;
  /** Keeps what has been done. */
  write(): Promise<unknown>;
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

const upToOf = ({ checkpoints }: Target, partition: number): Checkpoint =>
  checkpoints[partition] ?? { position: 0, size: 0 };

/** Folds the read models whose rows change. */
export async function changedOf(options: FoldOptions, scratch: RowStore): Promise<Work[]> {
  const works: Work[] = [];
  for (const target of options.targets)
    if (!projectionOf(target).model.insertOnly)
      works.push(
        await foldOf(options, scratch, target.name, projectionOf(target), upToOf(target, options.partition)),
      );
  return works;
}

async function foldOf(
  { log, partition }: FoldOptions,
  scratch: RowStore,
  name: string,
  projection: AnyProjection,
  upTo: Checkpoint,
): Promise<Work> {
  const projector = await Projector.open(scratch, [projection], log.partitions);
  return {
    ...{ name, upTo },
    position: () => projector.position(partition),
    give: (frames) => projector.fold(frames),
    write: () => projector.write(),
  };
}

/**
 * Compares rows that are written once with those that are stored, and counts them; folds the versions of streams up to
 * the end of the log.
 */
export async function insertedOf(options: FoldOptions, scratch: RowStore): Promise<Work[]> {
  const { stored, log, partition, targets, end } = options;
  const works = [await foldOf(options, scratch, 'stream versions', versionsOf(log.partitions), end)];
  for (const target of targets) {
    const projection = projectionOf(target);
    if (!projection.model.insertOnly) continue;
    const table = storedModel(target);
    const counted = countModel(target);
    const key = String(partition);
    await scratch.prepare(counted);
    let at = await scratch.checkpoint(counted, partition);
    let count = (await scratch.get(counted, [key])).get(key)?.value ?? 0;
    works.push({
      ...{ name: target.name, upTo: upToOf(target, partition) },
      position: () => at.position,
      async give(frames) {
        count += await compareInserted(
          stored,
          projection,
          table,
          frames.flatMap(({ events }) => events),
        );
        at = frames.at(-1) ?? at;
      },
      async write() {
        const row = { key, partition, offset: at.size, value: count };
        const { position, size } = at;
        const checkpoints = [{ partition, at: { position, size } }];
        await scratch.write([{ model: counted, rows: [row], checkpoints }]);
      },
    });
  }
  return works;
}
