import type { ParleyError } from './errors.js';
import { overloaded } from './errors.js';

/** How much may wait in one writer, and how far the read models may be behind while more is taken. */
export const ADMISSION_LIMITS = { commands: 8192, bytes: 16 * 1024 * 1024, lagMs: 2000 } as const;

/** Counts the commands that are on their way through one writer. */
export class AdmissionQueue {
  #commands = 0;
  #bytes = 0;
  #drained: (() => void)[] = [];

  get length(): number {
    return this.#commands;
  }

  /** Why no more can be taken now: `overloaded`; undefined if it can. */
  refusal(bytes: number, lagMs: number): ParleyError | undefined {
    if (this.#commands >= ADMISSION_LIMITS.commands || this.#bytes + bytes > ADMISSION_LIMITS.bytes)
      return overloaded('too many commands are waiting');
    if (lagMs > ADMISSION_LIMITS.lagMs) return overloaded('the read models are behind');
    return undefined;
  }

  enter(bytes: number): void {
    this.#commands++;
    this.#bytes += bytes;
  }

  leave(bytes: number): void {
    this.#commands--;
    this.#bytes -= bytes;
    if (this.#commands > 0) return;
    for (const resolve of this.#drained) resolve();
    this.#drained = [];
  }

  /** Resolves when nothing waits. */
  async drained(): Promise<void> {
    if (this.#commands > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }
}
