import type { Logger } from 'pino';
import { monotonicNow } from '../base/clock.js';
import { messageOf } from '../base/errors.js';
import { ConfigError, readConfig } from '../base/settings.js';
import { collectWhenIdle } from '../base/workerThreads.js';
import { LogMismatch } from '../log/logMeta.js';
import { ForeignReadModels } from '../projections/store/engine.js';
import { MasterKeyError } from '../vault/masterKey.js';
import { DataDirInUse, DataDirMismatch } from './dataDir.js';
import { STOP_SIGNALS, StopSignals } from './lifecycle.js';
import { createLogger, LogOutput, loadPrettyFormat } from './logOutput.js';
import { explainUnreachable } from './openStores.js';
import { startSystem } from './system.js';

/** A stop that takes longer is cut off: by default, Docker kills a process 10 s after SIGTERM. */
const STOP_LIMIT_MS = 9500;

/** On a signal to stop, stops gracefully and exits with 0; on a second one, exits at once with 1. */
function stopOnSignal(logger: Logger, stop: () => Promise<void>): void {
  const signals = new StopSignals(monotonicNow);

  async function end(signal: string): Promise<void> {
    setTimeout(() => {
      logger.error(`the stop took longer than ${STOP_LIMIT_MS} ms: exiting without finishing it`);
      process.exit(1);
    }, STOP_LIMIT_MS).unref();
    logger.info({ why: signal }, 'stopping');
    try {
      await stop();
    } catch (error) {
      logger.error({ err: error }, 'the stop failed: exiting without finishing it');
      process.exit(1);
    }
    logger.info('stopped');
    process.exit(0);
  }

  for (const signal of STOP_SIGNALS)
    process.on(signal, () => {
      const does = signals.receive(signal);
      if (does === 'exit') process.exit(1);
      if (does === 'stop') void end(signal);
    });
}

/** Ends the process with 1 at once, because events in its memory may not be durable. */
export const exitOn =
  (logger: Logger) =>
  (error: unknown): never => {
    logger.fatal({ err: error }, messageOf(error));
    process.exit(1);
  };

/** Standard error. */
interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Prints the address of the page for a person at a terminal. Without a terminal only the log is written. */
export function printWelcome(url: string, terminal: Terminal): void {
  if (terminal.isTTY) terminal.write(`\nOpen ${url} in a browser to begin.\n\n`);
}

/** The message of each of these says all that an operator needs; others are logged with their stack. */
const SELF_EXPLANATORY = [
  ConfigError,
  DataDirInUse,
  DataDirMismatch,
  LogMismatch,
  MasterKeyError,
  ForeignReadModels,
];

/**
 * Runs the server with these settings in this process, which ends with it; resolves when it listens. If the server
 * cannot start, it logs why and exits with 1.
 */
export async function serve(env: NodeJS.ProcessEnv): Promise<void> {
  // A terminal that has gone must not end the server.
  process.stderr.on('error', () => {});
  const output = new LogOutput(1);
  const logger = createLogger(output, 'info');
  let stop: () => Promise<void> = async () => {};
  stopOnSignal(logger, () => stop());
  let databaseUrl: string | undefined;
  try {
    const config = readConfig(env);
    databaseUrl = config.MONGO_URL;
    if (config.LOG_FORMAT === 'pretty') output.format = await loadPrettyFormat(process.stdout.isTTY);
    logger.level = config.LOG_LEVEL;
    if (config.BCRYPT_COST < 10)
      logger.warn(`BCRYPT_COST=${config.BCRYPT_COST} is too cheap for real passwords: set 10 or more`);
    const system = await startSystem(config, logger, exitOn(logger));
    stop = system.stop;
    collectWhenIdle(system.turnover);
    logger.info(`listening on ${system.url}`);
    if (system.url !== undefined) printWelcome(system.url, process.stderr);
  } catch (error) {
    const isExplained = SELF_EXPLANATORY.some((kind) => error instanceof kind);
    const unreachable = explainUnreachable(error, databaseUrl);
    if (isExplained || unreachable !== undefined) logger.fatal(unreachable ?? messageOf(error));
    else logger.fatal({ err: error }, `cannot start: ${messageOf(error)}`);
    process.exitCode = 1;
    process.exit();
  }
}
