import { expect } from 'chai';
import { ProgressTracker } from '../../src/projections/queryWaits.js';
import { virtualTime } from '../support/virtualTime.js';

function trackerAt(...folded: number[]) {
  const time = virtualTime();
  const wanted: [number, number][] = [];
  const tracker = new ProgressTracker({
    folded,
    requestWrite: (partition, size) => wanted.push([partition, size]),
    clock: { ...time, unixNow: time.now },
  });
  return { tracker, wanted, time };
}

/** The state of a promise after all pending work has run. */
async function standing(promise: Promise<unknown>): Promise<string> {
  const pending = new Promise((resolve) => setImmediate(resolve, 'waits'));
  const ended = promise.then(
    () => 'reached',
    (error: { code?: string }) => error.code,
  );
  return String(await Promise.race([ended, pending]));
}

const at = (recordedAtMs: number, size: number, partition = 0) => ({
  partition,
  size,
  recordedAt: new Date(recordedAtMs).toISOString(),
});

describe('Waiting for read models', () => {
  it('is over at once for what is folded', async () => {
    const { tracker, wanted } = trackerAt(5);
    await tracker.waitFor({ partition: 0, size: 5 });
    expect(wanted).to.deep.equal([]);
  });

  it('ends when the moment is folded, and no earlier', async () => {
    const { tracker } = trackerAt(5, 0);
    const waitFor = tracker.waitFor({ partition: 0, size: 7 });
    tracker.recordAdvance({ partition: 0, size: 6 });
    tracker.recordAdvance({ partition: 1, size: 9 });
    expect(await standing(waitFor)).to.equal('waits');
    tracker.recordAdvance({ partition: 0, size: 7 });
    expect(await standing(waitFor)).to.equal('reached');
  });

  it('asks the projector once for what many wait for', async () => {
    const { tracker, wanted } = trackerAt(0);
    const all = [3, 2, 3].map((size) => tracker.waitFor({ partition: 0, size }));
    expect(wanted).to.deep.equal([[0, 3]]);
    tracker.recordAdvance({ partition: 0, size: 3 });
    await Promise.all(all);
  });

  it('is overloaded after 5 s', async () => {
    const { tracker, time } = trackerAt(0);
    const waitFor = tracker.waitFor({ partition: 0, size: 1 });
    waitFor.catch(() => {});
    await time.advance(4999);
    expect(await standing(waitFor)).to.equal('waits');
    await time.advance(1);
    expect(await standing(waitFor)).to.equal('overloaded');
  });

  it('is overloaded at once when too many wait', async () => {
    const { tracker } = trackerAt(0);
    const all = Array.from({ length: 10_000 }, () => tracker.waitFor({ partition: 0, size: 1 }));
    expect(await standing(tracker.waitFor({ partition: 0, size: 1 }))).to.equal('overloaded');
    tracker.recordAdvance({ partition: 0, size: 1 });
    await Promise.all(all);
    expect(await standing(tracker.waitFor({ partition: 0, size: 2 }))).to.equal('waits');
  });

  it('never goes back', () => {
    const { tracker } = trackerAt(5);
    const seen: unknown[] = [];
    const stop = tracker.onAdvance((...recordAdvance) => seen.push(recordAdvance));
    tracker.recordAdvance({ partition: 0, size: 3 });
    tracker.recordAdvance({ partition: 0, size: 6 });
    stop();
    tracker.recordAdvance({ partition: 0, size: 8 });
    expect(seen).to.deep.equal([[0, 6]]);
    expect(tracker.folded(0)).to.equal(8);
  });

  it('refuses a partition that there is not', async () => {
    const refused = await trackerAt()
      .tracker.waitFor({ partition: 0, size: 1 })
      .catch((e: unknown) => e);
    expect(refused).to.be.instanceOf(RangeError);
  });
});

describe('The lag of the read models', () => {
  it('is the age of the oldest commit that is not folded', async () => {
    const { tracker, time } = trackerAt(0);
    await time.advance(1000);
    expect(tracker.lagMs()).to.equal(0);
    tracker.trackCommit(at(900, 1));
    tracker.trackCommit(at(950, 2));
    expect(tracker.lagMs()).to.equal(100);
    tracker.recordAdvance({ partition: 0, size: 1 });
    expect(tracker.lagMs()).to.equal(50);
    tracker.recordAdvance({ partition: 0, size: 2 });
    expect(tracker.lagMs()).to.equal(0);
  });

  it('counts what the projector sees in the log, after a start', async () => {
    const { tracker, time } = trackerAt(0);
    await time.advance(5000);
    tracker.behindSince = new Date(1000).toISOString();
    expect(tracker.lagMs()).to.equal(4000);
    tracker.behindSince = undefined;
    expect(tracker.lagMs()).to.equal(0);
  });

  it('is never said to be less than it is, however many commits wait', async () => {
    const { tracker, time } = trackerAt(0);
    await time.advance(10_000);
    for (let size = 1; size <= 3000; size++) tracker.trackCommit(at(size, size));
    expect(tracker.lagMs()).to.equal(9999);
    tracker.recordAdvance({ partition: 0, size: 2000 });
    expect(tracker.lagMs()).to.be.within(10_000 - 2000, 9999);
    tracker.recordAdvance({ partition: 0, size: 3000 });
    expect(tracker.lagMs()).to.equal(0);
  });
});
