import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { cpuMicros } from '../machine.js';

const program = join(import.meta.dirname, '..', 'bystander', 'main.js');
const startTimeoutMs = 30_000;

interface Used {
  readonly commits: number;
  readonly events: number;
  readonly cpuMicros: number;
}

/** A process that does the work of a node that is not involved in any room. */
export class Bystander {
  private constructor(
    private readonly child: ChildProcess,
    private readonly pid: number,
  ) {}

  /** Starts the process with the nodes' settings, and waits until it follows the log. */
  static async start(env: NodeJS.ProcessEnv): Promise<Bystander> {
    const child = fork(program, { env });
    process.once('exit', () => child.kill('SIGKILL'));
    await once(child, 'message', { signal: AbortSignal.timeout(startTimeoutMs) });
    if (child.pid === undefined) throw new Error('the bystander has no process id');
    return new Bystander(child, child.pid);
  }

  /** The commits and events received so far, and the CPU time of all threads in microseconds. */
  async used(): Promise<Used> {
    const answer = once(this.child, 'message');
    this.child.send('count');
    const [counted] = await answer;
    return { ...counted, cpuMicros: cpuMicros(this.pid) };
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }
}
