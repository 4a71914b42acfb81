import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replay } from '../../src/audit/events/replay.js';
import { isPeer } from '../systems/system.js';
import { temporaryDirectory } from '../temporary.js';
import { cell, type Measure } from './measure.js';

const goalPerSecond = 80_000;

/** Measures how fast all events are decrypted and written to a file as JSON lines, while the server runs. */
export const auditReplay: Measure = {
  name: 'audit-replay',
  async run({ systems, bigLogs, log }) {
    const cells = [];
    for (const system of systems) {
      if (isPeer(system.name)) continue;
      const { engine, directory } = (await bigLogs.of(system)).running;
      if (!engine) continue;
      const masterKey = Buffer.from(await readFile(join(directory, 'master.key'), 'utf8'), 'base64');
      const file = createWriteStream(join(temporaryDirectory(), 'events.jsonl'));
      const from = performance.now();
      const { events } = await replay(
        { engine, masterKey, filter: {}, as: 'json' },
        (text) =>
          new Promise((resolve, reject) => file.write(text, (error) => (error ? reject(error) : resolve()))),
      );
      const rate = (events * 1000) / (performance.now() - from);
      file.end();
      const value = `${Math.round(rate).toLocaleString('en')}/s`;
      log(`${system.name}: ${value} replayed as JSON lines`);
      cells.push(cell(system.name, value, rate >= goalPerSecond));
    }
    const goal = `≥ ${goalPerSecond.toLocaleString('en')} events/s`;
    return [{ measure: 'replay to JSON lines, texts opened', goal, cells }];
  },
};
