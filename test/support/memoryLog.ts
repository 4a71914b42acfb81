import { buildCommit, headFrom } from '../../src/log/commit.js';
import {
  AppendError,
  type Commit,
  type EventLog,
  type Outcome,
  type Place,
  type PlaceAfter,
  readEach,
  StorageError,
} from '../../src/log/log.js';

/**
 * What happens to an append: it is stored; another writer's commit with these leaves is there first; the store
 * fails before or after storing it; or the process dies before or after, and the caller never hears of it.
 */
export type Step =
  | { readonly kind: 'store' | 'fail' | 'store and fail' | 'die' | 'store and die' }
  | { readonly kind: 'lose'; readonly leaves: (commit: Commit) => readonly string[] };

/** An event log in memory whose appends go as `script` says; all are stored if there is none. */
export class MemoryLog implements EventLog {
  readonly id = '11111111-1111-4111-8111-111111111111';
  readonly history = '22222222-2222-4222-8222-222222222222';
  readonly #commits: Commit[][];
  script: (commit: Commit) => Step | Promise<Step> = () => ({ kind: 'store' });

  constructor(readonly partitions = 1) {
    this.#commits = Array.from({ length: partitions }, () => []);
  }

  /** All commits of a partition, in order. */
  commits(partition = 0): Commit[] {
    const commits = this.#commits[partition];
    if (!commits) throw new RangeError(`there is no partition ${partition}`);
    return commits;
  }

  /** Another writer's commit at the next position, with an epoch above all. */
  rival(leaves: readonly string[], partition = 0): Commit {
    const commits = this.commits(partition);
    const head = headFrom(partition, commits);
    const { recordedAt, position } = head;
    const { commit } = buildCommit({
      head,
      id: `rival ${position}`,
      epoch: head.epoch + 1,
      recordedAt,
      leaves,
    });
    commits.push(commit);
    return commit;
  }

  async append(commit: Commit): Promise<Outcome> {
    const commits = this.commits(commit.partition);
    const step = await this.script(commit);
    if (step.kind === 'die') return new Promise(() => {});
    if (step.kind === 'fail') throw new StorageError('the disk failed');
    if (step.kind === 'lose') this.rival(step.leaves(commit), commit.partition);
    const there = commits[commit.position - 1];
    if (there) return { kind: 'lost', to: there };
    if (commit.position !== commits.length + 1) throw new AppendError('this is not the next position');
    commits.push(structuredClone(commit));
    if (step.kind === 'store and die') return new Promise(() => {});
    if (step.kind === 'store and fail') throw new StorageError('the disk failed');
    return { kind: 'committed' };
  }

  async read(partition: number, after: number, limit: number): Promise<Commit[]> {
    return this.commits(partition).slice(after, after + limit);
  }

  readNext(places: readonly PlaceAfter[], limit: number): Promise<Commit[]> {
    return readEach(this, places, limit);
  }

  async places(partition: number, positions: readonly number[]): Promise<Place[]> {
    return this.commits(partition)
      .filter(({ position }) => positions.includes(position))
      .map(({ position, recordedAt, firstOffset, size }) => ({ position, recordedAt, firstOffset, size }));
  }

  async tail(partition: number): Promise<Commit | undefined> {
    return this.commits(partition).at(-1);
  }

  async close(): Promise<void> {}
}
