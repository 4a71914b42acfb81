import { expect } from 'chai';
import fc from 'fast-check';
import { StorageError } from '../../src/log/log.js';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import { Projector } from '../../src/projections/projector.js';
import { ProjectorLoop } from '../../src/projections/projectorLoop.js';
import { activeProjections, Rebuilder } from '../../src/projections/rebuilder.js';
import {
  foldedBy,
  generationOf,
  type Model,
  type RowStore,
  readGeneration,
  tableOf,
} from '../../src/projections/store/rowStore.js';
import { runs } from '../support/lanes.js';
import { MemoryLog } from '../support/memoryLog.js';
import { allProjections, digestsModel, foldedRows, story } from '../support/notebook.js';
import { MemoryRows } from '../support/rowsMemory.js';

/** A store without transactions, for one process, which dies at the given change of it. */
function mortal(store: RowStore, changes: number): RowStore {
  let left = changes;
  const change = async (work: () => Promise<void>) => {
    // With this error the loop ends, as the process would.
    if (left-- <= 0) throw new StorageError('the process has died');
    await work();
  };
  return {
    get: (...asked) => store.get(...asked),
    range: (...asked) => store.range(...asked),
    find: (...asked) => store.find(...asked),
    places: (...asked) => store.places(...asked),
    findPrefix: (...asked) => store.findPrefix(...asked),
    checkpoints: (partitions) => store.checkpoints(partitions),
    removeIndexEntries: (...asked) => store.removeIndexEntries(...asked),
    scrub: () => store.scrub(),
    close: () => store.close(),
    prepare: (model) => change(() => store.prepare(model)),
    drop: (model) => change(() => store.drop(model)),
    async write(writes, checkpoints = []) {
      for (const { model, rows } of writes)
        for (const row of rows) await change(() => store.write([{ model, rows: [row] }]));
      for (const one of checkpoints) await change(() => store.write([], [one]));
    },
  };
}

/** The projections of one process, from its start to its death or its stop. */
class Process {
  readonly switched: number[] = [];
  readonly ended: Promise<unknown>;

  private constructor(
    readonly rebuilder: Rebuilder,
    readonly loop: ProjectorLoop,
  ) {
    rebuilder.start();
    this.ended = loop.run().then(
      () => 'stopped',
      () => 'died',
    );
  }

  static async start(store: RowStore, log: MemoryLog): Promise<Process> {
    const active = await activeProjections(store, allProjections());
    const projector = await Projector.open(
      store,
      active.map(({ projection }) => projection),
      1,
    );
    const rebuilder: Rebuilder = new Rebuilder({
      ...{ engine: { store, log, partitions: 1 }, projector, active, settleMs: 0 },
      events: {
        onAdopted: () => loop.restart(),
        onSwitch: async (_, generation) => {
          process.switched.push(generation);
        },
        onRetry: () => {},
        onBegin: () => loop.requestTurn(),
      },
    });
    const loop: ProjectorLoop = new ProjectorLoop(
      { projector, log, sideWork: rebuilder, onRetry: () => {}, onProgress: () => {} },
      [0],
    );
    const process = new Process(rebuilder, loop);
    return process;
  }

  async stop(): Promise<void> {
    this.rebuilder.stop();
    this.loop.stop();
    await this.ended;
  }
}

describe('A rebuilt table', () => {
  it('takes over once, with each event folded once, wherever the process dies', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(250), { maxLength: 4 }),
        fc.integer({ min: 1, max: 60 }),
        async (deaths, length) => {
          const store = new MemoryRows();
          const log = new MemoryLog();
          const commits = story(length + 20 * (deaths.length + 1));
          let told = 0;
          const append = async (process: Process, most: number) => {
            for (const commit of commits.slice(told, most)) {
              await log.append(commit);
              told++;
              process.loop.requestWrite(0, commit.size);
              await new Promise(setImmediate);
            }
          };
          for (const [i, changes] of deaths.entries()) {
            const process = await Process.start(mortal(store, changes), log).catch(() => undefined);
            if (!process) continue;
            const rebuilt = process.rebuilder.rebuild('digests').catch(() => {});
            await append(process, length + 20 * i);
            await Promise.race([rebuilt, process.ended]);
            await process.stop();
          }
          const { active: before } = await readGeneration(store, digestsModel);
          const last = await Process.start(store, log);
          const rebuilt = last.rebuilder.rebuild('digests');
          await append(last, commits.length);
          await rebuilt;
          await last.stop();
          expect(last.switched).to.deep.equal([before + 1]);
          expect(await readGeneration(store, digestsModel)).to.include({ active: before + 1, other: null });
          await expectRows(store, log, before + 1);
        },
      ),
      { numRuns: runs(60) },
    ));
});

/** All live tables are at the end of the log, at one checkpoint; the digests tell of each event exactly once. */
async function expectRows(store: RowStore, log: MemoryLog, generation: number): Promise<void> {
  const events = log.commits().flatMap((commit) => [...decodeCommit(commit).events]);
  const expected = foldedRows(events);
  const models = allProjections().map(({ model }) =>
    model.name === 'digests' ? generationOf(model, generation) : model,
  );
  const stored = await store.checkpoints();
  expect(foldedBy(stored, models.map(tableOf), 0).size).to.equal(events.length);
  const furthest = stored.filter(({ size }) => size === events.length);
  expect(furthest.map(({ tables }) => tables)).to.deep.equal([models.map(tableOf).sort()]);
  for (const [i, { model, keys }] of allProjections().entries()) {
    const names = [...new Set(events.flatMap((event) => keys(event)))];
    // The rows are only shown.
    const found = await store.get(models[i] as Model<unknown>, names);
    for (const key of names) {
      const row = found.get(key);
      expect(JSON.stringify([row?.offset, row?.value]), key).to.equal(expected.get(`${model.name} ${key}`));
    }
  }
}
