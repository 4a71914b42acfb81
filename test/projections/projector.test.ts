import { expect } from 'chai';
import fc from 'fast-check';
import { type DecodedCommit, decodeCommit } from '../../src/projections/commitBuffer.js';
import { Projector } from '../../src/projections/projector.js';
import type { RowStore } from '../../src/projections/store/rowStore.js';
import { openSqliteRows } from '../../src/projections/store/sqliteRows.js';
import { runs } from '../support/lanes.js';
import { allProjections, foldedRows, linesModel, type Note, Pages, rowsOf } from '../support/notebook.js';
import { MemoryRows } from '../support/rowsMemory.js';

const some = (most: number) => fc.integer({ min: 0, max: most });

const note: fc.Arbitrary<Note> = fc.oneof(
  fc.record({ room: some(2), message: some(20) }),
  fc.record({ room: some(2), read: some(20) }),
  fc.record({ user: some(1), isOnline: fc.boolean() }),
);

/** The next step of one of two projectors on one store. */
const action = fc.record({
  who: fc.constantFrom(0, 1),
  /** Folds this many commits, some of which it has seen before. */
  fold: some(4),
  repeat: some(3),
  /** Then writes, and dies after so many rows and checkpoints, or survives. */
  write: fc.boolean(),
  diesAfter: fc.option(some(6)),
});

class Death extends Error {
  override readonly name = 'Death';
}

/** A store without transactions whose writer dies after so many rows and checkpoints. */
function dyingAfter(store: RowStore, steps: number): RowStore {
  return {
    ...store,
    async write(writes, checkpoints = []) {
      const rows = writes.flatMap((write) =>
        write.rows.map((row) => () => store.write([{ ...write, rows: [row] }])),
      );
      const last = checkpoints.map((checkpoint) => () => store.write([], [checkpoint]));
      for (const step of [...rows, ...last].slice(0, steps)) await step();
      throw new Death();
    },
  };
}

/** A projector that restarts at the store's checkpoints each time it has died. */
class Mortal {
  #projector: Projector | undefined;
  #steps: number | undefined;

  constructor(
    private readonly store: RowStore,
    private readonly log: readonly DecodedCommit[],
  ) {}

  async act({
    fold,
    repeat,
    write,
    diesAfter,
  }: typeof action extends fc.Arbitrary<infer A> ? Omit<A, 'who'> : never) {
    this.#steps = diesAfter ?? undefined;
    this.#projector ??= await Projector.open(this.#mortalStore(), allProjections(), 1);
    const position = this.#projector.position(0);
    await this.#projector.fold(this.log.slice(Math.max(0, position - repeat), position + fold));
    if (write)
      await this.#projector.write().catch((error: unknown) => {
        if (!(error instanceof Death)) throw error;
        this.#projector = undefined;
      });
  }

  async finish(): Promise<void> {
    await this.act({ fold: this.log.length, repeat: 0, write: true, diesAfter: null });
  }

  #mortalStore(): RowStore {
    const store = this.store;
    return {
      ...store,
      write: (...write) =>
        (this.#steps === undefined ? store : dyingAfter(store, this.#steps)).write(...write),
    };
  }
}

/** The index has exactly the terms of the rows that there are. */
async function expectIndexOfLines(store: RowStore): Promise<void> {
  const rows = await store.range(linesModel, { limit: 1000 });
  const idOf = linesModel.indexes.id ?? expect.fail('there is no index');
  for (const prefix of ['message', 'read']) {
    const found = await store.findPrefix(linesModel, 'id', prefix, 1000);
    const terms = rows.flatMap(({ value, ...row }) => {
      const entry = value === null ? undefined : idOf({ ...row, value });
      return (entry?.terms ?? [])
        .filter((term) => term.startsWith(prefix))
        .map((term) => `${term} ${row.key}`);
    });
    expect(found.map(({ term, row }) => `${term} ${row.key}`).sort()).to.deep.equal(terms.sort());
  }
}

