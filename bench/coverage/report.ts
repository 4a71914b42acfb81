/** A function that ran, with its offset in the compiled file. */
export interface Called {
  /** The file's URL. */
  readonly url: string;
  /** Empty for an anonymous function. */
  readonly name: string;
  readonly at: number;
  readonly calls: number;
}

/** The functions that ran in one thread. */
export interface ThreadCoverage {
  /** 0 is the main thread. */
  readonly thread: number;
  /** The thread's program. */
  readonly name: string;
  readonly called: readonly Called[];
}

interface Seen {
  readonly name: string;
  readonly idle: Set<string>;
  readonly ran: Map<string, { readonly called: Called; windows: number; calls: number }>;
}

const keyOf = ({ url, at, name }: Called) => `${url}\0${at}\0${name}`;

/**
 * Finds the functions that a message runs through: those that ran in more than half of the windows with a message, in
 * the same thread, and in no window without one.
 */
export class PathFinder {
  readonly #threads = new Map<number, Seen>();
  #windows = 0;

  /** Records a window without a message. */
  idled(threads: readonly ThreadCoverage[]): void {
    for (const coverage of threads)
      for (const called of coverage.called) this.#seen(coverage).idle.add(keyOf(called));
  }

  /** Records a window with one message. */
  sent(threads: readonly ThreadCoverage[]): void {
    this.#windows++;
    for (const coverage of threads) {
      const { ran } = this.#seen(coverage);
      for (const called of coverage.called) {
        const entry = ran.get(keyOf(called)) ?? { called, windows: 0, calls: 0 };
        entry.windows++;
        entry.calls += called.calls;
        ran.set(keyOf(called), entry);
      }
    }
  }

  /** The functions of each thread that has any, with the average number of calls for a message. */
  path(): ThreadCoverage[] {
    const path = [];
    for (const [thread, { name, idle, ran }] of this.#threads) {
      const called = [...ran]
        .filter(([key, { windows }]) => windows * 2 > this.#windows && !idle.has(key))
        .map(([, { called, windows, calls }]) => ({ ...called, calls: calls / windows }));
      if (called.length > 0) path.push({ thread, name, called });
    }
    return path.toSorted((a, b) => a.thread - b.thread);
  }

  #seen({ thread, name }: ThreadCoverage): Seen {
    const seen = this.#threads.get(thread) ?? { name, idle: new Set(), ran: new Map() };
    this.#threads.set(thread, seen);
    return seen;
  }
}

/** The number of different functions, and of files that they are in. */
export function countOf(threads: readonly ThreadCoverage[]): { functions: number; files: number } {
  const called = threads.flatMap((thread) => thread.called);
  return {
    functions: new Set(called.map(keyOf)).size,
    files: new Set(called.map(({ url }) => url)).size,
  };
}
