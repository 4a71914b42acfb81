import { expect } from 'chai';
import { Waiter } from '../../src/projections/progressTracker.js';
import { virtualTime } from '../support/virtualTime.js';

function waiterAt(sizes: Record<string, number[]>) {
  const time = virtualTime();
  const wanted: [number, number][] = [];
  const waiter = new Waiter({
    folded: new Map(Object.entries(sizes)),
    want: (partition, size) => wanted.push([partition, size]),
    setTimer: time.setTimer,
    now: time.now,
    ticks: time.now,
  });
  return { waiter, wanted, time };
}

/** How the promise stands once everything that was set off has run. */
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
    const { waiter, wanted } = waiterAt({ chats: [5] });
    await waiter.reached('chats', { partition: 0, size: 5 });
    expect(wanted).to.deep.equal([]);
  });

  it('ends when the model has folded the moment, and no earlier', async () => {
    const { waiter } = waiterAt({ chats: [5, 0], users: [5, 0] });
    const reached = waiter.reached('chats', { partition: 0, size: 7 });
    waiter.advance('chats', 0, 6);
    waiter.advance('chats', 1, 9);
    waiter.advance('users', 0, 9);
    expect(await standing(reached)).to.equal('waits');
    waiter.advance('chats', 0, 7);
    expect(await standing(reached)).to.equal('reached');
  });

  it('asks the projector once for what many wait for', async () => {
    const { waiter, wanted } = waiterAt({ chats: [0], users: [0] });
    const all = [3, 2, 3].flatMap((size) =>
      ['chats', 'users'].map((model) => waiter.reached(model, { partition: 0, size })),
    );
    expect(wanted).to.deep.equal([[0, 3]]);
    waiter.advance('chats', 0, 3);
    waiter.advance('users', 0, 3);
    await Promise.all(all);
  });

  it('is overloaded after 5 s', async () => {
    const { waiter, time } = waiterAt({ chats: [0] });
    const reached = waiter.reached('chats', { partition: 0, size: 1 });
    reached.catch(() => {});
    await time.advance(4999);
    expect(await standing(reached)).to.equal('waits');
    await time.advance(1);
    expect(await standing(reached)).to.equal('overloaded');
  });

  it('is overloaded at once when too many wait', async () => {
    const { waiter } = waiterAt({ chats: [0] });
    const all = Array.from({ length: 10_000 }, () => waiter.reached('chats', { partition: 0, size: 1 }));
    expect(await standing(waiter.reached('chats', { partition: 0, size: 1 }))).to.equal('overloaded');
    waiter.advance('chats', 0, 1);
    await Promise.all(all);
    expect(await standing(waiter.reached('chats', { partition: 0, size: 2 }))).to.equal('waits');
  });

  it('never has a model go back', () => {
    const { waiter } = waiterAt({ chats: [5] });
    const seen: unknown[] = [];
    const stop = waiter.onAdvance((...advance) => seen.push(advance));
    waiter.advance('chats', 0, 3);
    waiter.advance('chats', 0, 6);
    stop();
    waiter.advance('chats', 0, 8);
    expect(seen).to.deep.equal([['chats', 0, 6]]);
    expect(waiter.folded('chats', 0)).to.equal(8);
  });

  it('refuses a model that is not folded', async () => {
    const refused = await waiterAt({})
      .waiter.reached('chats', { partition: 0, size: 1 })
      .catch((e: unknown) => e);
    expect(refused).to.be.instanceOf(RangeError);
  });
});

describe('The lag of the read models', () => {
  it('is the age of the oldest commit that some model has not folded', async () => {
    const { waiter, time } = waiterAt({ chats: [0], users: [0] });
    await time.advance(1000);
    expect(waiter.lagMs()).to.equal(0);
    waiter.published(at(900, 1));
    waiter.published(at(950, 2));
    expect(waiter.lagMs()).to.equal(100);
    waiter.advance('chats', 0, 2);
    expect(waiter.lagMs()).to.equal(100);
    waiter.advance('users', 0, 1);
    expect(waiter.lagMs()).to.equal(50);
    waiter.advance('users', 0, 2);
    expect(waiter.lagMs()).to.equal(0);
  });

  it('counts what the projector sees in the log, after a start', async () => {
    const { waiter, time } = waiterAt({ chats: [0] });
    await time.advance(5000);
    waiter.behind(new Date(1000).toISOString());
    expect(waiter.lagMs()).to.equal(4000);
    waiter.behind(undefined);
    expect(waiter.lagMs()).to.equal(0);
  });

  it('is never said to be less than it is, however many commits wait', async () => {
    const { waiter, time } = waiterAt({ chats: [0] });
    await time.advance(10_000);
    for (let size = 1; size <= 3000; size++) waiter.published(at(size, size));
    expect(waiter.lagMs()).to.equal(9999);
    waiter.advance('chats', 0, 2000);
    expect(waiter.lagMs()).to.be.within(10_000 - 2000, 9999);
    waiter.advance('chats', 0, 3000);
    expect(waiter.lagMs()).to.equal(0);
  });
});
