import { setTimeout as wait } from 'node:timers/promises';
import { mapLimited } from '../batches.js';
import type { System } from '../systems/system.js';
import { comparedRow, type Figure, type Goal, type Measure } from './measure.js';

const rehearsals = 500;
const openAtOnce = 64;
const goal: Goal = { text: '≤ 10 KiB', isReached: (kib) => kib <= 10 };

/** Resident memory in bytes above that of a server without connections. */
interface Growth {
  readonly atHalf: number;
  readonly atAll: number;
  readonly afterwards: number;
}

/** The memory of idle connections, on a server that has just restarted. */
async function growth({ start }: System, count: number, settleMs: number): Promise<Growth> {
  const running = await start();
  try {
    const users = await running.signUp(count);
    // Signing up grows the heap, so the measurement needs a new process.
    await running.restart('stop');
    const open = (some: typeof users) => mapLimited(some, openAtOnce, (user) => running.connect(user));
    const settled = async () => {
      await wait(settleMs);
      return running.server.rssBytes();
    };
    for (const connection of await open(users.slice(0, rehearsals))) connection.close();
    const before = await settled();
    const first = await open(users.slice(0, count / 2));
    const atHalf = await settled();
    const second = await open(users.slice(count / 2));
    const atAll = await settled();
    for (const connection of [...first, ...second]) connection.close();
    const afterwards = await settled();
    return { atHalf: atHalf - before, atAll: atAll - before, afterwards: afterwards - before };
  } finally {
    await running.stop();
  }
}

/** Measures the resident memory of idle signed-in connections, and what is left of it when they have closed. */
export const memory: Measure = {
  name: 'memory',
  async run({ systems, quick, log }) {
    const count = quick ? 2000 : 8000;
    const half: Figure[] = [];
    const all: Figure[] = [];
    const left: Figure[] = [];
    for (const system of systems) {
      const { name } = system;
      const { atHalf, atAll, afterwards } = await growth(system, count, quick ? 2000 : 15_000);
      half.push({ system: name, value: atHalf / 1024 / (count / 2), isSound: true });
      all.push({ system: name, value: atAll / 1024 / count, isSound: true });
      left.push({ system: name, value: afterwards / 2 ** 20, isSound: true });
      const [halfGrown, grown, kept] = [atHalf, atAll, afterwards].map((bytes) => mib(bytes / 2 ** 20));
      log(`${name}: +${halfGrown} with ${count / 2}, +${grown} with ${count}, +${kept} when all had left`);
    }
    const kib = (value: number) => `${value.toFixed(1)} KiB`;
    const title = 'RSS per idle signed-in connection';
    return [
      comparedRow(`${title}, at ${(count / 2).toLocaleString('en')}`, goal, half, kib),
      comparedRow(`${title}, at ${count.toLocaleString('en')}`, goal, all, kib),
      comparedRow('RSS above the start when all connections have closed', undefined, left, mib),
    ];
  },
};

const mib = (value: number) => `${value.toFixed(1)} MiB`;
