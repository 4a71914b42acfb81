import { setTimeout as delay } from 'node:timers/promises';
import pino from 'pino';
import { openSource } from '../audit/source.js';
import type { Config } from '../config.js';
import { isServed, remoteOperator } from '../control/client.js';
import { controlSocketOf, type Operator } from '../control/operations.js';
import { placeOf } from '../engine.js';
import { DataDirInUse } from '../log/dataDir.js';
import { startSystem } from '../system.js';

/** A server that starts or stops has the directory, and takes no operations: it is waited for so long. */
const PATIENCE_MS = 20_000;
const RETRY_MS = 200;

/**
 * Works with the server that runs in the data directory; where none runs, with a system of its own that serves nobody
 * and is stopped after it. Makes no new log. Throws what starting throws, and what the work does.
 */
export async function withOperator<T>(config: Config, work: (operator: Operator) => Promise<T>): Promise<T> {
  const path = controlSocketOf(config.DATA_DIR);
  const giveUpAt = performance.now() + PATIENCE_MS;
  for (;;) {
    if (await isServed(path)) return work(remoteOperator(path));
    const source = await openSource(placeOf(config));
    await source.close();
    try {
      return await alone(config, work);
    } catch (error) {
      if (!(error instanceof DataDirInUse) || performance.now() > giveUpAt) throw error;
      await delay(RETRY_MS);
    }
  }
}

async function alone<T>(config: Config, work: (operator: Operator) => Promise<T>): Promise<T> {
  const logger = pino({ level: 'error' }, pino.destination({ dest: 2, sync: true }));
  const fail = (error: unknown): void => {
    logger.fatal({ err: error }, error instanceof Error ? error.message : String(error));
    // What is in memory can no longer be trusted to be durable.
    process.exit(1);
  };
  const system = await startSystem(config, logger, fail, { isServing: false });
  try {
    return await work(system.operator);
  } finally {
    await system.stop();
  }
}
