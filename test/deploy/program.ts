import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

/** Whether this program is on this machine; with `CI=true` it must be. `debian`: the package that has it. */
export function programIsHere(name: string, debian: string, ask = '--version'): boolean {
  const isHere = spawnSync(name, [ask]).error === undefined;
  if (isHere) return true;
  if (process.env.CI === 'true') throw new Error(`CI needs ${name}: apt-get install ${debian}`);
  console.warn(`left out: a suite of deploy/; to run it, install ${name} (Debian's package ${debian})`);
  return false;
}

/** A program in the foreground. If it fails, what it wrote is printed. */
export class Program {
  readonly #child: ChildProcess;
  #said = '';

  constructor(command: readonly [string, ...string[]], env: Readonly<Record<string, string>> = {}) {
    const [name, ...args] = command;
    this.#child = spawn(name, args, {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk) => {
        this.#said += chunk;
      });
    this.#child.once('exit', (code) => {
      if (code) console.error(`${name} ended with ${code}:\n${this.#said}`);
    });
  }

  get said(): string {
    return this.#said;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
  }
}
