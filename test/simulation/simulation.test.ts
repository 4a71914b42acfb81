import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { isSoak, worlds } from '../support/lanes.js';
import { newSeed } from '../support/random.js';
import type { Broken, SeedRange } from './seedWorker.js';
import { simulate } from './simulation.js';

/** The same worlds in every run, but other ones every day in the long form. */
const FIRST = isSoak ? 1 + (newSeed() % 100_000) * worlds : 1;
/** They are played in parts, so that it shows how far it is. */
const PARTS = 4;

const rangeOf = (of: SeedRange, i: number, ranges: number): SeedRange => {
  const at = (range: number) => of.first + Math.floor((range * (of.end - of.first)) / ranges);
  return { first: at(i), end: at(i + 1) };
};

/** What a thread of its own finds in its share. */
const runInThread = (range: SeedRange): Promise<Broken | undefined> =>
  new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./seedWorker.js', import.meta.url), { workerData: range });
    thread.once('message', resolve);
    thread.once('error', reject);
  });

describe('simulation: writers, leases, store and bus of several nodes, in virtual time', () => {
  for (let i = 0; i < PARTS; i++) {
    const part = rangeOf({ first: FIRST, end: FIRST + worlds }, i, PARTS);
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
      'a request of commits is lost',
      'an answer of commits is lost',
      'a request of commits is late',
      'a connection for commits breaks',
      'a call of commits is carried out in part',
      'a request of leases is lost',
      'a frame is lost',
      'a reply is lost',
      '"unknown"',
      '"overloaded"',
      '"conflict"',
      '"not_found"',
      '"forbidden"',
      ...['create group', 'add members', 'remove member', 'leave group', 'change role'],
      ...['edit message', 'delete message', 'react'],
    ])
      expect(told, trouble).to.include(trouble);
  });
});
