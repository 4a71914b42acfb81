import type { Folding } from '../projections/readModels.js';

/** How far the read models are, as the main thread tells; a lag is refused there already. */
export class ThreadFolding implements Folding {
  #folded = new Map<string, number[]>();
  readonly #handlers = new Set<() => void>();

  start(folded: ReadonlyMap<string, readonly number[]>): void {
    this.#folded = new Map([...folded].map(([model, sizes]) => [model, [...sizes]]));
  }

  advance(model: string, partition: number, size: number): void {
    const sizes = this.#folded.get(model);
    if (!sizes || size <= (sizes[partition] ?? 0)) return;
    sizes[partition] = size;
    for (const handler of this.#handlers) handler();
  }

  folded(model: string, partition: number): number {
    return this.#folded.get(model)?.[partition] ?? 0;
  }

  lagMs(): number {
    return 0;
  }

  onAdvance(handler: () => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }
}
