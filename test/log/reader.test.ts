import { expect } from 'chai';
import fc from 'fast-check';
import { HoleError, StorageError } from '../../src/log/log.js';
import { follow, type ReadHandlers, type ReadSource, type TailReader } from '../../src/log/logReader.js';
import { runs } from '../support/lanes.js';
import { type VirtualTime, virtualTime } from '../support/virtualTime.js';

interface Item {
  readonly position: number;
}
const item = (position: number): Item => ({ position });

/** A partition whose reads can fail, with a reader on a virtual clock. */
class Bench {
  readonly clock: VirtualTime = virtualTime();
  readonly handled: number[] = [];
  readonly stops: unknown[] = [];
  readonly readErrors: unknown[] = [];
  reads = 0;
  /** Results of the next reads. */
  readonly mishaps: (() => readonly Item[])[] = [];
  readonly reader: TailReader<Item>;

  constructor(
    options: Partial<ReadSource<Item> & ReadHandlers<Item>> = {},
    public stored = 0,
  ) {
    const all = {
      partition: 0,
      after: 0,
      read: async (after: number, limit: number) => {
        this.reads++;
        const mishap = this.mishaps.shift();
        if (mishap) return mishap();
        const length = Math.max(0, Math.min(limit, this.stored - after));
        return Array.from({ length }, (_, i) => item(after + i + 1));
      },
      handle: ({ position }: Item) => {
        this.handled.push(position);
      },
      onStop: (error: unknown) => this.stops.push(error),
      onReadError: (error: unknown) => this.readErrors.push(error),
      ...options,
    };
    this.reader = follow<Item>(all, all, this.clock);
  }

