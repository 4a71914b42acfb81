import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

const lookEveryMs = 10;

/** Runs a Node program to its end. Resolves with its peak resident memory in bytes; rejects if it fails. Linux only. */
export async function peakRss(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (said.length < 10_000) said += chunk.toString();
  });
  let peak = 0;
  const timer = setInterval(() => {
    peak = highWater(child.pid) ?? peak;
  }, lookEveryMs);
  const [code] = await once(child, 'exit');
  clearInterval(timer);
  process.off('exit', kill);
  if (code !== 0) throw new Error(`${args.join(' ')} failed with exit code ${code}: ${said}`);
  return peak;
}

/** The peak so far; `undefined` once the process has ended, because the kernel then drops the value. */
function highWater(pid: number | undefined): number | undefined {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return match ? Number(match[1]) * 1024 : undefined;
  } catch {
    return undefined;
  }
}
