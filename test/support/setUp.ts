// Mocha loads this file first, in every process that runs tests (`require` in .mocharc.json).
import { PATIENCE_MS } from './eventually.js';
import { newSeed } from './random.js';

const tasks: (() => Promise<void>)[] = [];

/** Runs this after the last test; after every file when files run in parallel. */
export function cleanUpAfterwards(task: () => Promise<void>): void {
  tasks.push(task);
}

/** What `beforeEach` and `afterEach` know of the test. */
interface Hook {
  readonly currentTest?: {
    readonly state?: string;
    readonly err?: Error;
    readonly fullTitle: () => string;
    readonly timeout: () => number;
  };
}

const witnesses: (() => Promise<string>)[] = [];

/** Adds what this resolves with to the error of a test that has failed: what its file has open then. */
export function tellOnFailure(witness: () => Promise<string>): void {
  witnesses.push(witness);
}

export const mochaHooks = {
  beforeEach(this: Hook): void {
    const { currentTest: test } = this;
    // Else the error does not say what did not come.
    if (test && test.timeout() > 0 && test.timeout() <= PATIENCE_MS)
      throw new Error(`the timeout is not longer than \`eventually\` waits: ${test.fullTitle()}`);
  },
  async afterEach(this: Hook): Promise<void> {
    const { state, err } = this.currentTest ?? {};
    if (state !== 'failed' || !err) return;
    const { stack = err.message } = err;
    // Mocha prints what stands before the first frame.
    const end = stack.search(/\n {4}at |$/);
    const told = await Promise.all(witnesses.map((witness) => witness()));
    err.stack = [stack.slice(0, end), ...told].join('\n') + stack.slice(end);
  },
  async afterAll(this: { timeout(ms: number): void }): Promise<void> {
    this.timeout(60_000);
    for (const task of tasks) await task();
  },
};

const { default: fc } = await import('fast-check');
fc.configureGlobal({
  // By default lists have ten items at most, whatever their bound.
  defaultSizeToMaxWhenMaxSpecified: true,
  // By default the error of the failing example is the cause, which Mocha does not print for files run in parallel.
  includeErrorInReport: true,
  // Without SEED each property draws a seed of its own, which its failure names.
  ...(process.env.SEED === undefined ? {} : { seed: newSeed() | 0 }),
});
