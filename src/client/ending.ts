/**
 * Says once that something is over, and why. An `AbortController` would do, but the one of React
 * Native knows no reason.
 */
export class Ending {
  #why: { readonly error: Error } | undefined;
  readonly #listeners = new Set<(error: Error) => void>();

  /** Ends it; the first reason stays. */
  end(error: Error): void {
    if (this.#why) return;
    this.#why = { error };
    for (const listener of [...this.#listeners]) listener(error);
    this.#listeners.clear();
  }

  /** Calls `listener` when it ends, at once if it has; what it returns stops that. */
  on(listener: (error: Error) => void): () => void {
    if (this.#why) listener(this.#why.error);
    else this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A wait that `ending` may cut short; `start` begins it and returns what undoes it, called in any case. */
export async function until<T>(
  ending: Ending,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
): Promise<T> {
  const cleanUp: (() => void)[] = [];
  try {
    return await new Promise<T>((resolve, reject) => {
      let isOver = false;
      cleanUp.push(
        ending.on((error) => {
          isOver = true;
          reject(error);
        }),
      );
      if (!isOver) cleanUp.push(start(resolve, reject));
    });
  } finally {
    for (const undo of cleanUp) undo();
  }
}
