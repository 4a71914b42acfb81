import { isDeepStrictEqual } from 'node:util';
import type { Remote, WorkerPool } from '../../base/rpc.js';
import type { Head } from '../../log/commit.js';
import { rootOf } from '../../log/merkle.js';
import type { StoredRow } from '../../projections/store/sqliteReads.js';
import { type ComparedModel, projectionOf } from './comparedModels.js';
import { type CheckedPartition, Meter, type Mismatch, type OnProgress, type Report } from './report.js';
import { firstMissed } from './verifyChain.js';
import {
  SECTION_EVENTS,
  type Section,
  type SectionResult,
  type SectionToCheck,
  sectionsOf,
} from './verifySection.js';
import type { RowCounts, VerifyStart, VerifyState } from './verifyState.js';
import type { VerifyApi } from './verifyWorker.js';

/** What is known of tables whose rows are written once, when each of these rows has been compared with its event. */
export interface WrittenOnce {
  /** Stored rows by partition, or why they cannot be counted; by table. */
  readonly counts: ReadonlyMap<string, number[] | Mismatch>;
  /** Rows that the events have made, by partition. */
  readonly made: readonly RowCounts[];
}

/** How many rows of a table were compared, and what is wrong with them. */
interface Compared {
  readonly rows: number;
  readonly mismatch?: Mismatch | undefined;
}

/** Compares tables with fresh folds of the log: those whose rows are written once by their number alone. */
async function compareTables(
  pool: WorkerPool<VerifyApi>,
  comparedModels: readonly ComparedModel[],
  { counts, made }: WrittenOnce,
  onProgress: OnProgress | undefined,
): Promise<(Compared & { readonly name: string })[]> {
  const meter = new Meter('tables', comparedModels.length, onProgress);
  const tables = comparedModels.map(({ name }): Compared & { name: string } => ({ name, rows: 0 }));
  await pool.runAll(
    comparedModels.map((comparedModel, i) => async (worker) => {
      const { name } = comparedModel;
      const stored = counts.get(name);
      const expected = made.map((rows) => rows[name] ?? 0);
      const compared = stored
        ? await compareCounts(worker, comparedModel, stored, expected)
        : await compareAll(worker, comparedModel);
      tables[i] = { name, ...compared };
      meter.add(1);
    }),
  );
  return tables;
}

/** Each row that an event made has been compared: one that none made is one too many. */
async function compareCounts(
  worker: Remote<VerifyApi>,
  comparedModel: ComparedModel,
  stored: number[] | Mismatch,
  made: readonly number[],
): Promise<Compared> {
  if (!Array.isArray(stored)) return { rows: 0, mismatch: stored };
  const rows = stored.reduce((sum, count) => sum + count, 0);
  const isAsMade = made.every((count, partition) => stored[partition] === count);
  return isAsMade ? { rows } : { rows, mismatch: await worker.rowWithoutEvent(comparedModel) };
}

/** Page by page. Rows that are ahead of their checkpoint are kept until the end: as many as change during the check. */
async function compareAll(worker: Remote<VerifyApi>, comparedModel: ComparedModel): Promise<Compared> {
  const met = comparedModel.checkpoints.map(() => 0);
  const ahead = new Map<number, StoredRow[]>();
  let rows = 0;
  for (let after: string | undefined; ; ) {
    const step = await worker.compare(comparedModel, after);
    rows += step.rows;
    if (step.mismatch) return { rows, mismatch: step.mismatch };
    for (const [partition, count] of step.met.entries()) met[partition] = (met[partition] ?? 0) + count;
    for (const row of step.ahead) ahead.set(row[1], [...(ahead.get(row[1]) ?? []), row]);
    after = step.next;
    if (after === undefined) break;
  }
  const missing = await worker.missing(comparedModel, met);
  if (missing) return { rows, mismatch: missing };
  for (const [partition, group] of ahead) {
    const mismatch = await worker.ahead(comparedModel, partition, group);
    if (mismatch) return { rows, mismatch };
  }
  return { rows };
}

/** How far a partition has come; of what is wrong, the first. */
interface Place {
  head: Head;
  made: RowCounts;
  /** With the log. */
  mismatch?: Mismatch;
  /** With rows. */
  rowMismatch?: Mismatch;
  /** Resolves once the last section that was begun has had its turn. */
  turn: Promise<void>;
}

/**
 * One check in its phases; after a wrong place there is no next phase. Sections of a partition are checked by several
 * threads at once, and then taken in their order: each must begin where the one before it has ended.
 */
export class VerifyRun {
  readonly #places: readonly Place[];
  readonly #counts = new Map<string, number[] | Mismatch>();

