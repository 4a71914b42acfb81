import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpuMicros, rssBytes } from './machine.js';

const startTimeoutMs = 120_000;
const stopTimeoutMs = 12_000;
const children = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

let nodeFlags: readonly string[] = [];

/** Makes servers that start after this call write a CPU profile of each thread to this directory when they stop. */
export function profileInto(directory: string): void {
  nodeFlags = ['--cpu-prof', `--cpu-prof-dir=${directory}`];
}

/** A server in a child process. It is killed when this process exits. */
export class ServerProcess {
  private constructor(
    readonly port: number,
    readonly pid: number,
    private readonly child: ChildProcess,
  ) {}

  /** Starts `node <args>` and waits for `listening on http://…`. Rejects with its output if it ends before. */
  static async start(args: readonly string[], env: NodeJS.ProcessEnv): Promise<ServerProcess> {
    const child = spawn(process.execPath, [...nodeFlags, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    child.once('exit', () => children.delete(child));
    const port = await listening(child);
    if (child.pid === undefined) throw new Error('the server has no process id');
    return new ServerProcess(port, child.pid, child);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The CPU time of all threads so far. */
  cpuMicros(): number {
    return cpuMicros(this.pid);
  }

  rssBytes(): number {
    return rssBytes(this.pid);
  }

  /** Sends SIGTERM, like an operator; sends SIGKILL after 12 s. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), stopTimeoutMs);
    await this.#signal('SIGTERM');
    clearTimeout(timer);
  }

  /** Sends SIGKILL: the process ends without cleaning up, like in a crash. */
  async kill(): Promise<void> {
    await this.#signal('SIGKILL');
  }

  async #signal(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
  }
}

function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (why: string) => reject(new Error(`the server ${why}:\n${output.slice(-2000)}`));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      fail('did not listen within 120 s');
    }, startTimeoutMs);
    const read = (chunk: Buffer) => {
      if (output.length < 100_000) output += chunk.toString();
      const port = /listening on http:\/\/[^\s"]*:(\d+)/.exec(output)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      for (const stream of [child.stdout, child.stderr]) stream?.off('data', read).resume();
      resolve(Number(port));
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      fail(`exited with ${code ?? signal}`);
    });
  });
}
