import { expect } from 'chai';
import fc from 'fast-check';
import type { Advance } from '../../src/projections/projector.js';
import { ProgressTracker } from '../../src/projections/queryWaits.js';
import { CheckpointPoller, ProgressBroadcast } from '../../src/projections/remoteProgress.js';
import { virtualTime } from '../support/virtualTime.js';

/** A node that folds nothing, the store that other nodes write to, and the notes that reach the node. */
class World {
  readonly time = virtualTime();
  readonly stored = [0, 0];
  readonly wanted: [number, number][] = [];
  looks: (readonly number[])[] = [];
  isStoreAway = false;
  troubles = 0;
  readonly tracker = new ProgressTracker({
    folded: this.stored,
    owns: () => false,
    requestWrite: (partition, size) => this.wanted.push([partition, size]),
    onRemoteLag: (why) => (why === 'waited' ? this.poller.onWait() : this.poller.onLag()),
    clock: { ...this.time, unixNow: this.time.now },
  });
  readonly poller = new CheckpointPoller({
    awaitedElsewhere: () => this.tracker.awaitedElsewhere(),
    behind: () => this.tracker.laggingElsewhere(),
    readCheckpoints: async (partitions) => {
      this.looks.push(partitions);
      if (this.isStoreAway) throw new Error('the store is away');
      for (const partition of partitions)
        this.tracker.recordAdvance({ partition, size: this.storedSize(partition) });
    },
    onRetry: () => this.troubles++,
    clock: this.time,
  });

  storedSize = (partition: number): number => this.stored[partition] ?? 0;

  store(partition: number, size: number): void {
    this.stored[partition] = Math.max(size, this.storedSize(partition));
  }

  publish(partition: number, size: number): void {
    const recordedAt = new Date(this.time.now()).toISOString();
    this.tracker.trackCommit({ partition, size, recordedAt });
  }
}

type Step =
  | { readonly kind: 'publish'; readonly partition: number }
  | { readonly kind: 'store'; readonly partition: number }
  | { readonly kind: 'wait'; readonly partition: number }
  | { readonly kind: 'note'; readonly which: number }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'away'; readonly isAway: boolean };

const place = { partition: fc.constantFrom(0, 1) };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('publish'), ...place }),
  fc.record({ kind: fc.constant('store'), ...place }),
  fc.record({ kind: fc.constant('wait'), ...place }),
  // Any earlier note: some are lost, some repeated, and most are out of order.
  fc.record({ kind: fc.constant('note'), which: fc.nat() }),
  fc.record({ kind: fc.constant('time'), ms: fc.nat(700) }),
  fc.record({ kind: fc.constant('away'), isAway: fc.boolean() }),
);

