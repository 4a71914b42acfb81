import { expect } from 'chai';
import { StorageMeasurer } from '../../src/app/storageFigures.js';
import type { Commit } from '../../src/log/log.js';

const MORNING = '2026-01-01T08:00:00.000Z';
const NOON = '2026-01-01T12:00:00.000Z';

/** A log of two partitions, which counts the calls. The first has 10 events and the second none. */
function stage() {
  const calls: string[] = [];
  let [now, size, isDown] = [0, 10, false];
  const measurer = new StorageMeasurer(
    {
      engine: { kind: 'sqlite', dataDir: '/nowhere' },
      log: {
        partitions: 2,
        async tail(partition) {
          calls.push(`tail ${partition}`);
          if (isDown) throw new Error('the store is down');
          // Only these two are read.
          return partition === 0 ? ({ size, recordedAt: NOON } as Commit) : undefined;
        },
        async places(partition, positions) {
          calls.push(`places ${partition}`);
          const place = { position: 1, recordedAt: MORNING, firstOffset: 0, size: 1 };
          return partition === 0 ? positions.map(() => place) : [];
        },
      },
      progress: { folded: (partition) => (partition === 0 ? 7 : 0), lagMs: () => 1500 },
      subscriptions: {
        list: async () =>
          [
            { id: 'behind', lagEvents: 2, lagSeconds: 60, paused: false },
            { id: 'present', lagEvents: 0, lagSeconds: 0, paused: false },
            { id: 'paused', lagEvents: 0, lagSeconds: 0, paused: true },
          ].map((one) => ({ ...one, url: 'https://example.org', cursor: 'c' })),
      },
      measure: async () => ({ bytes: { log: 1, vault: null, readModels: 3 } }),
    },
    () => now,
  );
  return {
    measurer,
    calls,
    pass: (ms: number) => {
      now += ms;
    },
    grow: () => {
      size += 1;
    },
    fail: (fails: boolean) => {
      isDown = fails;
    },
  };
}

describe('the figures of the storage', () => {
  it('count events, and say which read models and subscriptions are behind', async () => {
    const { measuredAt: _, ...figures } = await stage().measurer.read();
    expect(figures).to.deep.equal({
      engine: 'embedded',
      log: { partitions: 2, events: 10, bytes: 1, oldest: MORNING, newest: NOON },
      vault: { bytes: null },
      readModels: { bytes: 3, events: 7, lagEvents: 3, lagSeconds: 1.5 },
      subscriptions: [
        { id: 'behind', lagEvents: 2, lagSeconds: 60, paused: false },
        { id: 'paused', lagEvents: 0, lagSeconds: 0, paused: true },
      ],
    });
  });

  it('ask the stores once in 5 s, however many look, and for the first commit of a partition once', async () => {
    const { measurer, calls, pass, grow } = stage();
    await Promise.all(Array.from({ length: 100 }, () => measurer.read()));
    expect(calls).to.have.members(['tail 0', 'tail 1', 'places 0', 'places 1']);
    grow();
    pass(4999);
    expect((await measurer.read()).log.events).to.equal(10);
    pass(1);
    expect((await measurer.read()).log.events).to.equal(11);
    // The second partition is empty still.
    expect(calls.slice(4)).to.have.members(['tail 0', 'tail 1', 'places 1']);
  });

  it('are asked for again at once after a failure', async () => {
    const { measurer, fail } = stage();
    fail(true);
    expect(await measurer.read().catch((error: Error) => error.message)).to.equal('the store is down');
    fail(false);
    expect((await measurer.read()).log.events).to.equal(10);
  });
});
