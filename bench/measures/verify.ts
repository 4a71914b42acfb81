import { verifyLog } from '../../src/audit/verify/verify.js';
import type { Engine } from '../../src/projections/store/engine.js';
import { isPeer } from '../systems/system.js';
import { cell, type Measure, medianRun } from './measure.js';

const goalPerSecond = 100_000;

async function verifiedPerSecond(engine: Engine): Promise<number> {
  const from = performance.now();
  const { partitions, mismatch } = await verifyLog({ engine, heads: [], since: [], keys: [] });
  if (mismatch) throw new Error(mismatch.what);
  const events = partitions.reduce((sum, partition) => sum + partition.events, 0);
  return (events * 1000) / (performance.now() - from);
}

/** Measures how fast a log and its read models are verified while the server runs. */
export const verify: Measure = {
  name: 'verify',
  async run({ systems, quick, bigLogs, log }) {
    const cells = [];
    for (const system of systems) {
      if (isPeer(system.name)) continue;
      const { engine } = (await bigLogs.of(system)).running;
      if (!engine) continue;
      const rate = await medianRun(system, quick, () => verifiedPerSecond(engine));
      const value = `${Math.round(rate).toLocaleString('en')}/s`;
      log(`${system.name}: ${value} verified`);
      cells.push(cell(system.name, value, rate >= goalPerSecond));
    }
    return [{ measure: 'verify', goal: `≥ ${goalPerSecond.toLocaleString('en')} events/s`, cells }];
  },
};
