import { overloaded, type ParleyError } from './errors.js';

/**
 * Limits of one queue: waiting commands, their bytes, and how far the read models may lag while commands are
 * accepted.
 */
export const ADMISSION_LIMITS = { commands: 8192, bytes: 16 * 1024 * 1024, lagMs: 2000 } as const;

/** Counts the commands in progress and refuses new ones above `ADMISSION_LIMITS`. */
export class AdmissionQueue {
  #commands = 0;
  #bytes = 0;
  #drained: (() => void)[] = [];

  get length(): number {
    return this.#commands;
  }

  /** Returns `overloaded` if no further command fits now, else undefined. */
  checkCapacity(bytes: number, lagMs: number): ParleyError | undefined {
    if (this.#commands >= ADMISSION_LIMITS.commands || this.#bytes + bytes > ADMISSION_LIMITS.bytes)
      return overloaded('too many commands are waiting on this node');
    if (lagMs > ADMISSION_LIMITS.lagMs) return overloaded('the read models lag behind the log');
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

  /** Resolves once no command is in progress. */
  async waitUntilEmpty(): Promise<void> {
    if (this.#commands > 0) await new Promise<void>((resolve) => this.#drained.push(resolve));
  }
}
