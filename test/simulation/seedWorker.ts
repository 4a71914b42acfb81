import { parentPort, workerData } from 'node:worker_threads';
import { simulate } from './simulation.js';

/** The seeds of a thread; `end` is exclusive. */
export interface SeedRange {
  readonly first: number;
  readonly end: number;
}

/** The first seed that breaks a promise, and the last lines of its run. */
export interface Broken {
  readonly seed: number;
  readonly what: string;
}

const LAST_LINES = 30;

async function play({ first, end }: SeedRange): Promise<Broken | undefined> {
  for (let seed = first; seed < end; seed++) {
    const { violations, trace } = await simulate(seed);
    const [broken] = violations;
    if (broken) {
      const last = trace.slice(-LAST_LINES).join('\n');
      return { seed, what: `seed ${seed} breaks "${broken.rule}": ${broken.what}\n${last}` };
    }
  }
  return undefined;
}

// The suite starts the thread with a range of seeds.
parentPort?.postMessage(await play(workerData as SeedRange));
