import type { Moment } from '../commands/commands.js';
import { overloaded } from '../errors.js';
import type { Timer } from './timer.js';

/** How long a query waits for its models, and how many may wait at once. */
const patienceMs = 5000;
const waitersMost = 10_000;

interface Waiting {
  readonly moment: Moment;
  readonly resolve: () => void;
}

/** Who waits for which model to reach which moment. */
export class WaitingList {
  readonly #waiting = new Map<string, Set<Waiting>>();
  readonly #setTimer: Timer;
  #size = 0;

  constructor(setTimer: Timer) {
    this.#setTimer = setTimer;
  }

  /** Resolves at a release at or above the moment. Rejects with `overloaded` after 5 s, or when too many wait. */
  async add(model: string, moment: Moment): Promise<void> {
    if (this.#size >= waitersMost) throw overloaded('too many queries wait for the read models');
    await new Promise<void>((resolve, reject) => {
      const waiting = this.#waiting.get(model) ?? new Set();
      this.#waiting.set(model, waiting);
      const entry: Waiting = {
        moment,
        resolve: () => {
          cancel();
          leave();
          resolve();
        },
      };
      const leave = () => {
        waiting.delete(entry);
        this.#size--;
      };
      const cancel = this.#setTimer(() => {
        leave();
        reject(overloaded(`the read model ${model} is behind`));
      }, patienceMs);
      waiting.add(entry);
      this.#size++;
    });
  }

  /** The model is stored up to `size` of the partition. */
  release(model: string, partition: number, size: number): void {
    for (const { moment, resolve } of this.#waiting.get(model) ?? [])
      if (moment.partition === partition && moment.size <= size) resolve();
  }

  /** Those that somebody waits for, each once. */
  partitions(): ReadonlySet<number> {
    const partitions = new Set<number>();
    for (const waiting of this.#waiting.values())
      for (const { moment } of waiting) partitions.add(moment.partition);
    return partitions;
  }
}