describe('A projector', () => {
  const openStore = () => openSqliteRows(':memory:');
  const commitsOf = (plan: readonly (readonly Note[])[]): DecodedCommit[] => {
    const pages = new Pages();
    return plan.map((notes) => decodeCommit(pages.next(notes)));
  };
  const eventsOf = (commits: readonly DecodedCommit[]) => commits.flatMap(({ events }) => events);

  it('gives the rows of a fresh fold, whatever the batches, crashes, repeats and projectors at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(note, { maxLength: 4 }), { minLength: 1, maxLength: 12 }),
        fc.array(action, { maxLength: 12 }),
        async (plan, actions) => {
          const commits = commitsOf(plan);
          const store = openStore();
          const projectors = [new Mortal(store, commits), new Mortal(store, commits)];
          for (const { who, ...act } of actions) await projectors[who]?.act(act);
          // A projector that is far behind may end last; it must restore nothing old.
          await Promise.all(projectors.map((projector) => projector.finish()));
          expect(await rowsOf(store, eventsOf(commits))).to.deep.equal(foldedRows(eventsOf(commits)));
          await expectIndexOfLines(store);
          await store.close();
        },
      ),
      { numRuns: runs(150) },
    );
  });

  it('begins at its checkpoints and reads nothing before them again', async () => {
    const commits = commitsOf([
      [{ room: 0, message: 1 }],
      [{ room: 0, message: 2 }],
      [{ room: 0, message: 3 }],
    ]);
    const store = openStore();
    const first = await Projector.open(store, allProjections(), 1);
    await first.fold(commits.slice(0, 2));
    await first.write();
    const second = await Projector.open(store, allProjections(), 1);
    expect(second.position(0)).to.equal(2);
    await second.fold(commits.slice(2));
    await second.write();
    expect(await rowsOf(store, eventsOf(commits))).to.deep.equal(foldedRows(eventsOf(commits)));
  });

  it('refuses a gap', async () => {
    const commits = commitsOf([[{ room: 0, message: 1 }], [{ room: 0, message: 2 }]]);
    const projector = await Projector.open(openStore(), allProjections(), 1);
    const refused = await projector.fold(commits.slice(1)).catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(RangeError);
    expect(projector.position(0)).to.equal(0);
  });

  it('tells how far each partition is written, fencing commits included', async () => {
    const projector = await Projector.open(openStore(), allProjections(), 2);
    await projector.fold(commitsOf([[{ room: 0, message: 1 }], []]));
    expect(projector.isBehind).to.equal(true);
    expect(projector.sizes(0)).to.deep.equal({ folded: 1, written: 0 });
    const advances = await projector.write();
    expect(advances).to.deep.equal([{ partition: 0, size: 1 }]);
    expect(projector.isBehind).to.equal(false);
    expect(await projector.write()).to.deep.equal([]);
  });

  it('loses nothing when a write fails: it is reset and folds again', async () => {
    const commits = commitsOf([
      [{ room: 0, message: 1 }],
      [
        { room: 0, read: 1 },
        { user: 0, isOnline: true },
      ],
    ]);
    const store = openStore();
    let isFull = true;
    const failing = {
      ...store,
      write: async (...write: Parameters<RowStore['write']>) => {
        if (isFull) throw new Error('no');
        await store.write(...write);
      },
    };
    const projector = await Projector.open(failing, allProjections(), 1);
    await projector.fold(commits);
    expect(await projector.write().catch(() => 'failed')).to.equal('failed');
    isFull = false;
    await projector.reset();
    expect(projector.position(0)).to.equal(0);
    await projector.fold(commits);
    await projector.write();
    expect(await rowsOf(store, eventsOf(commits))).to.deep.equal(foldedRows(eventsOf(commits)));
  });

  it('loads a row once, not for each batch', async () => {
    const store = new MemoryRows();
    let loads = 0;
    const load = store.get.bind(store);
    store.get = (model, keys) => {
      loads++;
      return load(model, keys);
    };
    const projector = await Projector.open(store, allProjections(), 1);
    for (const commit of commitsOf([
      [{ room: 0, message: 1 }],
      [{ room: 0, message: 2 }],
      [{ room: 0, read: 2 }],
    ])) {
      await projector.fold([commit]);
      await projector.write();
    }
    expect(loads).to.equal(1);
  });
});