describe('Progress of what is folded elsewhere', () => {
  it('is never said to be more than is stored, never goes back, and is found in the end', () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const world = new World();
        const sizes = [0, 0];
        const notes: Advance[] = [];
        const last = [0, 0];
        const onWait: Promise<unknown>[] = [];
        const wait = async (partition: number, size: number) => {
          await world.tracker.waitFor({ partition, size });
          expect(world.storedSize(partition)).to.be.at.least(size);
        };
        const check = () => {
          for (const partition of [0, 1]) {
            const folded = world.tracker.folded(partition);
            expect(folded).to.be.at.most(world.storedSize(partition));
            expect(folded).to.be.at.least(last[partition] ?? 0);
            last[partition] = folded;
          }
        };
        for (const step of steps) {
          if (step.kind === 'publish') {
            const size = (sizes[step.partition] ?? 0) + 1;
            sizes[step.partition] = size;
            world.publish(step.partition, size);
          } else if (step.kind === 'store') {
            const size = sizes[step.partition] ?? 0;
            world.store(step.partition, size);
            notes.push({ partition: step.partition, size });
          } else if (step.kind === 'wait') {
            const size = sizes[step.partition] ?? 0;
            // Some sizes are never stored in time; then the owner reports `overloaded`.
            onWait.push(wait(step.partition, size).catch((error) => isOverloaded(error)));
          } else if (step.kind === 'note') {
            const note = notes[step.which % Math.max(1, notes.length)];
            if (note) world.tracker.recordAdvance(note);
          } else if (step.kind === 'away') world.isStoreAway = step.isAway;
          else await world.time.advance(step.ms);
          check();
        }
        world.isStoreAway = false;
        for (const partition of [0, 1]) {
          world.store(partition, sizes[partition] ?? 0);
          onWait.push(wait(partition, sizes[partition] ?? 0));
        }
        await world.time.advance(5000);
        await Promise.all(onWait);
        for (const partition of [0, 1]) expect(world.tracker.folded(partition)).to.equal(sizes[partition]);
        world.looks = [];
        await world.time.advance(60_000);
        expect(world.looks, 'nobody waits and nothing is behind').to.deep.equal([]);
        expect(world.tracker.lagMs()).to.equal(0);
      }),
    ));

  it('is not looked for while notes bring it', async () => {
    const world = new World();
    for (let size = 1; size <= 500; size++) {
      world.publish(0, size);
      world.store(0, size);
      await world.time.advance(20);
      world.tracker.recordAdvance({ partition: 0, size });
    }
    await world.time.advance(10_000);
    expect(world.looks).to.deep.equal([]);
  });

  it('is not looked for while notes bring it to those who wait', async () => {
    const world = new World();
    for (let size = 1; size <= 100; size++) {
      const waitFor = world.tracker.waitFor({ partition: 0, size });
      world.store(0, size);
      await world.time.advance(90);
      world.tracker.recordAdvance({ partition: 0, size });
      await waitFor;
    }
    expect(world.looks).to.deep.equal([]);
  });

  it('is looked for every 100 ms while somebody waits, every 3 s while it seems behind', async () => {
    const world = new World();
    world.publish(1, 1);
    await world.time.advance(12_000);
    expect(world.looks).to.deep.equal(Array(4).fill([1]));
    world.looks = [];
    const waitFor = world.tracker.waitFor({ partition: 0, size: 1 });
    await world.time.advance(1000);
    expect(world.looks.filter((partitions) => partitions.includes(0))).to.have.length(10);
    expect(world.wanted).to.deep.equal([[0, 1]]);
    world.store(0, 1);
    world.store(1, 1);
    await world.time.advance(3000);
    await waitFor;
    world.looks = [];
    await world.time.advance(10_000);
    expect(world.looks).to.deep.equal([]);
  });

  it('is looked for ever more seldom while the store is away', async () => {
    const world = new World();
    world.isStoreAway = true;
    world.publish(0, 1);
    await world.time.advance(60_000);
    expect(world.troubles).to.be.within(12, 20);
  });

  it('says nothing of the lag: it is another’s', async () => {
    const world = new World();
    world.publish(0, 1);
    await world.time.advance(60_000);
    expect(world.tracker.lagMs()).to.equal(0);
  });
});

describe('The lag of a partition that comes', () => {
  it('counts from when it came', async () => {
    const time = virtualTime();
    let isOwner = false;
    const tracker = new ProgressTracker({
      folded: [0],
      owns: () => isOwner,
      requestWrite: () => {},
      clock: { ...time, unixNow: time.now },
    });
    tracker.trackCommit({ partition: 0, size: 1, recordedAt: new Date(0).toISOString() });
    await time.advance(9000);
    tracker.restartLag(0);
    isOwner = true;
    await time.advance(300);
    expect(tracker.lagMs()).to.equal(300);
    tracker.recordAdvance({ partition: 0, size: 1 });
    expect(tracker.lagMs()).to.equal(0);
  });
});

describe('Notes of progress', () => {
  function notesAt() {
    const time = virtualTime();
    const told: (readonly Advance[])[] = [];
    const notes = new ProgressBroadcast((advances) => told.push(advances), time.setTimer);
    return { time, told, notes };
  }
  const at = (size: number, partition = 0): Advance[] => [{ partition, size }];

  it('gather for 50 ms, the last of each partition', async () => {
    const { time, told, notes } = notesAt();
    notes.record(at(1));
    notes.record(at(4, 1));
    await time.advance(49);
    notes.record(at(2));
    expect(told).to.deep.equal([]);
    await time.advance(1);
    expect(told).to.deep.equal([[...at(2), ...at(4, 1)]]);
    await time.advance(1000);
    expect(told).to.have.length(1);
  });

  it('leave at once when they bring what another node waits for', () => {
    const { told, notes } = notesAt();
    notes.requestFlush({ partition: 0, size: 3 }, 1);
    notes.record(at(2));
    notes.record(at(9, 1));
    expect(told).to.deep.equal([]);
    notes.record(at(3));
    expect(told).to.have.length(1);
    notes.record(at(4));
    expect(told).to.have.length(1);
  });

  it('answer at once a node that waits for what is stored', () => {
    const { told, notes } = notesAt();
    notes.requestFlush({ partition: 0, size: 3 }, 3);
    expect(told).to.have.length(1);
  });
});

function isOverloaded(error: unknown): void {
  expect(error).to.have.property('code', 'overloaded');
}
