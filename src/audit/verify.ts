import { emptyHead, type Head } from '../log/commit.js';
import type { Hash } from '../log/log.js';
import { rootOf } from '../log/merkle.js';
import type { Engine } from '../projections/engine.js';
import type { Checkpoint } from '../projections/rows.js';
import type { StoredRow } from '../projections/sqliteReads.js';
import type { Remote } from '../threads/rpc.js';
import { Crew } from './crew.js';
import { projectionOf, type Target, targetsOf } from './freshModels.js';
import { Meter, type OnProgress } from './progress.js';
import { openSource, type SourceLog } from './source.js';
import { openStoredRows } from './storedRows.js';
import { firstMissed, type Witness } from './verifyChain.js';
import { VerifyState } from './verifyState.js';
import type { VerifyApi, VerifyThreadData } from './verifyWorker.js';
import { type Noted, witnessesOf } from './witness.js';
import { type Wrong, wrongOf } from './wrong.js';

/** What is checked, and against what. */
export interface VerifyOptions extends Noted {
  readonly engine: Engine;
  /** A directory for what has been done, so that a check that was broken off goes on; emptied at its end. */
  readonly state?: string;
  readonly onProgress?: OnProgress;
}

/** What was found. */
export interface Report {
  readonly partitions: readonly CheckedPartition[];
  /** By read model how many of its rows were compared. */
  readonly models: readonly { readonly name: string; readonly rows: number }[];
  /** The first wrong place; absent: none. What comes after it was not looked at. */
  readonly wrong?: Wrong;
}

/** A partition as far as nothing is wrong in it. */
export interface CheckedPartition {
  readonly partition: number;
  readonly events: number;
  /** The time of the last of them; empty if there is none. */
  readonly until: string;
  readonly root: Hash;
  /** A bundle has no commits. */
  readonly commits?: number;
  /** The last commit's. */
  readonly hash?: Hash;
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

/**
 * Computes the log anew, every leaf, root, hash, stream version, position, epoch and time, compares it with signed heads, and
 * compares the read models with a fresh fold. Changes nothing of the system, and may run beside it: each part is checked
 * as far as it was stored when the check began. Rejects with what a store throws that does not answer.
 */
export async function verifyLog(options: VerifyOptions): Promise<Report> {
  const { witnesses, wrong } = witnessesOf(options);
  if (wrong) return { partitions: [], models: [], wrong };
  const log = await openSource(options.engine);
  const stored = await openStoredRows(options.engine);
  let state: VerifyState | undefined;
  let crew: Crew<VerifyApi> | undefined;
  try {
    // Before the tails: nothing may be stored or signed of what is beyond them.
    const targets = await targetsOf(stored, log.partitions);
    const ends: Checkpoint[] = [];
    for (let partition = 0; partition < log.partitions; partition++) {
      const end = await endOf(log, partition);
      if ('what' in end) return { partitions: [], models: [], wrong: end };
      ends.push(end);
    }
    state = VerifyState.open(log.id, log.partitions, witnesses, options.state);
    const data: VerifyThreadData = { engine: options.engine, directory: state.directory };
    crew = new Crew<VerifyApi>(new URL('./verifyWorker.js', import.meta.url), data);
    const check = new Check(crew, state, targets, ends, witnesses, options.onProgress);
    const report = await check.run();
    await crew.close();
    crew = undefined;
    state.discard();
    state = undefined;
    return report;
  } finally {
    await crew?.close();
    state?.leave();
    await stored.close();
    await log.close();
  }
}

/** Where a partition ends now; what is wrong if its last commit cannot be read. */
async function endOf(log: SourceLog, partition: number): Promise<Checkpoint | Wrong> {
  try {
    const tail = await log.tail(partition);
    return { position: tail?.position ?? 0, size: tail?.size ?? 0 };
  } catch (error) {
    const { what } = wrongOf(error, partition, 0);
    return { partition, what: `the last commit of partition ${partition} cannot be read: ${what}` };
  }
}

/** One check in its phases; after a wrong place there is no next phase. */
class Check {
  readonly #wrong: { readonly inLog: (Wrong | undefined)[]; readonly inRows: (Wrong | undefined)[] } = {
    inLog: [],
    inRows: [],
  };

