import { isDeepStrictEqual } from 'node:util';
import type { Remote, WorkerPool } from '../../base/workerThreads.js';
import type { Head } from '../../log/commit.js';
import { rootOf } from '../../log/merkle.js';
import type { StoredRow } from '../../projections/store/sqliteReads.js';
import { hasNames } from './checkTables.js';
import { type ComparedModel, isMadeOnce } from './comparedModels.js';
import { type CheckedPartition, Meter, type Mismatch, type OnProgress, type Report } from './report.js';
import {
  SECTION_EVENTS,
  type Section,
  type SectionResult,
  type SectionToCheck,
  sectionsOf,
} from './verifySection.js';
import { findMissedHead, type RowCounts, type VerifyStart, type VerifyState } from './verifyState.js';
import type { VerifyApi } from './verifyWorker.js';

/** What a table whose rows one event makes holds beside what is compared with that event. */
interface WholeTable {
  /** The stored rows of each partition and of none, or why they cannot be counted. */
  readonly count: number[] | Mismatch;
  /** The mismatch of its indexes. It counts only if all else is as it must be. */
  readonly indexes: Mismatch | undefined;
}

/** Tables whose rows one event makes; each row was compared with that event. */
export interface WrittenOnce {
  readonly whole: ReadonlyMap<string, WholeTable>;
  /** By partition, the rows that events make. */
  readonly made: readonly RowCounts[];
}

/** The number of compared rows of a table, and the first mismatch. */
interface Compared {
  readonly rows: number;
  readonly mismatch?: Mismatch | undefined;
}

/**
 * Compares tables with fresh folds of the log. Of tables whose rows one event makes,
 * only the number of rows and those that changed later are left to compare.
 */
async function compareTables(
  pool: WorkerPool<VerifyApi>,
  comparedModels: readonly ComparedModel[],
  { whole, made }: WrittenOnce,
  onProgress: OnProgress | undefined,
): Promise<(Compared & { readonly name: string })[]> {
  const meter = new Meter('tables', comparedModels.length, onProgress);
  const tables = comparedModels.map(({ name }): Compared & { name: string } => ({ name, rows: 0 }));
  await pool.runAll(
    comparedModels.map((comparedModel, i) => async (worker) => {
      const { name } = comparedModel;
      const { count, indexes } = whole.get(name) ?? {};
      const expected = made.map((rows) => rows[name] ?? 0);
      const compared = count
        ? await compareCounts(worker, comparedModel, count, expected)
        : await compareAll(worker, comparedModel);
      // Indexes of names need the vault, which is compared later.
      const isLeft = !count && !hasNames(comparedModel) && !compared.mismatch;
      const wrongIndexes = isLeft ? await worker.indexes(comparedModel) : indexes;
      tables[i] = { name, ...compared, mismatch: compared.mismatch ?? wrongIndexes };
      meter.add(1);
    }),
  );
  return tables;
}

/**
 * Every row that an event makes was compared, so a larger number means a row without an event. A smaller one
 * means that rows have changed since the start.
 */
async function compareCounts(
  worker: Remote<VerifyApi>,
  comparedModel: ComparedModel,
  stored: number[] | Mismatch,
  made: readonly number[],
): Promise<Compared> {
  if (!Array.isArray(stored)) return { rows: 0, mismatch: stored };
  const rows = stored.reduce((sum, count) => sum + count, 0);
  const isMore = stored.some((count, partition) => count > (made[partition] ?? 0));
  return {
    rows,
    mismatch: isMore ? await worker.rowWithoutEvent(comparedModel) : await worker.changed(comparedModel),
  };
}

/**
 * Compares page by page. Rows ahead of their checkpoint wait until the end; these are the rows that change
 * during the check.
 */
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

/** The state of a partition's check, with its first mismatch. */
interface PartitionState {
  head: Head;
  made: RowCounts;
  /** In the log. */
  mismatch?: Mismatch;
  /** In the rows. */
  rowMismatch?: Mismatch;
  /** Resolves when the last section that was begun has finished its turn. */
  turn: Promise<void>;
}

/**
 * Runs a check in phases; after a mismatch the next phase does not begin. Several threads check sections of a
 * partition at once. Their results are taken in order, and each section must begin where the one before has
 * ended.
 */
