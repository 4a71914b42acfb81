import { setTimeout as wait } from 'node:timers/promises';
import { mapLimited } from '../batches.js';
import type { System } from '../systems/system.js';
import { cell, type Measure } from './measure.js';

const rehearsals = 500;
const openAtOnce = 64;

/** The memory of one idle connection, on a server that has just restarted. */
async function bytesPerConnection({ start }: System, count: number, settleMs: number): Promise<number> {
  const running = await start();
  try {
    const users = await running.signUp(count);
    // Signing up grows the heap, so the measurement needs a new process.
    await running.restart('stop');
    const open = (some: typeof users) => mapLimited(some, openAtOnce, (user) => running.connect(user));
    for (const connection of await open(users.slice(0, rehearsals))) connection.close();
    await wait(settleMs);
    const before = running.server.rssBytes();
    const connections = await open(users);
    await wait(settleMs);
    const after = running.server.rssBytes();
    for (const connection of connections) connection.close();
    return (after - before) / count;
  } finally {
    await running.stop();
  }
}

/** Measures the resident memory of an idle signed-in connection. */
export const memory: Measure = {
  name: 'memory',
  async run({ systems, quick, log }) {
    const count = quick ? 2000 : 8000;
    const cells = [];
    for (const system of systems) {
      const kib = (await bytesPerConnection(system, count, quick ? 5000 : 15_000)) / 1024;
      log(`${system.name}: ${kib.toFixed(1)} KiB per connection`);
      cells.push(cell(system.name, `${kib.toFixed(1)} KiB`, kib <= 10));
    }
    const measure = `RSS per idle signed-in connection, at ${count.toLocaleString('en')}`;
    return [{ measure, goal: '≤ 10 KiB', cells }];
  },
};