  constructor(
    private readonly pool: WorkerPool<VerifyApi>,
    private readonly state: VerifyState,
    private readonly begun: VerifyStart,
    private readonly options: { readonly onProgress?: OnProgress; readonly sectionEvents?: number },
  ) {
    this.#places = state.heads.map((head, partition) => ({
      head,
      made: state.made[partition] ?? {},
      turn: Promise.resolve(),
    }));
  }

  async run(): Promise<Report> {
    await this.#checkPartitions();
    const before = this.#firstWrong();
    const made = this.#places.map((place) => place.made);
    const { pool, begun, options } = this;
    const tables = before
      ? []
      : await compareTables(pool, begun.comparedModels, { counts: this.#counts, made }, options.onProgress);
    const mismatch = before ?? tables.find((table) => table.mismatch)?.mismatch;
    return {
      partitions: this.#places.map(({ head }) => checkedPartition(head)),
      models: tables.map(({ name, rows }) => ({ name, rows })),
      ...(mismatch ? { mismatch } : {}),
    };
  }

  /** What is wrong in the log comes first: rows that are folded from it say no more. */
  #firstWrong(): Mismatch | undefined {
    const found = [
      ...this.#places.map(({ mismatch }) => mismatch),
      ...this.#places.map(({ rowMismatch }) => rowMismatch),
    ];
    return found.find((mismatch) => mismatch !== undefined);
  }

  async #checkPartitions(): Promise<void> {
    const { ends, trustedHeads } = this.begun;
    const { sectionEvents = SECTION_EVENTS } = this.options;
    const events = ends.reduce((sum, { size }) => sum + size, 0);
    const checked = this.#places.reduce((sum, { head }) => sum + head.size, 0);
    const meter = new Meter('log and read models', events, this.options.onProgress, checked);
    const sections = this.#places.flatMap((place, partition) => {
      const end = ends[partition];
      return end ? sectionsOf(place.head, end, sectionEvents).map((section) => ({ place, section })) : [];
    });
    await this.pool.runAll([
      ...sections.map(
        ({ place, section }) =>
          (worker: Remote<VerifyApi>) =>
            this.#inTurn(worker, place, section, meter),
      ),
      ...this.#countTables(),
    ]);
    for (const [partition, place] of this.#places.entries()) {
      if (place.mismatch) continue;
      const own = trustedHeads.filter((trusted) => trusted.partition === partition);
      const missed = firstMissed(own, place.head) ?? this.#lost(place.head);
      if (missed) place.mismatch = missed;
    }
  }

  /** Beside the last sections: what is counted does not change, and takes a while. */
  #countTables(): ((worker: Remote<VerifyApi>) => Promise<void>)[] {
    const insertOnly = this.begun.comparedModels.filter(
      (comparedModel) => projectionOf(comparedModel).model.insertOnly,
    );
    return insertOnly.map((comparedModel) => async (worker) => {
      this.#counts.set(comparedModel.name, await worker.count(comparedModel));
    });
  }

  /** Sections are begun in their order, so whoever waits here waits for one that is at work. */
  #inTurn(worker: Remote<VerifyApi>, place: Place, section: Section, meter: Meter): Promise<void> {
    const { turn: before } = place;
    const turn = this.#check(worker, place, section, before, meter);
    place.turn = turn;
    // Whoever is next is told, and if there is none, the crew is.
    turn.catch(() => {});
    return turn;
  }

  async #check(
    worker: Remote<VerifyApi>,
    place: Place,
    section: Section,
    before: Promise<void>,
    meter: Meter,
  ): Promise<void> {
    if (place.mismatch) return;
    const found = await worker.check(this.#toCheck(place, section));
    await before;
    if (place.mismatch) return;
    const { size } = place.head;
    const mismatch = found.mismatch ?? checkFollows(place.head, found);
    if (!mismatch || isFollowing(place.head, found)) place.head = found.head;
    if (mismatch) place.mismatch = mismatch;
    else if (!place.rowMismatch) {
      const rowMismatch = found.rowMismatch ?? (await worker.fold());
      if (rowMismatch) place.rowMismatch = rowMismatch;
      else this.#reached(place, found);
    }
    meter.add(place.head.size - size);
  }

  #toCheck({ head, rowMismatch }: Place, section: Section): SectionToCheck {
    return {
      ...section,
      ...(head.position === section.after ? { from: head } : {}),
      trustedHeads: this.begun.trustedHeads.filter(({ partition }) => partition === section.partition),
      comparedModels: this.begun.comparedModels,
      skipsRows: rowMismatch !== undefined,
    };
  }

  #reached(place: Place, { head, made }: SectionResult): void {
    const sums = Object.entries(made).map(([name, count]) => [name, (place.made[name] ?? 0) + count]);
    place.made = { ...place.made, ...Object.fromEntries(sums) };
    this.state.reached(head, place.made);
  }

  /** The read models were folded from commits that the log has no more. */
  #lost({ partition, position }: Head): Mismatch | undefined {
    const { comparedModels } = this.begun;
    const ahead = comparedModels.find(
      ({ checkpoints }) => (checkpoints[partition]?.position ?? 0) > position,
    );
    if (!ahead) return undefined;
    const folded = ahead.checkpoints[partition]?.position;
    const what = `partition ${partition} ends at position ${position}: the read model ${ahead.name} was folded up to ${folded}`;
    return { what, partition, position: position + 1 };
  }
}

/** Whether a section begins where the one before it has ended. */
const isFollowing = (head: Head, { from }: SectionResult): boolean => isDeepStrictEqual(from, head);

function checkFollows(head: Head, found: SectionResult): Mismatch | undefined {
  if (isFollowing(head, found)) return undefined;
  const { partition, position } = head;
  const what = `the commit at position ${position} of partition ${partition} is not the same each time it is read`;
  return { what, partition, position };
}

const checkedPartition = ({
  partition,
  position,
  size,
  recordedAt,
  frontier,
  hash,
}: Head): CheckedPartition => ({
  partition,
  events: size,
  until: recordedAt,
  root: rootOf(frontier),
  commits: position,
  hash,
});
