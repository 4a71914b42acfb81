import { readdirSync, readFileSync } from 'node:fs';

const tickMicros = 10_000;

/**
 * The CPU time that all programs on this machine have used so far, and the time that the host took from it, in
 * microseconds. Threads of the kernel do not count, because most of their work is for the measured server. Sums over
 * `/proc/<pid>/stat`, because `/proc/stat` is sampled by a clock that wakes the measured programs as well. A process
 * that ends does not change the sum: its time goes to its parent.
 */
function machineCpuMicros(): number {
  let ticks = stolenTicks();
  for (const pid of readdirSync('/proc')) if (isNumber.test(pid)) ticks += programTicks(pid);
  return ticks * tickMicros;
}

const isNumber = /^\d+$/;
const kernelParent = '2';

function programTicks(pid: string): number {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    // The process has just ended.
    return 0;
  }
  // After the command: state, ppid, … utime, stime, cutime and cstime at 11 to 14.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[1] === kernelParent || pid === kernelParent) return 0;
  return fields.slice(11, 15).reduce((sum, value) => sum + Number(value), 0);
}

function stolenTicks(): number {
  const [, ...fields] = (readFileSync('/proc/stat', 'latin1').split('\n')[0] ?? '').split(/ +/);
  return Number(fields[7] ?? 0);
}

/** The CPU time of this process, with all its threads, in microseconds. */
export function ownCpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Measures how much CPU other programs use beside a server and this process. */
export class OthersMeter {
  readonly #serverMicros: () => number;
  readonly #from: number;
  readonly #used: number;

  /** Starts to measure. */
  constructor(serverMicros: () => number) {
    this.#serverMicros = serverMicros;
    this.#used = this.#total();
    this.#from = performance.now();
  }

  /** The average use of other programs since the start, in cores. */
  cores(): number {
    const elapsedMicros = (performance.now() - this.#from) * 1000;
    return Math.max(0, this.#total() - this.#used) / elapsedMicros;
  }

  #total(): number {
    return machineCpuMicros() - this.#serverMicros() - ownCpuMicros();
  }
}
