import type { Message } from './types.js';

/**
 * The messages of one room as a device knows them, in the order of `seq`, each once: answers, pushes
 * and fetched pages may come in any order and overlap.
 */
export class Timeline {
  readonly #bySeq = new Map<number, Message>();

  /** True when it was not known yet. */
  add(message: Message): boolean {
    const isNew = !this.#bySeq.has(message.seq);
    this.#bySeq.set(message.seq, message);
    return isNew;
  }

  get messages(): readonly Message[] {
    return [...this.#bySeq.values()].sort((a, b) => a.seq - b.seq);
  }
}
