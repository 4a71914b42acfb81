import { expect } from 'chai';
import { auditMemory } from '../../../bench/measures/auditMemory.js';
import { auditQuery } from '../../../bench/measures/auditQuery.js';
import { BigLogs } from '../../../bench/measures/bigLog.js';
import type { Row } from '../../../bench/measures/measure.js';
import { proof } from '../../../bench/measures/proof.js';
import { parleySqlite } from '../../../bench/systems/parley.js';
import { isSoak } from '../../support/lanes.js';

describe('the measures of the audit', () => {
  const bigLogs = new BigLogs(2000, () => {});
  const context = {
    systems: [parleySqlite],
    quick: true,
    bigLogs,
    log: () => {},
    windowMs: 2000,
    rates: [],
    isListing: false,
  };
  const values = (rows: readonly Row[]) => rows.map(({ cells: [cell] }) => cell?.value ?? '');

  before(function () {
    if (!isSoak) this.skip();
  });
  after(() => bigLogs.stop());

  it('time a proof, over HTTP', async () => {
    const rows = await proof.run(context);
    expect(values(rows)).to.have.length(1);
    for (const value of values(rows)) expect(value).to.match(/^\d+\.\d\d ms \(p50 \d+\.\d\d ms\)$/);
  });

  it('time queries by actor and by stream, over HTTP', async () => {
    const rows = await auditQuery.run(context);
    expect(values(rows)).to.have.length(2);
    for (const value of values(rows)) expect(value).to.match(/^\d+\.\d\d ms \(p50 \d+\.\d\d ms\)$/);
  });

  it('compare the memory of the commands on a log and on a tenth of it', async () => {
    const rows = await auditMemory.run(context);
    expect(rows.map(({ measure }) => /parley audit (\w+)/.exec(measure)?.[1])).to.deep.equal([
      'verify',
      'replay',
      'export',
    ]);
    for (const value of values(rows)) expect(value).to.match(/^[1-9]\d+ and [1-9]\d+ MB$/);
  });
});