  /** Makes commits durable, and notifies the reader of the last. */
  append(count: number): void {
    this.stored += count;
    this.reader.notify(item(this.stored));
  }
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
const fail = (error: Error) => () => {
  throw error;
};

describe('the reader of a partition', () => {
  it('starts after the given position, and reads to the end', async () => {
    const bench = new Bench({ after: 3 }, 200);
    await bench.clock.advance(0);
    expect(bench.handled).to.deep.equal(upTo(200).slice(3));
    expect(bench.reader.position).to.equal(200);
  });

  it('hands on a notified item at once, without a read', async () => {
    const bench = new Bench();
    await bench.clock.advance(0);
    const before = bench.reads;
    bench.append(1);
    bench.append(1);
    expect(bench.handled).to.deep.equal([1, 2]);
    expect(bench.reads).to.equal(before);
  });

  it('reads items that notifications skipped', async () => {
    const bench = new Bench();
    await bench.clock.advance(0);
    bench.append(5);
    await bench.clock.advance(0);
    expect(bench.handled).to.deep.equal(upTo(5));
  });

  it('polls within 500 ms after 1.5 s without a notification', async () => {
    const bench = new Bench();
    await bench.clock.advance(0);
    bench.append(1);
    const before = bench.reads;
    await bench.clock.advance(1499);
    expect(bench.reads).to.equal(before);
    bench.stored = 3;
    await bench.clock.advance(501);
    expect(bench.handled).to.deep.equal([1, 2, 3]);
  });

  it('handles one item at a time, and reads nothing twice', async () => {
    const open: (() => void)[] = [];
    const bench = new Bench({
      handle: ({ position }) => {
        bench.handled.push(position);
        return new Promise<void>((resolve) => open.push(resolve));
      },
    });
    await bench.clock.advance(0);
    const before = bench.reads;
    for (let i = 0; i < 3; i++) bench.append(1);
    expect(bench.handled).to.deep.equal([1]);
    for (let i = 0; i < 3; i++) {
      open[i]?.();
      await bench.clock.advance(0);
    }
    expect(bench.handled).to.deep.equal([1, 2, 3]);
    expect(bench.reads).to.equal(before);
  });

  it('buffers a limited number of notified items, and reads the rest', async () => {
    let go: () => void = () => {};
    const bench = new Bench({
      handle: ({ position }) => {
        bench.handled.push(position);
        return position === 1 ? new Promise<void>((resolve) => (go = resolve)) : undefined;
      },
    });
    await bench.clock.advance(0);
    const before = bench.reads;
    for (let i = 0; i < 1000; i++) bench.append(1);
    go();
    await bench.clock.advance(0);
    expect(bench.handled).to.deep.equal(upTo(1000));
    expect(bench.reads).to.be.greaterThan(before + 10);
  });

  it('reads again at a gap, and continues if it has closed', async () => {
    const bench = new Bench();
    await bench.clock.advance(0);
    bench.mishaps.push(fail(new HoleError(0, 1)));
    bench.append(3);
    await bench.clock.advance(0);
    expect(bench.handled).to.deep.equal([1, 2, 3]);
    expect(bench.stops).to.deep.equal([]);
  });

  it('stops at a gap seen twice, and reports it once', async () => {
    const bench = new Bench();
    await bench.clock.advance(0);
    const hole = new HoleError(0, 1);
    bench.mishaps.push(fail(hole), fail(hole));
    bench.append(3);
    await bench.clock.advance(60_000);
    bench.append(1);
    await bench.clock.advance(60_000);
    expect(bench.stops).to.deep.equal([hole]);
    expect(bench.handled).to.deep.equal([]);
  });

  it('stops at a page with a gap', async () => {
    const bench = new Bench();
    await bench.clock.advance(0);
    bench.mishaps.push(() => [item(1), item(3)]);
    bench.append(3);
    await bench.clock.advance(0);
    expect(bench.handled).to.deep.equal([1]);
    expect(bench.stops).to.have.length(1);
    expect(bench.stops[0]).to.be.instanceOf(HoleError).with.property('missing', 2);
  });

  it('stops when the store or its handler fails', async () => {
    for (const error of [new StorageError('gone'), new Error('cannot handle')]) {
      const broken = error instanceof StorageError;
      const bench = new Bench(broken ? {} : { handle: fail(error) });
      await bench.clock.advance(0);
      if (broken) bench.mishaps.push(fail(error));
      bench.append(2);
      await bench.clock.advance(60_000);
      expect(bench.stops).to.deep.equal([error]);
    }
  });

  it('retries a failed read with back-off, regardless of notifications', async () => {
    const bench = new Bench();
    await bench.clock.advance(0);
    for (let i = 0; i < 6; i++) bench.mishaps.push(fail(new Error('no server')));
    bench.append(2);
    // After 50, 100, 200, 400, 800 and 1,600 ms.
    await bench.clock.advance(1549);
    for (let i = 0; i < 10; i++) bench.reader.notify(item(2));
    await bench.clock.advance(0);
    expect(bench.readErrors).to.have.length(5);
    await bench.clock.advance(1601);
    expect(bench.readErrors).to.have.length(6);
    expect(bench.handled).to.deep.equal([1, 2]);
    expect(bench.stops).to.deep.equal([]);
  });

  it('retries a read that lags behind the notifications', async () => {
    const bench = new Bench();
    await bench.clock.advance(0);
    for (let i = 0; i < 3; i++) bench.mishaps.push(() => []);
    bench.append(4);
    await bench.clock.advance(1000);
    expect(bench.handled).to.deep.equal(upTo(4));
    expect(bench.stops).to.deep.equal([]);
  });

  it('hands on nothing after a stop', async () => {
    const bench = new Bench();
    await bench.clock.advance(0);
    await bench.reader.stop();
    bench.append(1);
    await bench.clock.advance(60_000);
    expect(bench.handled).to.deep.equal([]);
  });

  it('hands on each item once and in order, whatever notifications and reads do', async () => {
    const act = fc.oneof(
      fc.record({ kind: fc.constantFrom('ring', 'append', 'wait'), n: fc.nat(70) }),
      fc.record({ kind: fc.constantFrom('fail', 'lag', 'gap'), n: fc.constant(1) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 30 }), fc.boolean(), async (acts, slow) => {
        const bench = new Bench({
          handle: ({ position }) => {
            bench.handled.push(position);
            return slow ? Promise.resolve() : undefined;
          },
        });
        for (const { kind, n } of acts) {
          if (kind === 'append') for (let i = 0; i < n; i++) bench.append(1);
          if (kind === 'ring') {
            bench.stored += n % 3;
            if (n < bench.stored) bench.reader.notify(item(bench.stored - n));
          }
          if (kind === 'wait') await bench.clock.advance(n * 10);
          // One gap at a time: two in a row would rightly stop the reader.
          if (kind === 'gap') await bench.clock.advance(0);
          if (kind === 'gap' && bench.mishaps.length === 0) bench.mishaps.push(fail(new HoleError(0, 1)));
          if (kind === 'fail') bench.mishaps.push(fail(new Error('no server')));
          if (kind === 'lag') bench.mishaps.push(() => []);
        }
        await bench.clock.advance(200_000);
        expect(bench.stops).to.deep.equal([]);
        expect(bench.handled).to.deep.equal(upTo(bench.stored));
        await bench.reader.stop();
      }),
      { numRuns: runs(40) },
    );
  });

  it('reads up to the notified tail, and polls only without notifications', async () => {
    const bench = new Bench();
    await bench.clock.advance(0);
    bench.stored = 3;
    bench.reader.notifyTail(3);
    await bench.clock.advance(0);
    expect(bench.handled).deep.equal(upTo(3));
    const { reads } = bench;
    for (let i = 0; i < 10; i++) {
      await bench.clock.advance(1000);
      bench.reader.notifyTail(3);
    }
    expect(bench.reads).equal(reads);
  });

  it('ignores a notified tail behind its own position', async () => {
    const bench = new Bench();
    bench.stored = 3;
    bench.reader.notifyTail(3);
    await bench.clock.advance(0);
    bench.stored = 4;
    for (let i = 0; i < 5; i++) {
      bench.reader.notifyTail(2);
      await bench.clock.advance(500);
    }
    expect(bench.handled).deep.equal(upTo(4));
  });
});
