import { expect } from 'chai';
import { HoleError, readEach, StorageError } from '../../src/log/log.js';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import { Projector } from '../../src/projections/projector.js';
import { ProjectorLoop, type ProjectorLoopOptions } from '../../src/projections/projectorLoop.js';
import { foldedBy, type RowStore, tableOf } from '../../src/projections/store/rowStore.js';
import { eventually } from '../support/eventually.js';
import { MemoryLog } from '../support/memoryLog.js';
import { allProjections, foldedRows, type Note, Pages, rowsOf } from '../support/notebook.js';
import { MemoryRows } from '../support/rowsMemory.js';

const tables = allProjections().map(({ model }) => tableOf(model));
const message = (n: number): Note => ({ room: n % 3, message: n });

interface Options {
  readonly store?: RowStore;
  readonly log?: MemoryLog;
  readonly read?: ProjectorLoopOptions['log']['readNext'];
}

async function setUp({ store = new MemoryRows(), log = new MemoryLog(), read }: Options = {}) {
  const pages = new Pages();
  const troubles: unknown[] = [];
  const progress: (string | undefined)[] = [];
  const projector = await Projector.open(store, allProjections(), 1);
  const loop = new ProjectorLoop(
    {
      projector,
      log: {
        read: (partition, after, limit) => log.read(partition, after, limit),
        readNext: read ?? ((places, limit) => log.readNext(places, limit)),
      },
      sideWork: { step: async () => false, reset: async () => {} },
      onProgress: (_, behindSince) => progress.push(behindSince),
      onRetry: (error) => troubles.push(error),
    },
    [0],
  );
  const append = async (...notes: Note[]) => {
    const commit = pages.next(notes);
    await log.append(commit);
    return commit;
  };
  const events = () => log.commits().flatMap((commit) => [...decodeCommit(commit).events]);
  const hasAll = async () => {
    const { size } = log.commits().at(-1) ?? { size: 0 };
    return foldedBy(await store.checkpoints(), tables, 0).size === size;
  };
  const expectAll = async () => expect(await rowsOf(store, events())).to.deep.equal(foldedRows(events()));
  return { store, log, pages, troubles, progress, projector, loop, append, hasAll, expectAll };
}

