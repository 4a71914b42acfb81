import type { Moment } from '../commands/commands.js';
import { overloaded } from '../errors.js';
import type { Time } from '../events/types.js';
import type { LeafCommit } from './frame.js';
import type { Progress } from './queries.js';

/** How long a query waits for its models, and how many may wait at once. */
const patienceMs = 5000;
const waitersMost = 10_000;
/** Commits a partition whose times are kept apart; beyond, they count as old as the last one kept. */
const timesMost = 1024;

interface Waiting {
  readonly model: string;
  readonly moment: Moment;
  readonly resolve: () => void;
}

interface WaiterOptions {
  /** Tree sizes that are folded at the start: by model, then by partition. */
  readonly folded: ReadonlyMap<string, readonly number[]>;
  /** Asks the projector to write, without delay, all of the partition below `size`. */
  readonly want: (partition: number, size: number) => void;
  /** Calls back once after so many milliseconds; returns the function that takes it back. */
  readonly setTimer?: (run: () => void, ms: number) => () => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

type AdvanceHandler = Parameters<Progress['onAdvance']>[0];

const systemTimer = (run: () => void, ms: number): (() => void) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/** How far the read models are, and who waits for them. */
export class Waiter implements Progress {
  readonly #options: WaiterOptions;
  readonly #folded: Map<string, number[]>;
  readonly #waiting = new Map<string, Set<Waiting>>();
  readonly #handlers = new Set<AdvanceHandler>();
  /** The largest size asked for, by partition. */
  readonly #asked = new Map<number, number>();
  /** Published and not yet folded everywhere, oldest first, by partition. */
  readonly #unfolded = new Map<number, { size: number; readonly recordedAt: Time }[]>();
  #behindSince: Time | undefined;
  #waiters = 0;

  constructor(options: WaiterOptions) {
    this.#options = options;
    this.#folded = new Map([...options.folded].map(([model, sizes]) => [model, [...sizes]]));
  }

  async reached(model: string, moment: Moment): Promise<void> {
    const { partition, size } = moment;
    if (this.folded(model, partition) >= size) return;
    if (this.#waiters >= waitersMost) throw overloaded('too many queries wait for the read models');
    this.#ask(partition, size);
    await this.#wait(model, moment);
  }

  lagMs(): number {
    const now = (this.#options.now ?? Date.now)();
    const times = [...this.#unfolded.values()].map((commits) => commits[0]?.recordedAt);
    const lags = [...times, this.#behindSince].map((time) =>
      time === undefined ? 0 : now - Date.parse(time),
    );
    return Math.max(0, ...lags);
  }

  folded(model: string, partition: number): number {
    const size = this.#folded.get(model)?.[partition];
    if (size === undefined) throw new RangeError(`no model ${model} is folded of partition ${partition}`);
    return size;
  }

  onAdvance(handler: AdvanceHandler): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** The projector has been told of this commit. */
  published({ partition, size, recordedAt }: Pick<LeafCommit, 'partition' | 'size' | 'recordedAt'>): void {
    if (size <= this.#foldedByAll(partition)) return;
    const commits = this.#unfolded.get(partition) ?? [];
    const last = commits.at(-1);
    if (last && commits.length >= timesMost) last.size = Math.max(last.size, size);
    else commits.push({ size, recordedAt });
    this.#unfolded.set(partition, commits);
  }

  /** The projector has written a model up to `size`. */
  advance(model: string, partition: number, size: number): void {
    const sizes = this.#folded.get(model);
    if (!sizes || size <= this.folded(model, partition)) return;
    sizes[partition] = size;
    this.#release(model, partition, size);
    const everywhere = this.#foldedByAll(partition);
    const commits = this.#unfolded.get(partition);
    while (commits?.[0] && commits[0].size <= everywhere) commits.shift();
    for (const handler of this.#handlers) handler(model, partition, size);
  }

  /** Since when the projector sees commits in the log that it has not folded. */
  behind(since: Time | undefined): void {
    this.#behindSince = since;
  }

  /** All that was published is in every model; `overloaded` after 5 s. */
  async flushed(): Promise<void> {
    const moments = [...this.#unfolded].map(([partition, commits]) => ({
      partition,
      size: Math.max(0, ...commits.map(({ size }) => size)),
    }));
    const models = [...this.#folded.keys()];
    await Promise.all(moments.flatMap((moment) => models.map((model) => this.reached(model, moment))));
  }

  #ask(partition: number, size: number): void {
    if (size <= (this.#asked.get(partition) ?? 0)) return;
    this.#asked.set(partition, size);
    this.#options.want(partition, size);
  }

  #wait(model: string, moment: Moment): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(model) ?? new Set();
      this.#waiting.set(model, waiting);
      const entry: Waiting = {
        model,
        moment,
        resolve: () => {
          cancel();
          leave();
          resolve();
        },
      };
      const leave = () => {
        waiting.delete(entry);
        this.#waiters--;
      };
      const cancel = (this.#options.setTimer ?? systemTimer)(() => {
        leave();
        reject(overloaded(`the read model ${model} is behind`));
      }, patienceMs);
      waiting.add(entry);
      this.#waiters++;
    });
  }

  #release(model: string, partition: number, size: number): void {
    for (const { moment, resolve } of this.#waiting.get(model) ?? [])
      if (moment.partition === partition && moment.size <= size) resolve();
  }

  #foldedByAll(partition: number): number {
    return Math.min(...[...this.#folded.values()].map((sizes) => sizes[partition] ?? 0));
  }
}
