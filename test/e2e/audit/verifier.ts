import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { tempDir } from '../../support/tempDir.js';

/** From the compiled test to its source: what is beside it is not compiled. */
const verifierDir = join(process.cwd(), 'test/e2e/audit/verifier');

/** Builds the verifier in Go; undefined where there is no Go, which CI must not lack. */
export function buildVerifier(): string | undefined {
  const program = join(tempDir(), 'verifier');
  const { error, status, stderr } = spawnSync('go', ['build', '-o', program, '.'], { cwd: verifierDir });
  if (status === 0) return program;
  if (!error) throw new Error(`the verifier does not build: ${stderr}`);
  if (process.env.CI === 'true') throw new Error('the independent verifier needs Go', { cause: error });
  console.warn('left out: the independent verifier of the log, as there is no Go to build it with');
  return undefined;
}

/** What it verifies, and with what. */
export interface Verification {
  readonly url: string;
  /** A file of verifier keys. */
  readonly keys: string;
  /** Of an auditor. */
  readonly token: string;
  /** Where it keeps the heads it has seen; by default it has seen none. */
  readonly directory?: string;
}

/** Runs the verifier on a log. */
export function runVerifier(program: string, { url, keys, token, directory = tempDir() }: Verification) {
  return run(program, [url, keys, directory], { TOKEN: token });
}

/** Runs the verifier on an exported bundle. */
export function runOnBundle(program: string, { keys, directory }: { keys: string; directory: string }) {
  return run(program, ['bundle', keys, directory], {});
}

async function run(program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { out, err, code };
}
