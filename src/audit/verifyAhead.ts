import { foldTouching, keysTouched, type Rows, touchingOf } from '../projections/fold.js';
import { frameOf } from '../projections/frame.js';
import type { StoredRow } from '../projections/sqliteReads.js';
import { compareRow, unmade } from './compareRows.js';
import { projectionOf, storedModel, type Target } from './freshModels.js';
import type { TableParts } from './verifyTable.js';
import type { Wrong } from './wrong.js';

/** Commits are read so many at once. */
const AHEAD_PAGE = 64;

/**
 * Judges rows of one partition that were stored at events beyond the checkpoint: a row's value at an event is a
 * function of the log alone, and whoever stores rows folds whole commits. So the fold goes on from the checkpoint,
 * commit by commit, until each has been met as it was.
 */
export async function judgeAhead(
  { log, fresh }: TableParts,
  target: Target,
  partition: number,
  rows: readonly StoredRow[],
): Promise<Wrong | undefined> {
  const projection = projectionOf(target);
  const table = storedModel(target);
  const waiting = new Map(rows.map((row) => [row[0], row]));
  const changed: Rows = new Map();
  let position = target.checkpoints[partition]?.position ?? 0;
  while (waiting.size > 0) {
    const commits = await log.read(partition, position, AHEAD_PAGE);
    if (commits.length === 0) break;
    for (const commit of commits) {
      const { events } = frameOf(commit);
      const touching = touchingOf(projection, events);
      const keys = keysTouched(touching);
      await load(keys, changed);
      foldTouching(projection, touching, () => undefined, changed);
      for (const key of keys) {
        const row = waiting.get(key);
        const now = changed.get(key);
        if (!row || !now || now.offset < row[2]) continue;
        const value = now.value === null ? null : JSON.stringify(now.value);
        const wrong = compareRow(table, row, [key, partition, now.offset, value]);
        if (wrong) return wrong;
        waiting.delete(key);
      }
      position = commit.position;
    }
  }
  const [left] = waiting.values();
  return left && unmade(table, left);

  async function load(keys: ReadonlySet<string>, into: Rows): Promise<void> {
    const absent = [...keys].filter((key) => !into.has(key));
    for (const [key, , offset, text] of (await fresh[partition]?.get(projection.model, absent)) ?? [])
      into.set(key, { key, partition, offset, value: text === null ? null : JSON.parse(text) });
  }
}
