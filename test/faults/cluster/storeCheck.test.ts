import { expect } from 'chai';
import { type Commit, readEach } from '../../../src/log/log.js';
import { allProjections } from '../../../src/projections/allProjections.js';
import { type CommitSource, decodeCommit } from '../../../src/projections/commitBuffer.js';
import { presenceProjection } from '../../../src/projections/models/userRows.js';
import { Projector } from '../../../src/projections/projector.js';
import { Pages } from '../../support/notebook.js';
import { MemoryRows } from '../../support/rowsMemory.js';
import { StoreCheck } from './storeCheck.js';

/** People come and go; the rows of their presence are folded up to `folded` commits. */
async function stage(folded = 3): Promise<{ rows: MemoryRows; commits: Commit[]; check: StoreCheck }> {
  const pages = new Pages();
  const commits = [
    pages.next([{ user: 1, isOnline: true }]),
    pages.next([
      { user: 2, isOnline: true },
      { user: 1, isOnline: false },
    ]),
    pages.next([{ user: 2, isOnline: false }]),
  ];
  const rows = new MemoryRows();
  const projections = allProjections({ notes: async () => [] });
  const projector = await Projector.open(rows, projections, 1);
  await projector.fold(commits.slice(0, folded).map(decodeCommit));
  await projector.write();
  const read = async (_: number, after: number) => commits.slice(after);
  const log: CommitSource & { id: string } = {
    id: 'log',
    read,
    readNext: (places, limit) => readEach({ read }, places, limit),
  };
  const check = new StoreCheck({ store: rows, log, partitions: 1, close: async () => {} }, 50);
  return { rows, commits, check };
}

describe('the check of a log and its read models', () => {
  it('finds nothing where all is well, however often it looks', async () => {
    const { check } = await stage();
    expect(await check.look()).to.deep.equal([]);
    expect(await check.look()).to.deep.equal([]);
  });

  it('finds a commit that was altered', async () => {
    const { commits, check } = await stage();
    const [, second] = commits;
    if (second)
      commits[1] = { ...second, leaves: second.leaves.map((leaf) => leaf.replace('user 2', 'user 3')) };
    expect((await check.look()).join()).to.include('wrong root');
  });

  it('finds a commit that is missing', async () => {
    const { commits, check } = await stage();
    commits.splice(1, 1);
    expect((await check.look()).join()).to.include('wrong position');
  });

  it('finds a row that no fold makes', async () => {
    const { rows, check } = await stage();
    const row = { key: 'user 1', partition: 0, offset: 3, value: { isOnline: true } };
    await rows.write([{ model: presenceProjection.model, rows: [row] }]);
    expect((await check.look()).join()).to.include('user 1');
  });

  it('finds read models that do not catch up', async () => {
    const { check } = await stage(2);
    expect((await check.look()).join()).to.include('has not caught up');
  });
});