  constructor(
    private readonly crew: Crew<VerifyApi>,
    private readonly state: VerifyState,
    private readonly targets: readonly Target[],
    private readonly ends: readonly Checkpoint[],
    private readonly witnesses: readonly Witness[],
    private readonly onProgress: OnProgress | undefined,
  ) {}

  async run(): Promise<Report> {
    await this.#checkPartitions();
    const rows = new Map<string, number>();
    if (!this.#first()) await this.#compareTables(rows);
    const wrong = this.#first();
    return {
      partitions: this.state.heads.map(checkedPartition),
      models: [...rows].map(([name, count]) => ({ name, rows: count })),
      ...(wrong ? { wrong } : {}),
    };
  }

  /** What is wrong in the log comes first: rows that are folded from it say no more. */
  #first(): Wrong | undefined {
    const { inLog, inRows } = this.#wrong;
    return [...inLog, ...inRows].find((wrong) => wrong !== undefined);
  }

  /** Folding takes longer than hashing, so it is begun first. */
  async #checkPartitions(): Promise<void> {
    const events = this.ends.reduce((sum, { size }) => sum + size, 0);
    const hashed = this.state.heads.reduce((sum, { size }) => sum + size, 0);
    const meter = new Meter('log and read models', 2 * events, this.onProgress, hashed);
    const partitions = [...this.ends.keys()];
    await this.crew.all([
      ...partitions.map((partition) => (worker: Remote<VerifyApi>) => this.#fold(worker, partition, meter)),
      ...partitions.map((partition) => (worker: Remote<VerifyApi>) => this.#hash(worker, partition, meter)),
    ]);
  }

  async #hash(worker: Remote<VerifyApi>, partition: number, meter: Meter): Promise<void> {
    const end = this.#endOf(partition);
    const witnesses = this.witnesses.filter((witness) => witness.partition === partition);
    let head: Head = this.state.heads[partition] ?? emptyHead(partition);
    do {
      const step = await worker.chain(head, end.position, witnesses);
      meter.add(step.head.size - head.size);
      head = step.head;
      this.state.reached(head);
      if (step.wrong) {
        this.#wrong.inLog[partition] = step.wrong;
        return;
      }
    } while (head.position < end.position);
    const missed = firstMissed(witnesses, head) ?? this.#lost(head);
    if (missed) this.#wrong.inLog[partition] = missed;
  }

  /** The read models were folded from commits that the log has no more. */
  #lost({ partition, position }: Head): Wrong | undefined {
    const ahead = this.targets.find(({ checkpoints }) => (checkpoints[partition]?.position ?? 0) > position);
    if (!ahead) return undefined;
    const folded = ahead.checkpoints[partition]?.position;
    const what = `partition ${partition} ends at position ${position}: the read model ${ahead.name} was folded up to ${folded}`;
    return { what, partition, position: position + 1 };
  }

  async #fold(worker: Remote<VerifyApi>, partition: number, meter: Meter): Promise<void> {
    for (let size = 0; ; ) {
      const step = await worker.fold(partition, this.targets, this.#endOf(partition));
      meter.add(step.size - size);
      size = step.size;
      if (step.wrong) this.#wrong.inRows[partition] = step.wrong;
      if (step.isDone) return;
    }
  }

  async #compareTables(compared: Map<string, number>): Promise<void> {
    const meter = new Meter('tables', this.targets.length, this.onProgress);
    await this.crew.all(
      this.targets.map((target, i) => async (worker) => {
        const { rows, wrong } = projectionOf(target).model.insertOnly
          ? await worker.unmade(target)
          : await compareAll(worker, target);
        compared.set(target.name, rows);
        // Behind those of the partitions, of which there is none when it comes to this.
        this.#wrong.inRows[this.ends.length + i] = wrong;
        meter.add(1);
      }),
    );
  }

  #endOf(partition: number): Checkpoint {
    return this.ends[partition] ?? { position: 0, size: 0 };
  }
}

/** Page by page. Rows that are ahead of their checkpoint are kept until the end: as many as change during the check. */
async function compareAll(
  worker: Remote<VerifyApi>,
  target: Target,
): Promise<{ rows: number; wrong?: Wrong | undefined }> {
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
