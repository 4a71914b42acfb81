import { expect } from 'chai';
import { HoleError, StorageError } from '../../src/log/log.js';
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
  readonly read?: ProjectorLoopOptions['log']['read'];
}

async function setUp({ store = new MemoryRows(), log = new MemoryLog(), read }: Options = {}) {
  const pages = new Pages();
  const troubles: unknown[] = [];
  const progress: (string | undefined)[] = [];
  const projector = await Projector.open(store, allProjections(), 1);
  const loop = new ProjectorLoop(
    {
      projector,
      log: { read: read ?? ((partition, after, limit) => log.read(partition, after, limit)) },
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
  it('folds what is in the log and what comes, told of it or not', async () => {
    const { loop, append, hasAll, expectAll, progress } = await setUp();
    for (let n = 0; n < 200; n++) await append(message(n));
    const running = loop.run();
    await eventually('the log is folded', hasAll);
    loop.notify(await append(message(200)));
    await append(message(201));
    loop.notify(await append(message(202)));
    await eventually('what came is folded', hasAll);
    expect(progress.at(-1)).to.equal(undefined);
    loop.stop();
    await running;
    await expectAll();
  });

  it('says since when it is behind, until it has come to the end of the log', async () => {
    const { loop, pages, log, hasAll, progress } = await setUp();
    for (let n = 0; n < 300; n++) await log.append(pages.next([message(n)], new Date(n).toISOString()));
    const running = loop.run();
    await eventually('the log is folded', hasAll);
    await eventually('the end is seen', () => progress.at(-1) === undefined);
    expect(progress.some((since) => since !== undefined)).to.equal(true);
    loop.stop();
    await running;
  });

  it('writes at once what somebody waits for', async () => {
    const { loop, append, projector, hasAll } = await setUp();
    const running = loop.run();
    // Each write would wait for 250 ms; a hundred together must take far less.
    const started = performance.now();
    for (let n = 0; n < 100; n++) {
      const commit = await append(message(n));
      loop.requestWrite(0, commit.size);
      loop.notify(commit);
      while (projector.sizes(0).written < commit.size) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(performance.now() - started).to.be.below(100 * 250);
    expect(await hasAll()).to.equal(true);
    loop.stop();
    await running;
  });

  it('gathers rows that change often into one write', async () => {
    const store = new MemoryRows();
    let writes = 0;
    const write = store.write.bind(store);
    store.write = (...all) => {
      writes++;
      return write(...all);
    };
    const { loop, append, hasAll } = await setUp({ store });
    const running = loop.run();
    for (let n = 0; n < 100; n++) loop.notify(await append({ room: 0, message: n }));
    await eventually('all is folded', hasAll);
    expect(writes).to.be.below(20);
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
    for (let n = 0; n < 10; n++) loop.notify(await append(message(n), { user: n % 2, isOnline: n % 3 > 0 }));
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
      read: async (partition, after, limit) => {
        if (failures-- > 0) throw new Error('the log is away');
        return log.read(partition, after, limit);
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
    const running = loop.run();
    loop.notify(await append(message(1)));
    await eventually('it has failed some times', () => troubles.length > 3);
    loop.stop();
    await running;
  });

  it('writes what is folded when it is stopped', async () => {
    const { loop, append, hasAll, projector } = await setUp();
    const running = loop.run();
    loop.notify(await append(message(1)));
    await eventually('it is folded', () => projector.sizes(0).folded === 1);
    loop.stop();
    await running;
    expect(await hasAll()).to.equal(true);
  });

  it('takes only so much at once: what it has no room for it reads later', async () => {
    const store = new MemoryRows();
    const { loop, pages, log, hasAll } = await setUp({ store });
    const running = loop.run();
    const long = 'x'.repeat(60_000);
    for (let n = 0; n < 120; n++) {
      const commit = pages.next([{ room: 0, message: n }]);
      await log.append(commit);
      loop.notify({ ...commit, leaves: commit.leaves.map((leaf) => leaf.replace('sealed', long)) });
    }
    await eventually('all is folded', hasAll);
    loop.stop();
    await running;
  });

  const ends: Record<string, { log?: MemoryLog; read?: ProjectorLoopOptions['log']['read'] }> = {
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
