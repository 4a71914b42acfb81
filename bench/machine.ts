import { closeSync, fdatasyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { temporaryDirectory } from './temporary.js';

/** CPU time that the process and all its threads have used so far, in microseconds. Linux only. */
export function cpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The second field is the command in brackets and may contain spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return ticks * 10_000; // Linux reports 100 ticks per second to programs, independent of the kernel's timer frequency.
}

/** Resident memory of the process in bytes. Linux only. */
export function rssBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
  return Number(match?.[1]) * 1024;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** The median time of a 4 KiB write with fdatasync, in milliseconds: the cost of durability on this disk. */
function syncMs(): number {
  const directory = temporaryDirectory();
  const file = openSync(join(directory, 'sync'), 'w');
  const page = Buffer.alloc(4096, 1);
  const times = Array.from({ length: 300 }, () => {
    const from = performance.now();
    writeSync(file, page);
    fdatasyncSync(file);
    return performance.now() - from;
  });
  closeSync(file);
  rmSync(directory, { recursive: true });
  return median(times);
}

/** One line about the machine and its load average. Call it before the first measurement adds load. */
export function describeMachine(): string {
  const cores = cpus();
  return [
    `${cores[0]?.model ?? 'unknown CPU'}, ${cores.length} cores`,
    `Node ${process.version}`,
    `Linux ${release()}`,
    `fdatasync p50 ${syncMs().toFixed(2)} ms`,
    `load average ${loadavg()[0]?.toFixed(1)} before the start`,
  ].join(' · ');
}
