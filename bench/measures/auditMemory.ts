import { join } from 'node:path';
import { peakRss } from '../peak.js';
import { parleyCommand } from '../systems/parley.js';
import { isPeer, type Running, type System } from '../systems/system.js';
import { temporaryDirectory } from '../temporary.js';
import { appointAuditor, signedSize } from './auditor.js';
import { BigLogs } from './bigLog.js';
import { cell, type Measure, type Row } from './measure.js';

const MB = 1024 * 1024;
/** The allowed ratio for a log ten times as long: two runs on the same log differ by as much. */
const maxRatio = 1.25;
const verbs = ['verify', 'replay', 'export'] as const;

/** The command's peak memory for each verb while the server runs. Signs all events first. */
async function peaks(running: Running): Promise<Record<(typeof verbs)[number], number>> {
  const auditor = await appointAuditor(running);
  for (let partition = 0; (await signedSize(auditor, partition)) !== undefined; ) partition++;
  const { engine, directory } = running;
  // This process may have MONGO_URL and NATS_URL, which the embedded engine must not get.
  const { MONGO_URL: _, NATS_URL: __, ...inherited } = process.env;
  const engineUrl = engine?.kind === 'mongodb' ? { MONGO_URL: engine.url } : {};
  const env = { ...inherited, DATA_DIR: directory, ...engineUrl };
  const out = temporaryDirectory();
  const run = (...args: string[]) => peakRss([parleyCommand, 'audit', ...args], env);
  return {
    verify: await run('verify'),
    replay: await run('replay', '--out', join(out, 'events.jsonl')),
    export: await run('export', join(out, 'bundle')),
  };
}

async function peaksOfSmallLog(system: System, size: number, log: (line: string) => void) {
  const logs = new BigLogs(size, log);
  try {
    return await peaks((await logs.of(system)).running);
  } finally {
    await logs.stop();
  }
}

/** Measures whether auditing a log ten times as long takes more memory. */
export const auditMemory: Measure = {
  name: 'audit-memory',
  async run({ systems, bigLogs, log }) {
    const small = bigLogs.size / 10;
    const sizes = `${bigLogs.size.toLocaleString('en')} and ${small.toLocaleString('en')}`;
    const rows: (Row & { readonly cells: Row['cells'][number][] })[] = verbs.map((verb) => ({
      measure: `peak RSS of \`parley audit ${verb}\`, ${sizes} events`,
      goal: '≤ 1.25× of the small log',
      cells: [],
    }));
    for (const system of systems) {
      if (isPeer(system.name)) continue;
      const least = await peaksOfSmallLog(system, small, log);
      const most = await peaks((await bigLogs.of(system)).running);
      for (const [i, verb] of verbs.entries()) {
        const value = `${Math.round(most[verb] / MB)} and ${Math.round(least[verb] / MB)} MB`;
        log(`${system.name}: ${verb} takes ${value}`);
        rows[i]?.cells.push(cell(system.name, value, most[verb] < least[verb] * maxRatio));
      }
    }
    return rows;
  },
};
