import type { Running, System } from '../systems/system.js';
import { cell, type Measure, median, storing } from './measure.js';

const smallLog = 10_000;
const rounds = 3;

/** The median of three times from process start to readiness after SIGKILL, in milliseconds. */
async function readyTime(running: Running): Promise<number> {
  const times = [];
  for (let round = 0; round < rounds; round++) times.push(await running.restart('kill'));
  return median(times);
}

async function readyTimeOfSmallLog(system: System): Promise<number> {
  const running = await system.start();
  try {
    const [user, friend] = await running.signUp(2);
    if (!user || !friend) throw new Error('signing up two users returned fewer');
    const [roomId = ''] = await running.rooms([[user, friend]]);
    await running.fill(roomId, user, smallLog);
    return await readyTime(running);
  } finally {
    await running.stop();
  }
}

/** Measures how soon a killed server serves again, with a small log and with a big one. */
export const ready: Measure = {
  name: 'ready',
  async run({ systems, bigLogs, log }) {
    const cells = [];
    for (const system of storing(systems)) {
      const small = await readyTimeOfSmallLog(system);
      const big = await readyTime((await bigLogs.of(system)).running);
      const value = `${(big / 1000).toFixed(2)} s (${(small / 1000).toFixed(2)} s at ${smallLog.toLocaleString('en')})`;
      log(`${system.name}: ready after ${value}`);
      // Allows the variation between two starts on the same log.
      cells.push(cell(system.name, value, big < 1000 && big < small * 1.25 + 100));
    }
    const size = bigLogs.size.toLocaleString('en');
    return [{ measure: `ready again on a log of ${size} events`, goal: '< 1 s, not growing', cells }];
  },
};
