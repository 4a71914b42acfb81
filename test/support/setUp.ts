// Mocha loads this file first, in every process that runs tests (`require` in .mocharc.json).
import { newSeed } from './random.js';

const tasks: (() => Promise<void>)[] = [];

/** Runs this after the last test; after every file when files run in parallel. */
export function cleanUpAfterwards(task: () => Promise<void>): void {
  tasks.push(task);
}

export const mochaHooks = {
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
