import { parentPort, workerData } from 'node:worker_threads';
import { simulate } from './simulation.js';

/** Which seeds a thread plays; `end` is no more one of them. */
export interface Share {
  readonly first: number;
  readonly end: number;
}

/** The first seed that breaks a promise, and what happened last. */
export interface Broken {
  readonly seed: number;
  readonly what: string;
}

const LAST_LINES = 30;

async function play({ first, end }: Share): Promise<Broken | undefined> {
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

// Started by the suite, with a share.
parentPort?.postMessage(await play(workerData as Share));
