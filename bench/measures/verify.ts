import { verifyLog } from '../../src/audit/verify.js';
import { cell, type Measure } from './measure.js';

const goalPerSecond = 100_000;
/** A megabyte. */
const MB = 1024 * 1024;

/** How fast a log and its read models are verified beside their server, and how much memory that takes. */
export const verify: Measure = {
  name: 'verify',
  async run({ systems, bigLogs, log }) {
    const speeds = [];
    const memories = [];
    for (const system of systems) {
      if (system.name === 'socket.io') continue;
      const { engine } = (await bigLogs.of(system)).running;
      if (!engine) continue;
      const resident: number[] = [];
      const from = performance.now();
      const { partitions, wrong } = await verifyLog({
        engine,
        heads: [],
        since: [],
        keys: [],
        onProgress: () => resident.push(process.memoryUsage.rss() / MB),
      });
      if (wrong) throw new Error(wrong.what);
      const events = partitions.reduce((sum, partition) => sum + partition.events, 0);
      const rate = (events * 1000) / (performance.now() - from);
      const value = `${Math.round(rate).toLocaleString('en')}/s`;
      const half = Math.max(...resident.slice(0, resident.length / 2));
      const most = Math.max(...resident);
      const memory = `${Math.round(most)} MB, ${Math.round(half)} MB in the first half`;
      log(`${system.name}: ${value} verified, with ${memory}`);
      speeds.push(cell(system.name, value, rate >= goalPerSecond));
      memories.push(cell(system.name, memory, most < half * 1.25));
    }
    return [
      { measure: 'verify', goal: `≥ ${goalPerSecond.toLocaleString('en')} events/s`, cells: speeds },
      { measure: 'memory while verifying', goal: 'flat', cells: memories },
    ];
  },
};
