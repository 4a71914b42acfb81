import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

const lookEveryMs = 10;

/** Runs a program of Node to its end; the most memory it ever had resident, in bytes. Rejects if it fails. Linux only. */
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
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${said}`);
  return peak;
}

/** The kernel keeps the peak while the process lives; it is gone when that has ended. */
function highWater(pid: number | undefined): number | undefined {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return match ? Number(match[1]) * 1024 : undefined;
  } catch {
    return undefined;
  }
}
