export interface Watched<V> {
  get(): V;
  subscribe(listener: () => void): () => void;
}

/**
 * One immutable state, changed by folds. Listeners are called after the turn in which it changed, once
 * for all changes: a thousand pushes that arrive together are drawn once.
 */
export class Observable<S> {
  #state: S;
  #isScheduled = false;
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
    if (this.#state === before || this.#isScheduled) return;
    this.#isScheduled = true;
    // Not a timer: browsers delay those of hidden pages by up to a minute.
    void Promise.resolve().then(() => this.#notify());
  }

  /** Watches a part of the state; `view` must give the same object for a part that did not change. */
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

  #notify(): void {
    this.#isScheduled = false;
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
 * Runs one at a time. Calls during a run share one more run after it, so that each call is followed by
 * a whole run.
 */
export function rerunIfCalled(run: () => Promise<void>): () => Promise<void> {
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

/** Runs one at a time: a call during a run joins it. */
export function singleFlight(run: () => Promise<void>): () => Promise<void> {
  let current: Promise<void> | undefined;
  return () => {
    current ??= run().finally(() => {
      current = undefined;
    });
    return current;
  };
}
