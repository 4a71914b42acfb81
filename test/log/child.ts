import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A process of its own that runs a file beside this one, and the lines it writes. */
export interface Child {
  readonly lines: AsyncIterator<string>;
  /** Ends it at once, as by `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Starts `<file>.js` of this folder. */
export function start(file: string, ...args: string[]): Child {
  const path = fileURLToPath(new URL(`./${file}.js`, import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [path, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (!child.stdout) throw new Error('the child has no output');
  const exited = once(child, 'exit');
  return {
    lines: createInterface({ input: child.stdout })[Symbol.asyncIterator](),
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
