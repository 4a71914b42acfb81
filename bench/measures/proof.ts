import { seededRandom } from '../random.js';
import { isPeer } from '../systems/system.js';
import { type Auditor, appointAuditor, judged, signedSize, times } from './auditor.js';
import { cell, type Measure } from './measure.js';

const goalMs = 10;
const warmups = 100;

async function largestPartition(auditor: Auditor): Promise<{ partition: number; size: number }> {
  const largest = { partition: 0, size: 0 };
  for (let partition = 0; ; partition++) {
    const size = await signedSize(auditor, partition);
    if (size === undefined) return largest;
    if (size > largest.size) Object.assign(largest, { partition, size });
  }
}

/** Measures the time to get an inclusion proof of a random event of a big log. */
export const proof: Measure = {
  name: 'proof',
  async run({ systems, quick, bigLogs, log }) {
    const cells = [];
    for (const system of systems) {
      if (isPeer(system.name)) continue;
      const { running } = await bigLogs.of(system);
      const auditor = await appointAuditor(running);
      const { partition, size } = await largestPartition(auditor);
      const random = seededRandom(1);
      const ask = (histogram = times()) =>
        auditor.timed(`/audit/log/${partition}/proof?offset=${Math.floor(random() * size)}`, histogram);
      for (let i = 0; i < warmups; i++) await ask();
      const histogram = times();
      for (let i = 0; i < (quick ? 200 : 5000); i++) await ask(histogram);
      const { value, reached } = judged(histogram, goalMs);
      log(`${system.name}: an inclusion proof takes p99 ${value}`);
      cells.push(cell(system.name, value, reached));
    }
    const measure = `inclusion proof in a log of ${bigLogs.size.toLocaleString('en')} events, p99`;
    return [{ measure, goal: `< ${goalMs} ms`, cells }];
  },
};
