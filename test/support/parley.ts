import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { commandLine } from './program.js';

/** How a command ended, and all that it wrote. */
export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line with these settings and no others; `cli` is that of another build. */
export async function parley(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cli = commandLine,
): Promise<Ran> {
  const child = spawn(process.execPath, [cli, ...args], {
    env: { PATH: process.env.PATH, BCRYPT_COST: '4', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, err };
}