export class VerifyRun {
  readonly #places: readonly PartitionState[];
  readonly #whole = new Map<string, WholeTable>();

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
    const before = this.#firstMismatch();
    const made = this.#places.map((place) => place.made);
    const { pool, begun, options } = this;
    const tables = before
      ? []
      : await compareTables(pool, begun.comparedModels, { whole: this.#whole, made }, options.onProgress);
    const mismatch = before ?? tables.find((table) => table.mismatch)?.mismatch;
    return {
      partitions: this.#places.map(({ head }) => checkedPartition(head)),
      models: tables.map(({ name, rows }, i) => ({
        name,
        rows,
        missing: this.#missingIn(begun.comparedModels[i]),
      })),
      ...(mismatch ? { mismatch } : {}),
    };
  }

  #missingIn(comparedModel: ComparedModel | undefined): number {
    const { ends } = this.begun;
    return ends.reduce(
      (sum, { size }, partition) => sum + size - (comparedModel?.checkpoints[partition]?.size ?? 0),
      0,
    );
  }

  /** A mismatch in the log comes first, because it explains mismatches in rows. */
  #firstMismatch(): Mismatch | undefined {
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
    const checks = sections.map(
      ({ place, section }) =>
        (worker: Remote<VerifyApi>) =>
          this.#checkInTurn(worker, place, section, meter),
    );
    // In the middle: at the end, most threads would wait for the one that has the largest table.
    const half = Math.floor(checks.length / 2);
    await this.pool.runAll([...checks.slice(0, half), ...this.#readWholeTables(), ...checks.slice(half)]);
    for (const [partition, place] of this.#places.entries()) {
      if (place.mismatch) continue;
      const own = trustedHeads.filter((trusted) => trusted.partition === partition);
      const missed = findMissedHead(own, place.head) ?? this.#findLostCommits(place.head);
      if (missed) place.mismatch = missed;
    }
  }

  /** Reads each row of the largest tables. */
  #readWholeTables(): ((worker: Remote<VerifyApi>) => Promise<void>)[] {
    return this.begun.comparedModels.filter(isMadeOnce).map((comparedModel) => async (worker) => {
      const count = await worker.count(comparedModel);
      this.#whole.set(comparedModel.name, { count, indexes: await worker.indexes(comparedModel) });
    });
  }

  /** Sections begin in their order, so the section that this one waits for is already running. */
  #checkInTurn(
    worker: Remote<VerifyApi>,
    place: PartitionState,
    section: Section,
    meter: Meter,
  ): Promise<void> {
    const { turn: before } = place;
    const turn = this.#check(worker, place, section, before, meter);
    place.turn = turn;
    // The next section, or the pool, throws the error.
    turn.catch(() => {});
    return turn;
  }

  async #check(
    worker: Remote<VerifyApi>,
    place: PartitionState,
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
      else this.#record(place, found);
    }
    meter.add(place.head.size - size);
  }

  #toCheck({ head, rowMismatch }: PartitionState, section: Section): SectionToCheck {
    return {
      ...section,
      ...(head.position === section.after ? { from: head } : {}),
      trustedHeads: this.begun.trustedHeads.filter(({ partition }) => partition === section.partition),
      comparedModels: this.begun.comparedModels,
      skipsRows: rowMismatch !== undefined,
    };
  }

  #record(place: PartitionState, { head, made }: SectionResult): void {
    const sums = Object.entries(made).map(([name, count]) => [name, (place.made[name] ?? 0) + count]);
    place.made = { ...place.made, ...Object.fromEntries(sums) };
    this.state.record(head, place.made);
  }

  /** The mismatch of read models that were folded from commits missing in the log. */
  #findLostCommits({ partition, position }: Head): Mismatch | undefined {
    const { comparedModels } = this.begun;
    const ahead = comparedModels.find(
      ({ checkpoints }) => (checkpoints[partition]?.position ?? 0) > position,
    );
    if (!ahead) return undefined;
    const folded = ahead.checkpoints[partition]?.position;
    const what = `partition ${partition} ends at position ${position}, but the read model ${ahead.name} was folded up to ${folded}`;
    return { what, partition, position: position + 1 };
  }
}

/** Whether a section begins where the one before has ended. */
const isFollowing = (head: Head, { from }: SectionResult): boolean => isDeepStrictEqual(from, head);

function checkFollows(head: Head, found: SectionResult): Mismatch | undefined {
  if (isFollowing(head, found)) return undefined;
  const { partition, position } = head;
  const what = `the commit at position ${position} of partition ${partition} differs between two reads`;
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
