import { systemTimer, type Timer } from './timer.js';

/** What a model has stored gathers for so long: progress for which nobody waits is not worth a note each. */
const gatherMs = 50;

/** A model is stored up to a size of a partition. */
export interface ModelAdvance {
  readonly model: string;
  readonly partition: number;
  readonly size: number;
}

/** Tells the other nodes how far this one has stored the read models: gathered, unless one of them waits. */
export class ProgressNotes {
  readonly #tell: (advances: readonly ModelAdvance[]) => void;
  readonly #setTimer: Timer;
  /** Not told yet, by model and partition. */
  readonly #untold = new Map<string, ModelAdvance>();
  /** The largest size that another node waits for, by partition. */
  readonly #wanted = new Map<number, number>();
  #cancel: (() => void) | undefined;

  constructor(tell: (advances: readonly ModelAdvance[]) => void, setTimer: Timer = systemTimer) {
    this.#tell = tell;
    this.#setTimer = setTimer;
  }

  /** The projector has written these, all at once. */
  advanced(advances: readonly ModelAdvance[]): void {
    if (advances.length === 0) return;
    for (const advance of advances) this.#untold.set(`${advance.model}/${advance.partition}`, advance);
    const met = [...this.#wanted].filter(([partition, size]) => {
      const here = advances.filter((advance) => advance.partition === partition);
      return here.length > 0 && here.every((advance) => advance.size >= size);
    });
    for (const [partition] of met) this.#wanted.delete(partition);
    if (met.length > 0) this.flush();
    else this.#cancel ??= this.#setTimer(() => this.flush(), gatherMs);
  }

  /** Another node waits for this size; `now` is how far each model is, which it may not have heard. */
  wants(partition: number, size: number, now: readonly ModelAdvance[]): void {
    this.#wanted.set(partition, Math.max(size, this.#wanted.get(partition) ?? 0));
    this.advanced(now);
  }

  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#untold.size === 0) return;
    const advances = [...this.#untold.values()];
    this.#untold.clear();
    this.#tell(advances);
  }
}
