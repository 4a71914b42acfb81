import { setTimeout as wait } from 'node:timers/promises';
import { mapLimited } from '../batches.js';
import { fillRoom } from '../fill.js';
import type { System } from '../systems/system.js';
import { comparedRow, type Figure, type Goal, type Measure } from './measure.js';

const size = 1000;
const connected = 10;
const openAtOnce = 16;
const rehearsals = 2000;
const goal: Goal = { text: '≤ 100 KiB', isReached: (kib) => kib <= 100 };

/** What groups of 1,000 add to the resident memory, in bytes each, once 10 members are here and talk in all of them. */
async function bytesPerGroup({ start }: System, count: number, settleMs: number): Promise<number> {
  const running = await start();
  try {
    const users = await running.signUp(size);
    const roomIds = await mapLimited(Array.from({ length: count }), openAtOnce, () => running.group(users));
    const [one, other] = await running.signUp(2);
    if (!one || !other) throw new Error('signing up two users returned fewer');
    const pairs = await running.rooms([[one, other]]);
    // Making the groups grows the heap, so the measurement needs a new process.
    await running.restart('stop');
    const settled = async () => {
      await wait(settleMs);
      return running.server.rssBytes();
    };
    for (const roomId of pairs) await running.fill(roomId, one, rehearsals);
    const before = await settled();
    const connections = await mapLimited(users.slice(0, connected), openAtOnce, (user) =>
      running.connect(user),
    );
    const [talker] = connections;
    if (!talker) throw new Error('nobody has connected');
    for (const roomId of roomIds)
      await fillRoom({ connection: talker, template: running.dialect.template(roomId, 'x'.repeat(100)) }, 1);
    const after = await settled();
    for (const connection of connections) connection.close();
    return (after - before) / count;
  } finally {
    await running.stop();
  }
}

/** Measures what a large group costs on a node. The peer keeps no members in memory. */
export const groupMemory: Measure = {
  name: 'groupMemory',
  async run({ systems, quick, log }) {
    const count = quick ? 20 : 200;
    const figures: Figure[] = [];
    for (const system of systems.filter(({ name }) => name.startsWith('parley'))) {
      const value = (await bytesPerGroup(system, count, quick ? 2000 : 15_000)) / 1024;
      log(`${system.name}: ${value.toFixed(1)} KiB each of ${count} groups`);
      figures.push({ system: system.name, value, isSound: true });
    }
    const title = `RSS per group of ${size.toLocaleString('en')} with ${connected} connected members`;
    return [comparedRow(title, goal, figures, (value) => `${value.toFixed(1)} KiB`)];
  },
};
