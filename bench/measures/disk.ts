import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runLoad } from '../load.js';
import type { System } from '../systems/system.js';
import { connectAll, prepareConversation } from './conversation.js';
import { comparedRow, type Figure, type Goal, type Measure, storing } from './measure.js';

const rate = 1000;
const goal: Goal = { text: '≤ 900 B', isReached: (bytes) => bytes <= 900 };

/** The bytes that the files of a directory take on the disk; a hole in a file takes none. */
function diskBytes(directory: string): number {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + lstatSync(join(parentPath, name)).blocks * 512, 0);
}

/** What one message takes on the disk after an orderly stop. Users and rooms do not count. */
async function bytesPerMessage(system: System, count: number): Promise<number> {
  const running = await system.start();
  try {
    const conversation = await prepareConversation(running);
    await running.server.stop();
    const before = diskBytes(running.directory);
    await running.restart('stop');
    const senders = await connectAll(conversation);
    const { messages, lost, refusals } = await runLoad(senders, {
      rate,
      warmupMs: 0,
      windowMs: (count / rate) * 1000,
    });
    if (lost > 0 || refusals.size > 0) throw new Error('messages were lost or refused');
    for (const { connection } of senders) connection.close();
    await running.server.stop();
    return (diskBytes(running.directory) - before) / messages;
  } finally {
    await running.stop();
  }
}

/** Measures how much disk a message takes, at 1,000 messages a second. */
export const disk: Measure = {
  name: 'disk',
  async run({ systems, quick, log }) {
    const count = quick ? 3000 : 30_000;
    const figures: Figure[] = [];
    for (const system of storing(systems)) {
      if (system.name === 'parley-mongodb') continue;
      const value = await bytesPerMessage(system, count);
      log(`${system.name}: ${value.toFixed(0)} B on the disk per message`);
      figures.push({ system: system.name, value, isSound: true });
    }
    const title = `disk per message, after ${count.toLocaleString('en')} messages and a stop`;
    return [comparedRow(title, goal, figures, (bytes) => `${bytes.toFixed(0)} B`)];
  },
};
