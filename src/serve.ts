import pino from 'pino';
import { ConfigError, readConfig } from './config.js';
import { DataDirInUse } from './log/dataDir.js';
import { LogMismatch } from './log/meta.js';
import { NotOfThisLog } from './projections/ofThisLog.js';
import { processEnd } from './shutdown.js';
import { startSystem } from './system.js';
import { MasterKeyError } from './vault/masterKey.js';
import { welcome } from './welcome.js';

/** The operator can mend these from the one line they say. */
const explained = [ConfigError, DataDirInUse, LogMismatch, MasterKeyError, NotOfThisLog];

/**
 * The server with these settings, in this process: resolves when it listens, and ends the process with the server.
 * One that cannot start says so in the log, and ends the process with 1.
 */
export async function serve(env: NodeJS.ProcessEnv): Promise<void> {
  const logger = pino(pino.destination({ sync: true }));
  const stop: { now: () => Promise<void> } = { now: async () => {} };
  const end = processEnd(logger, () => stop.now());
  try {
    const config = readConfig(env);
    logger.level = config.LOG_LEVEL;
    if (config.BCRYPT_COST < 10)
      logger.warn(`BCRYPT_COST=${config.BCRYPT_COST} is too cheap for real passwords`);
    const system = await startSystem(config, logger, end.fail);
    stop.now = system.stop;
    logger.info(`listening on ${system.url}`);
    if (system.url !== undefined) welcome(system.url, process.stderr);
  } catch (error) {
    if (explained.some((kind) => error instanceof kind))
      logger.fatal((error as Error).message); // One of those kinds.
    else
      logger.fatal({ err: error }, `cannot start: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
    process.exit();
  }
}
