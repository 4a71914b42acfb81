import type { StoredRow } from '../projections/sqliteReads.js';
import type { Remote } from '../threads/rpc.js';
import type { Crew } from './crew.js';
import type { Target } from './freshModels.js';
import { Meter, type OnProgress } from './progress.js';
import type { Made } from './verifyState.js';
import type { VerifyApi } from './verifyWorker.js';
import type { Wrong } from './wrong.js';

/** What is known of tables whose rows are written once, when each of these rows has been compared with its event. */
export interface WrittenOnce {
  /** Stored rows by partition, or why they cannot be counted; by table. */
  readonly counts: ReadonlyMap<string, number[] | Wrong>;
  /** Rows that the events have made, by partition. */
  readonly made: readonly Made[];
}

/** How many rows of a table were compared, and what is wrong with them. */
interface Compared {
  readonly rows: number;
  readonly wrong?: Wrong | undefined;
}

/** Compares tables with fresh folds of the log: those whose rows are written once by their number alone. */
export async function compareTables(
  crew: Crew<VerifyApi>,
  targets: readonly Target[],
  { counts, made }: WrittenOnce,
  onProgress: OnProgress | undefined,
): Promise<(Compared & { readonly name: string })[]> {
  const meter = new Meter('tables', targets.length, onProgress);
  const tables = targets.map(({ name }): Compared & { name: string } => ({ name, rows: 0 }));
  await crew.all(
    targets.map((target, i) => async (worker) => {
      const { name } = target;
      const stored = counts.get(name);
      const expected = made.map((rows) => rows[name] ?? 0);
      const compared = stored
        ? await compareCounts(worker, target, stored, expected)
        : await compareAll(worker, target);
      tables[i] = { name, ...compared };
      meter.add(1);
    }),
  );
  return tables;
}

/** Each row that an event made has been compared: one that none made is one too many. */
async function compareCounts(
  worker: Remote<VerifyApi>,
  target: Target,
  stored: number[] | Wrong,
  made: readonly number[],
): Promise<Compared> {
  if (!Array.isArray(stored)) return { rows: 0, wrong: stored };
  const rows = stored.reduce((sum, count) => sum + count, 0);
  const isAsMade = made.every((count, partition) => stored[partition] === count);
  return isAsMade ? { rows } : { rows, wrong: await worker.unmade(target) };
}

/** Page by page. Rows that are ahead of their checkpoint are kept until the end: as many as change during the check. */
async function compareAll(worker: Remote<VerifyApi>, target: Target): Promise<Compared> {
  const met = target.checkpoints.map(() => 0);
  const ahead = new Map<number, StoredRow[]>();
  let rows = 0;
  for (let after: string | undefined; ; ) {
    const step = await worker.compare(target, after);
    rows += step.rows;
    if (step.wrong) return { rows, wrong: step.wrong };
    for (const [partition, count] of step.met.entries()) met[partition] = (met[partition] ?? 0) + count;
    for (const row of step.ahead) ahead.set(row[1], [...(ahead.get(row[1]) ?? []), row]);
    after = step.next;
    if (after === undefined) break;
  }
  const missing = await worker.missing(target, met);
  if (missing) return { rows, wrong: missing };
  for (const [partition, group] of ahead) {
    const wrong = await worker.ahead(target, partition, group);
    if (wrong) return { rows, wrong };
  }
  return { rows };
}