describe('A follower of the log', () => {
  it('folds what is in the log and what comes, without being told of it', async () => {
    const { loop, append, hasAll, expectAll, progress } = await setUp();
    for (let n = 0; n < 200; n++) await append(message(n));
    const running = loop.run();
    await eventually('the log is folded', hasAll);
    await append(message(200));
    await append(message(201));
    await eventually('what came is folded', hasAll);
    expect(progress.at(-1)).to.equal(undefined);
    loop.stop();
    await running;
    await expectAll();
  });

  it('says since when it is behind, until it has come to the end of the log', async () => {
    const { loop, pages, log, hasAll, progress } = await setUp();
    for (let n = 0; n < 600; n++) await log.append(pages.next([message(n)], new Date(n).toISOString()));
    const running = loop.run();
    await eventually('the log is folded', hasAll);
    await eventually('the end is seen', () => progress.at(-1) === undefined);
    expect(progress.some((since) => since !== undefined)).to.equal(true);
    loop.stop();
    await running;
  });

  it('reads and writes at once what somebody waits for', async () => {
    const { loop, append, projector, hasAll } = await setUp();
    const running = loop.run();
    // The log is read once a second; a hundred reads must take far less.
    const started = performance.now();
    for (let n = 0; n < 100; n++) {
      const { size } = await append(message(n));
      loop.requestWrite(0, size);
      while (projector.sizes(0).written < size) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(performance.now() - started).to.be.below(100 * 500);
    expect(await hasAll()).to.equal(true);
    loop.stop();
    await running;
  });

  it('reads again what somebody waits for when the log does not show it at once', async () => {
    const log = new MemoryLog();
    let hidden = 0;
    const { loop, append, projector } = await setUp({
      log,
      read: async (places, limit) => (hidden-- > 0 ? [] : log.readNext(places, limit)),
    });
    const running = loop.run();
    await eventually('the first turn is over', () => hidden < 0);
    const { size } = await append(message(1));
    hidden = 4;
    loop.requestWrite(0, size);
    await eventually('it is written', () => projector.sizes(0).written === size);
    loop.stop();
    await running;
  });

  it('gathers what comes into few reads and writes', async () => {
    const [store, log] = [new MemoryRows(), new MemoryLog()];
    let [reads, writes] = [0, 0];
    const write = store.write.bind(store);
    store.write = (...all) => {
      writes++;
      return write(...all);
    };
    const { loop, append, hasAll } = await setUp({
      ...{ store, log },
      read: (places, limit) => {
        reads++;
        return log.readNext(places, limit);
      },
    });
    const running = loop.run();
    for (let n = 0; n < 100; n++) {
      await append({ room: 0, message: n });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually('all is folded', hasAll);
    expect(reads).to.be.below(20);
    expect(writes).to.be.below(20);
    loop.stop();
    await running;
  });

  it('reads all partitions with one call, and none is left behind by one with much to read', async () => {
    const [store, log] = [new MemoryRows(), new MemoryLog(3)];
    const pages = [0, 1, 2].map((partition) => new Pages(partition));
    const append = async (partition: number, length: number) =>
      log.append((pages[partition] ?? expect.fail()).next(Array.from({ length }, (_, n) => message(n))));
    // The first partition alone fills several reads.
    const asked: number[][] = [];
    const long = 'x'.repeat(60_000);
    const read: ProjectorLoopOptions['log']['readNext'] = async (places, limit) => {
      asked.push(places.map(({ partition }) => partition));
      const source = {
        read: async (partition: number, after: number, most: number) => {
          const commits = await log.read(partition, after, partition === 0 ? Math.min(most, 30) : most);
          return partition > 0
            ? commits
            : commits.map((commit) => ({
                ...commit,
                leaves: commit.leaves.map((leaf) => leaf.replace('sealed', long)),
              }));
        },
      };
      return readEach(source, places, limit);
    };
    for (let n = 0; n < 200; n++) await append(0, 3);
    await append(1, 1);
    await append(2, 1);
    const projector = await Projector.open(store, allProjections(), 3);
    const loop = new ProjectorLoop(
      {
        ...{ projector, log: { read: (...of) => log.read(...of), readNext: read } },
        sideWork: { step: async () => false, reset: async () => {} },
        ...{ onProgress: () => {}, onRetry: () => {} },
      },
      [0, 1, 2],
    );
    const running = loop.run();
    loop.requestWrite(2, 1);
    await eventually('the small ones are written', () => projector.sizes(2).written === 1);
    expect(projector.sizes(0).folded, 'before the large one is').to.be.below(600);
    await eventually('the large one is written', () => projector.sizes(0).written === 600);
    expect(asked.slice(0, 2)).to.deep.equal([
      [0, 1, 2],
      [1, 2],
    ]);
    loop.stop();
    await running;
  });

  it('tries again after a failed write, and loses nothing', async () => {
    const store = new MemoryRows();
    const write = store.write.bind(store);
    let failures = 4;
    store.write = async (all, checkpoints) => {
      if (failures-- <= 0) return write(all, checkpoints);
      // Half of the write is stored all the same.
      await write(all.slice(0, 1));
      throw new Error('the store is away');
    };
    const { loop, append, hasAll, expectAll, troubles } = await setUp({ store });
    const running = loop.run();
    for (let n = 0; n < 10; n++) await append(message(n), { user: n % 2, isOnline: n % 3 > 0 });
    await eventually('all is folded', hasAll);
    expect(troubles.map(String)).to.deep.equal(Array(4).fill('Error: the store is away'));
    loop.stop();
    await running;
    await expectAll();
  });

  it('reads the log again after it could not be read', async () => {
    const log = new MemoryLog();
    let failures = 2;
    const { loop, append, hasAll, troubles } = await setUp({
      log,
      read: async (places, limit) => {
        if (failures-- > 0) throw new Error('the log is away');
        return log.readNext(places, limit);
      },
    });
    await append(message(1));
    const running = loop.run();
    await eventually('the log is folded', hasAll);
    expect(troubles.map(String)).to.deep.equal(Array(2).fill('Error: the log is away'));
    loop.stop();
    await running;
  });

  it('can be stopped while it waits to try again', async () => {
    const store = new MemoryRows();
    store.write = () => Promise.reject(new Error('the store is away'));
    const { loop, append, troubles } = await setUp({ store });
    await append(message(1));
    const running = loop.run();
    await eventually('it has failed some times', () => troubles.length > 3);
    loop.stop();
    await running;
  });

  it('writes what is folded when it is stopped', async () => {
    const store = new MemoryRows();
    const { loop, append, projector, hasAll } = await setUp({ store });
    // So many that the end is not reached at once: before it nothing needs to be written.
    for (let n = 0; n < 600; n++) await append(message(n));
    const running = loop.run();
    await eventually('some is folded', () => projector.sizes(0).folded > 0);
    const { folded } = projector.sizes(0);
    loop.stop();
    await running;
    expect(foldedBy(await store.checkpoints(), tables, 0).size).to.be.at.least(folded);
    expect(await hasAll()).to.equal(projector.sizes(0).folded === 600);
  });

  const ends: Record<string, { log?: MemoryLog; read?: ProjectorLoopOptions['log']['readNext'] }> = {
    HoleError: { read: async () => Promise.reject(new HoleError(0, 1)) },
    StorageError: { read: async () => Promise.reject(new StorageError('broken')) },
  };
  for (const [name, options] of Object.entries(ends))
    it(`stops with ${name}`, async () => {
      const { loop } = await setUp(options);
      expect(await loop.run().catch((error: unknown) => error)).to.have.property('name', name);
    });

  it('stops with UnknownEventType and folds nothing behind it', async () => {
    const { loop, log, pages, store, append } = await setUp();
    await append(message(1));
    const { leaves } = pages.next([message(2)]);
    log.rival(leaves.map((leaf) => leaf.replace('MessageSent', 'MessageWhispered')));
    log.rival(leaves);
    const ended = await loop.run().catch((error: unknown) => error);
    expect(ended).to.have.property('name', 'UnknownEventType');
    expect(foldedBy(await store.checkpoints(), tables, 0).size).to.be.at.most(1);
  });
});
