import { verifyLog } from '../../src/audit/verify/verify.js';
import { isPeer } from '../systems/system.js';
import { cell, type Measure } from './measure.js';

const goalPerSecond = 100_000;

/** Measures how fast a log and its read models are verified while the server runs. */
export const verify: Measure = {
  name: 'verify',
  async run({ systems, bigLogs, log }) {
    const cells = [];
    for (const system of systems) {
      if (isPeer(system.name)) continue;
      const { engine } = (await bigLogs.of(system)).running;
      if (!engine) continue;
      const from = performance.now();
      const { partitions, mismatch } = await verifyLog({ engine, heads: [], since: [], keys: [] });
      if (mismatch) throw new Error(mismatch.what);
      const events = partitions.reduce((sum, partition) => sum + partition.events, 0);
      const rate = (events * 1000) / (performance.now() - from);
      const value = `${Math.round(rate).toLocaleString('en')}/s`;
      log(`${system.name}: ${value} verified`);
      cells.push(cell(system.name, value, rate >= goalPerSecond));
    }
    return [{ measure: 'verify', goal: `≥ ${goalPerSecond.toLocaleString('en')} events/s`, cells }];
  },
};
