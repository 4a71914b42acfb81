import pino, { type Logger } from 'pino';
import { ConfigError, readConfig } from '../base/config.js';
import { DataDirInUse } from '../log/dataDir.js';
import { LogMismatch } from '../log/logMeta.js';
import { ForeignReadModels } from '../projections/store/engine.js';
import { MasterKeyError } from '../vault/masterKey.js';
import { startSystem } from './system.js';

/** A graceful stop takes no longer than this. */
const LIMIT_MS = 9500;

/**
 * Ends the process on SIGTERM or SIGINT, gracefully, with 0; on a second signal at once. `fail` ends it with 1
 * because of something that must not be gone on with; it is logged first.
 */
function processEnd(logger: Logger, stop: () => Promise<void>): { fail: (error: unknown) => void } {
  let ending = false;

  async function end(code: number, why: string): Promise<void> {
    if (ending) return;
    ending = true;
    setTimeout(() => {
      logger.error('the stop took too long');
      process.exit(code || 1);
    }, LIMIT_MS).unref();
    logger.info({ why }, 'stopping');
    try {
      await stop();
    } catch (error) {
      logger.error({ err: error }, 'the stop was not clean');
      process.exit(code || 1);
    }
    logger.info('stopped');
    process.exit(code);
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (ending) process.exit(1);
      void end(0, signal);
    });

  return {
    fail(error) {
      logger.fatal({ err: error }, error instanceof Error ? error.message : String(error));
      // What is in memory can no longer be trusted to be durable: nothing more is answered.
      process.exit(1);
    },
  };
}

/** What is needed of standard error. */
interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Tells whoever has started the server by hand where its page is; the log is for machines, and stays one. */
export function welcome(url: string, terminal: Terminal): void {
  if (terminal.isTTY) terminal.write(`\nOpen ${url} in a browser to begin.\n\n`);
}

/** The operator can mend these from the one line they say. */
const explained = [ConfigError, DataDirInUse, LogMismatch, MasterKeyError, ForeignReadModels];

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
