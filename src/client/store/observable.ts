/** Something to look at: the present value, and a call after it has become another. */
export interface Watched<V> {
  get(): V;
  subscribe(listener: () => void): () => void;
}

/**
 * One immutable state, changed by folds. Listeners are told after the turn in which it changed, once
 * for all its changes: a thousand pushes that come together are drawn together.
 */
export class Observable<S> {
  #state: S;
  #isToTell = false;
  readonly #watches = new Set<() => void>();

  constructor(
    beginning: S,
    private readonly report: (error: unknown) => void,
  ) {
    this.#state = beginning;
  }

  get state(): S {
    return this.#state;
  }

  apply(fold: (state: S) => S): void {
    const before = this.#state;
    this.#state = fold(before);
    if (this.#state === before || this.#isToTell) return;
    this.#isToTell = true;
    // No timer: those of a page that nobody looks at are held back for up to a minute.
    void Promise.resolve().then(() => this.#tell());
  }

  /** Looks at a part of the state; `view` gives the same object for what did not change. */
  watch<V>(view: (state: S) => V): Watched<V> {
    return {
      get: () => view(this.#state),
      subscribe: (listener) => {
        let shown = view(this.#state);
        const look = (): void => {
          const now = view(this.#state);
          if (Object.is(now, shown)) return;
          shown = now;
          listener();
        };
        this.#watches.add(look);
        return () => this.#watches.delete(look);
      },
    };
  }

  #tell(): void {
    this.#isToTell = false;
    for (const look of [...this.#watches]) {
      try {
        look();
      } catch (error) {
        this.report(error);
      }
    }
  }
}

/**
 * Runs one at a time: a call while one is under way asks for one more after it, which begins later
 * than the call, and which all such calls share.
 */
export function oneAfterOther(run: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> | undefined;
  let following: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    following = undefined;
    current = run().finally(() => {
      if (following === undefined) current = undefined;
    });
    return current;
  };
  return () => {
    if (current === undefined) return begin();
    following ??= current.then(begin, begin);
    return following;
  };
}

/** Runs one at a time: a call while one is under way joins it. */
export function oneForAll(run: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> | undefined;
  return () => {
    current ??= run().finally(() => {
      current = undefined;
    });
    return current;
  };
}
