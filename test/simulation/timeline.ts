import type { Random } from '../support/random.js';

/** A task that runs once at its time, unless it is cancelled. */
interface Task {
  readonly at: number;
  /** Orders tasks of the same time: the smaller one runs first. */
  readonly tie: number;
  readonly serial: number;
  readonly run: () => void;
  isCancelled: boolean;
}

const isBefore = (a: Task, b: Task): boolean =>
  a.at !== b.at ? a.at < b.at : a.tie !== b.tie ? a.tie < b.tie : a.serial < b.serial;

/**
 * The time of a simulated world, in milliseconds. Tasks run one after the other by time; the seed orders
 * tasks of the same time. Between two tasks all promise callbacks run.
 */
export class Timeline {
  now = 0;
  readonly #random: Random;
  /** A binary heap: no task comes before the one at half its index. */
  readonly #heap: Task[] = [];
  #serial = 0;
  #isOver = false;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Runs work after `ms` milliseconds; returns a function that cancels it. */
  after(ms: number, run: () => void): () => void {
    return this.#add({
      at: this.now + Math.max(0, ms),
      tie: 1 + this.#random(),
      serial: this.#serial++,
      run,
      isCancelled: false,
    });
  }

  /** Runs work after the current task and its promise callbacks, in the order of the calls. */
  soon(run: () => void): void {
    this.#add({ at: this.now, tie: 0, serial: this.#serial++, run, isCancelled: false });
  }

  /** Stops all tasks. */
  end(): void {
    this.#isOver = true;
  }

  /**
   * Advances time until no task is left, `end` is called, or `until` is reached. Rejects with a task's error.
   */
  run(until: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = () => {
        try {
          const task = this.#next(until);
          if (!task) return resolve();
          this.now = task.at;
          task.run();
        } catch (error) {
          return reject(error);
        }
        // Between two immediates Node runs all microtasks.
        setImmediate(step);
      };
      setImmediate(step);
    });
  }

  #next(until: number): Task | undefined {
    for (let task = this.#pop(); task && !this.#isOver; task = this.#pop())
      if (!task.isCancelled) return task.at <= until ? task : undefined;
    return undefined;
  }

  #add(task: Task): () => void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = heap[(at - 1) >> 1] as Task; // Every index below the length has a task.
      if (!isBefore(task, parent)) break;
      heap[at] = parent;
      at = (at - 1) >> 1;
    }
    heap[at] = task;
    return () => {
      task.isCancelled = true;
    };
  }

  #pop(): Task | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const [left, right] = [heap[child], heap[child + 1]];
      if (!left) break;
      if (right && isBefore(right, left)) child++;
      const next = heap[child] as Task; // One of the two children.
      if (!isBefore(next, last)) break;
      heap[at] = next;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
