import type { Logger } from 'pino';

/** A graceful stop takes no longer than this. */
const LIMIT_MS = 9500;

/**
 * Ends the process on SIGTERM or SIGINT, gracefully, with 0; on a second signal at once. `fail` ends it with 1
 * because of something that must not be gone on with; it is logged first.
 */
export function processEnd(logger: Logger, stop: () => Promise<void>): { fail: (error: unknown) => void } {
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
