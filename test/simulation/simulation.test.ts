import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import type { Broken, SeedRange } from './seedWorker.js';
import { simulate } from './simulation.js';

/** The number of worlds: all in CI, else fewer. `SIMULATION_SEEDS` sets another number. */
const SEEDS = Number(process.env.SIMULATION_SEEDS ?? (process.env.CI ? 10_000 : 1000));
/** Parts of the run, so that the reporter shows progress. */
const PARTS = 4;

const rangeOf = (of: SeedRange, i: number, ranges: number): SeedRange => {
  const at = (range: number) => of.first + Math.floor((range * (of.end - of.first)) / ranges);
  return { first: at(i), end: at(i + 1) };
};

/** Runs a range of seeds in a thread of its own. */
const runInThread = (range: SeedRange): Promise<Broken | undefined> =>
  new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./seedWorker.js', import.meta.url), { workerData: range });
    thread.once('message', resolve);
    thread.once('error', reject);
  });

describe('simulation: writers, leases, store and bus of several nodes, in virtual time', () => {
  for (let i = 0; i < PARTS; i++) {
    const part = rangeOf({ first: 1, end: 1 + SEEDS }, i, PARTS);
    it(`keeps every promise with seeds ${part.first} to ${part.end - 1}`, async function () {
      this.timeout(0);
      const threads = Math.min(4, availableParallelism());
      const ranges = Array.from({ length: threads }, (_, j) => rangeOf(part, j, threads));
      const [broken] = (await Promise.all(ranges.map(runInThread))).filter((each) => each !== undefined);
      if (broken) expect.fail(`${broken.what}\nplay it again: npm run simulate -- --seed ${broken.seed}`);
    });
  }

  it('plays the same seed in the same way', async () => {
    for (const seed of [1, 2, 3]) {
      const [once, again] = [await simulate(seed), await simulate(seed)];
      expect(again.trace).to.deep.equal(once.trace);
    }
  });

  it('meets trouble of every kind', async () => {
    const traces: string[] = [];
    for (let seed = 1; seed <= 50; seed++) traces.push(...(await simulate(seed)).trace);
    const told = traces.join('\n');
    for (const trouble of [
      'ends',
      'pause:',
      'stop:',
      'cut off from the bus:',
      'cut off from the database:',
      'fails over',
      'a request of commits_0 is lost',
      'an answer of commits_0 is lost',
      'a request of commits_0 is late',
      'a connection for commits_0 breaks',
      'a request of leases is lost',
      'a frame is lost',
      'a reply is lost',
      '"unknown"',
      '"overloaded"',
      '"conflict"',
      '"not_found"',
    ])
      expect(told, trouble).to.include(trouble);
  });
});
