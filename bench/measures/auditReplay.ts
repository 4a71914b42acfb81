import { createWriteStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replay } from '../../src/audit/events/replay.js';
import type { Engine } from '../../src/projections/store/engine.js';
import { isPeer } from '../systems/system.js';
import { temporaryDirectory } from '../temporary.js';
import { cell, type Measure, medianRun } from './measure.js';

/** Events a second that each form is to reach. */
const goals = { json: 80_000, sealed: 200_000 } as const;
const names = { json: 'texts opened', sealed: 'texts left sealed' } as const;

async function replayedPerSecond(engine: Engine, masterKey: Buffer, as: keyof typeof goals): Promise<number> {
  const path = join(temporaryDirectory(), 'events.jsonl');
  const file = createWriteStream(path);
  const from = performance.now();
  const { events } = await replay(
    { engine, masterKey, filter: {}, as },
    (text) =>
      new Promise((resolve, reject) => file.write(text, (error) => (error ? reject(error) : resolve()))),
  );
  const rate = (events * 1000) / (performance.now() - from);
  await new Promise<void>((resolve) => file.end(() => resolve()));
  await rm(path);
  return rate;
}

/** Measures how fast all events are written to a file as JSON lines, opened and sealed, while the server runs. */
export const auditReplay: Measure = {
  name: 'audit-replay',
  async run({ systems, quick, bigLogs, log }) {
    const rows = [];
    for (const as of ['json', 'sealed'] as const) {
      const cells = [];
      for (const system of systems) {
        if (isPeer(system.name)) continue;
        const { engine, directory } = (await bigLogs.of(system)).running;
        if (!engine) continue;
        const masterKey = Buffer.from(await readFile(join(directory, 'master.key'), 'utf8'), 'base64');
        const rate = await medianRun(system, quick, () => replayedPerSecond(engine, masterKey, as));
        const value = `${Math.round(rate).toLocaleString('en')}/s`;
        log(`${system.name}: ${value} replayed as JSON lines, ${names[as]}`);
        cells.push(cell(system.name, value, rate >= goals[as]));
      }
      const goal = `≥ ${goals[as].toLocaleString('en')} events/s`;
      rows.push({ measure: `replay to JSON lines, ${names[as]}`, goal, cells });
    }
    return rows;
  },
};
