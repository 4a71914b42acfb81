import { expect } from 'chai';
import { decodeCommit } from '../../src/projections/commitBuffer.js';
import { Projector } from '../../src/projections/projector.js';
import { activeProjections, Rebuild } from '../../src/projections/rebuilder.js';
import {
  type AnyModel,
  dropOther,
  foldedBy,
  markReady,
  type RowStore,
  readGeneration,
  switchGeneration,
  tableOf,
} from '../../src/projections/store/rowStore.js';
import { openSqliteRows } from '../../src/projections/store/sqliteRows.js';
import { MemoryLog } from '../support/memoryLog.js';
import { allProjections, digestsModel, Pages } from '../support/notebook.js';

const [digests] = allProjections();
if (!digests) throw new Error('there is no projection');
const key = 'room 0';
const positionOf = async (store: RowStore, model: AnyModel) =>
  foldedBy(await store.checkpoints(), [tableOf(model)], 0).position;

async function setUp() {
  const store = openSqliteRows(':memory:');
  const log = new MemoryLog();
  const pages = new Pages();
  const live = await Projector.open(store, [digests ?? expect.fail()], 1);
  for (let n = 0; n < 40; n++) {
    const commit = pages.next([{ room: 0, message: n }]);
    await log.append(commit);
    await live.fold([decodeCommit(commit)]);
  }
  await live.write();
  return { store, log, live };
}

describe('A rebuild', () => {
  it('folds beside the live table, which stays as it is', async () => {
    const { store, log, live } = await setUp();
    const before = await store.get(digestsModel, [key]);
    const rebuild = await Rebuild.begin({ store, log, partitions: 1 }, digests, 0);
    const states: boolean[] = [];
    for (let step = 0; step < 4; step++) {
      await rebuild.step();
      states.push(rebuild.hasCaughtUp([live.position(0)]));
    }
    expect(states).to.deep.equal([false, false, true, true]);
    expect(await store.get(digestsModel, [key])).to.deep.equal(before);
    expect(await store.get(rebuild.projection.model as typeof digestsModel, [key])).to.deep.equal(before);
  });

  it('is what is read from the switch on, and the old table is dropped', async () => {
    const { store, log } = await setUp();
    const rebuild = await Rebuild.begin({ store, log, partitions: 1 }, digests);
    await rebuild.step();
    await switchGeneration(store, digests.model, rebuild.generation);
    await switchGeneration(store, digests.model, rebuild.generation);
    expect(await activeProjections(store, [digests])).to.have.nested.property('[0].generation', 1);
    await dropOther(store, digests.model, 1);
    expect(await readGeneration(store, digests.model)).to.include({ active: 1, other: 0 });
    await dropOther(store, digests.model, 0);
    expect(await readGeneration(store, digests.model)).to.include({ active: 1, other: null });
    await store.prepare(digestsModel);
    expect((await store.get(digestsModel, [key])).size).to.equal(0);
    expect(await positionOf(store, digestsModel)).to.equal(0);
  });

  it('that was interrupted leaves the live table alone, and nothing else once it is dropped', async () => {
    const { store, log } = await setUp();
    const interrupted = await Rebuild.begin({ store, log, partitions: 1 }, digests, 0);
    await interrupted.step();
    expect(await activeProjections(store, [digests])).to.have.nested.property('[0].generation', 0);
    await dropOther(store, digests.model, interrupted.generation);
    const again = await Rebuild.begin({ store, log, partitions: 1 }, digests);
    expect(await positionOf(store, again.projection.model)).to.equal(0);
  });

  it('that was interrupted is gone on with by the next', async () => {
    const { store, log, live } = await setUp();
    await (await Rebuild.begin({ store, log, partitions: 1 }, digests, 0)).step();
    const next = await Rebuild.begin({ store, log, partitions: 1 }, digests);
    expect(await positionOf(store, next.projection.model)).to.be.above(0);
    while (!next.hasCaughtUp([live.position(0)])) await next.step();
    expect(await store.get(next.projection.model as typeof digestsModel, [key])).to.deep.equal(
      await store.get(digestsModel, [key]),
    );
  });

  it('waits until the table that the one before has left is dropped', async () => {
    const { store, log } = await setUp();
    const { generation } = await Rebuild.begin({ store, log, partitions: 1 }, digests);
    await switchGeneration(store, digests.model, generation);
    const refused = await Rebuild.begin({ store, log, partitions: 1 }, digests).catch(
      (error: unknown) => error,
    );
    expect(refused).to.have.property('code', 'conflict');
  });

  it('changes nothing by a step that another process has taken', async () => {
    const { store, log } = await setUp();
    const { generation } = await Rebuild.begin({ store, log, partitions: 1 }, digests);
    await switchGeneration(store, digests.model, generation);
    const switched = await readGeneration(store, digests.model);
    await markReady(store, digests.model, generation);
    await switchGeneration(store, digests.model, generation);
    expect(await readGeneration(store, digests.model)).to.deep.equal(switched);
  });
});
