import { emptyHead, type Head } from '../log/commit.js';
import { rootOf } from '../log/merkle.js';
import type { Checkpoint } from '../projections/rows.js';
import type { StoredRow } from '../projections/sqliteReads.js';
import type { Remote } from '../threads/rpc.js';
import type { Crew } from './crew.js';
import type { Share } from './foldWork.js';
import { projectionOf, type Target } from './freshModels.js';
import { Meter, type OnProgress } from './progress.js';
import type { CheckedPartition, Report } from './report.js';
import { firstMissed, type Witness } from './verifyChain.js';
import type { VerifyState } from './verifyState.js';
import type { VerifyApi } from './verifyWorker.js';
import type { Wrong } from './wrong.js';

/** One check in its phases; after a wrong place there is no next phase. */
export class VerifyRun {
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
    const meter = new Meter('log and read models', 3 * events, this.onProgress, hashed);
    const each = (work: (worker: Remote<VerifyApi>, partition: number, meter: Meter) => Promise<void>) =>
      [...this.ends.keys()].map((partition) => (worker: Remote<VerifyApi>) => work(worker, partition, meter));
    await this.crew.all([
      ...each((...at) => this.#fold('inserted', ...at)),
      ...each((...at) => this.#fold('changed', ...at)),
      ...each((...at) => this.#hash(...at)),
    ]);
  }

  async #hash(worker: Remote<VerifyApi>, partition: number, meter: Meter): Promise<void> {
    const end = this.#endOf(partition);
    const witnesses = this.witnesses.filter((witness) => witness.partition === partition);
    let head: Head = this.state.heads[partition] ?? emptyHead(partition);
    do {
      const step = await worker.chain(head, end.position, witnesses);
      const events = step.head.size - head.size;
      head = step.head;
      this.state.reached(head);
      meter.add(events);
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

  async #fold(share: Share, worker: Remote<VerifyApi>, partition: number, meter: Meter): Promise<void> {
    for (let size = 0; ; ) {
      const step = await worker.fold(share, partition, this.targets, this.#endOf(partition));
      meter.add(step.size - size);
      size = step.size;
      if (step.wrong) this.#wrong.inRows[partition] ??= step.wrong;
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
