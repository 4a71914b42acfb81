import type { Moment } from '../commands/commands.js';
import { overloaded } from '../errors.js';
import type { Timer } from './timer.js';

/** How long a query waits for its models, and how many may wait at once. */
const patienceMs = 5000;
const waitersMost = 10_000;

interface Waiting {
  readonly moment: Moment;
  readonly since: number;
  readonly resolve: () => void;
}

/** Who waits for which model to reach which moment. */
export class WaitingList {
  readonly #waiting = new Map<string, Set<Waiting>>();
  readonly #setTimer: Timer;
  readonly #ticks: () => number;
  #size = 0;

  constructor(setTimer: Timer, ticks: () => number) {
    this.#setTimer = setTimer;
    this.#ticks = ticks;
  }

  /** Resolves at a release at or above the moment. Rejects with `overloaded` after 5 s, or when too many wait. */
  async add(model: string, moment: Moment): Promise<void> {
    if (this.#size >= waitersMost) throw overloaded('too many queries wait for the read models');
    await new Promise<void>((resolve, reject) => {
      const waiting = this.#waiting.get(model) ?? new Set();
      this.#waiting.set(model, waiting);
      const entry: Waiting = {
        moment,
        since: this.#ticks(),
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

  /** Those that somebody waits for, each with since when the first one does. */
  partitions(): ReadonlyMap<number, number> {
    const partitions = new Map<number, number>();
    for (const waiting of this.#waiting.values())
      for (const { moment, since } of waiting)
        partitions.set(moment.partition, Math.min(since, partitions.get(moment.partition) ?? since));
    return partitions;
  }
}
