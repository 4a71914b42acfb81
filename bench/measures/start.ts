import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { temporaryDirectory } from '../temporary.js';
import { cell, type Measure, median } from './measure.js';

const rounds = 3;
const goalMs = 2000;
const timeoutMs = 120_000;
const project = join(import.meta.dirname, '..', '..', '..');

/** The signal for a process that npm started, and for npm. */
function end(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  process.kill(-child.pid, signal);
}

/** The milliseconds from `npm start`, on a new data directory, until the server listens. */
async function startTime(): Promise<number> {
  const { MONGO_URL: _, NATS_URL: __, ...inherited } = process.env;
  const from = performance.now();
  const child = spawn('npm', ['start'], {
    cwd: project,
    env: { ...inherited, HOST: '127.0.0.1', PORT: '0', DATA_DIR: temporaryDirectory() },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const kill = () => end(child, 'SIGKILL');
  process.once('exit', kill);
  const timer = setTimeout(kill, timeoutMs);
  try {
    let output = '';
    for await (const chunk of child.stdout) {
      output += String(chunk);
      if (output.includes('listening on http://')) return performance.now() - from;
    }
    throw new Error(`npm start ended: ${output.slice(-2000)}`);
  } finally {
    clearTimeout(timer);
    const exited = once(child, 'exit');
    end(child, 'SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await exited;
    process.off('exit', kill);
  }
}

/** Measures how long `npm start` takes when everything is built. */
export const start: Measure = {
  name: 'start',
  async run({ systems, log }) {
    if (!systems.some(({ name }) => name === 'parley-sqlite')) return [];
    // The first start builds whatever has changed.
    await startTime();
    const times = [];
    for (let round = 0; round < rounds; round++) times.push(await startTime());
    const ms = median(times);
    const value = `${(ms / 1000).toFixed(2)} s`;
    log(`npm start listens after ${value}`);
    const cells = [cell('parley-sqlite', value, ms < goalMs)];
    return [{ measure: '`npm start` of a built project until it listens', goal: '< 2 s', cells }];
  },
};
