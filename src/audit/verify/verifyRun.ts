import { isDeepStrictEqual } from 'node:util';
import type { Remote, WorkerPool } from '../../base/rpc.js';
import type { Head } from '../../log/commit.js';
import { rootOf } from '../../log/merkle.js';
import type { StoredRow } from '../../projections/store/sqliteReads.js';
import { projectionOf, type Target } from './comparedModels.js';
import { type CheckedPartition, Meter, type OnProgress, type Report, type Wrong } from './report.js';
import { firstMissed } from './verifyChain.js';
import {
  type Found,
  SECTION_EVENTS,
  type Section,
  type SectionToCheck,
  sectionsOf,
} from './verifySection.js';
import type { Begun, Made, VerifyState } from './verifyState.js';
import type { VerifyApi } from './verifyWorker.js';

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
async function compareTables(
  crew: WorkerPool<VerifyApi>,
  targets: readonly Target[],
  { counts, made }: WrittenOnce,
  onProgress: OnProgress | undefined,
): Promise<(Compared & { readonly name: string })[]> {
  const meter = new Meter('tables', targets.length, onProgress);
  const tables = targets.map(({ name }): Compared & { name: string } => ({ name, rows: 0 }));
  await crew.runAll(
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

/** How far a partition has come; of what is wrong, the first. */
interface Place {
  head: Head;
  made: Made;
  /** With the log. */
  wrong?: Wrong;
  /** With rows. */
  inRows?: Wrong;
  /** Resolves once the last section that was begun has had its turn. */
  turn: Promise<void>;
}

/**
 * One check in its phases; after a wrong place there is no next phase. Sections of a partition are checked by several
 * threads at once, and then taken in their order: each must begin where the one before it has ended.
 */
export class VerifyRun {
  readonly #places: readonly Place[];
  readonly #counts = new Map<string, number[] | Wrong>();

  constructor(
    private readonly crew: WorkerPool<VerifyApi>,
    private readonly state: VerifyState,
    private readonly begun: Begun,
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
    const { crew, begun, options } = this;
    const tables = before
      ? []
      : await compareTables(crew, begun.targets, { counts: this.#counts, made }, options.onProgress);
    const wrong = before ?? tables.find((table) => table.wrong)?.wrong;
    return {
      partitions: this.#places.map(({ head }) => checkedPartition(head)),
      models: tables.map(({ name, rows }) => ({ name, rows })),
      ...(wrong ? { wrong } : {}),
    };
  }

  /** What is wrong in the log comes first: rows that are folded from it say no more. */
  #firstWrong(): Wrong | undefined {
    const found = [...this.#places.map(({ wrong }) => wrong), ...this.#places.map(({ inRows }) => inRows)];
    return found.find((wrong) => wrong !== undefined);
  }

  async #checkPartitions(): Promise<void> {
    const { ends, witnesses } = this.begun;
    const { sectionEvents = SECTION_EVENTS } = this.options;
    const events = ends.reduce((sum, { size }) => sum + size, 0);
    const checked = this.#places.reduce((sum, { head }) => sum + head.size, 0);
    const meter = new Meter('log and read models', events, this.options.onProgress, checked);
    const sections = this.#places.flatMap((place, partition) => {
      const end = ends[partition];
      return end ? sectionsOf(place.head, end, sectionEvents).map((section) => ({ place, section })) : [];
    });
    await this.crew.runAll([
      ...sections.map(
        ({ place, section }) =>
          (worker: Remote<VerifyApi>) =>
            this.#inTurn(worker, place, section, meter),
      ),
      ...this.#countTables(),
    ]);
    for (const [partition, place] of this.#places.entries()) {
      if (place.wrong) continue;
      const own = witnesses.filter((witness) => witness.partition === partition);
      const missed = firstMissed(own, place.head) ?? this.#lost(place.head);
      if (missed) place.wrong = missed;
    }
  }

  /** Beside the last sections: what is counted does not change, and takes a while. */
  #countTables(): ((worker: Remote<VerifyApi>) => Promise<void>)[] {
    const insertOnly = this.begun.targets.filter((target) => projectionOf(target).model.insertOnly);
    return insertOnly.map((target) => async (worker) => {
      this.#counts.set(target.name, await worker.count(target));
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
    if (place.wrong) return;
    const found = await worker.check(this.#toCheck(place, section));
    await before;
    if (place.wrong) return;
    const { size } = place.head;
    const wrong = found.wrong ?? notBehind(place.head, found);
    if (!wrong || isBehind(place.head, found)) place.head = found.head;
    if (wrong) place.wrong = wrong;
    else if (!place.inRows) {
      const inRows = found.inRows ?? (await worker.fold());
      if (inRows) place.inRows = inRows;
      else this.#reached(place, found);
    }
    meter.add(place.head.size - size);
  }

  #toCheck({ head, inRows }: Place, section: Section): SectionToCheck {
    return {
      ...section,
      ...(head.position === section.after ? { from: head } : {}),
      witnesses: this.begun.witnesses.filter(({ partition }) => partition === section.partition),
      targets: this.begun.targets,
      isOfCommitsOnly: inRows !== undefined,
    };
  }

  #reached(place: Place, { head, made }: Found): void {
    const sums = Object.entries(made).map(([name, count]) => [name, (place.made[name] ?? 0) + count]);
    place.made = { ...place.made, ...Object.fromEntries(sums) };
    this.state.reached(head, place.made);
  }

  /** The read models were folded from commits that the log has no more. */
  #lost({ partition, position }: Head): Wrong | undefined {
    const { targets } = this.begun;
    const ahead = targets.find(({ checkpoints }) => (checkpoints[partition]?.position ?? 0) > position);
    if (!ahead) return undefined;
    const folded = ahead.checkpoints[partition]?.position;
    const what = `partition ${partition} ends at position ${position}: the read model ${ahead.name} was folded up to ${folded}`;
    return { what, partition, position: position + 1 };
  }
}

/** Whether a section begins where the one before it has ended. */
const isBehind = (head: Head, { from }: Found): boolean => isDeepStrictEqual(from, head);

function notBehind(head: Head, found: Found): Wrong | undefined {
  if (isBehind(head, found)) return undefined;
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
