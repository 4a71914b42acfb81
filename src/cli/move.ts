import { type Command, InvalidArgumentError } from 'commander';
import type { Moved, MoveStep } from '../app/moveSystem.js';
import { engineOf, explainUnreachable } from '../app/openStores.js';
import { messageOf } from '../base/errors.js';
import { ConfigError, readConfig } from '../base/settings.js';
import type { Engine } from '../projections/store/engine.js';
import { count, exitWhenInterrupted, printLine, startProgressBar } from './commandLine.js';

/** The URL of a database, or a directory. */
function parseTarget(text: string): Engine {
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text) ?? [];
  if (scheme === undefined && text !== '') return { kind: 'sqlite', dataDir: text };
  try {
    const { MONGO_URL: url } = readConfig({ MONGO_URL: text });
    if (url !== undefined) return { kind: 'mongodb', url };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
  }
  throw new InvalidArgumentError(
    'It must be a directory, or the URL of a database of its own, as in mongodb://127.0.0.1:27017/parley.',
  );
}

export function addMove(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('move')
    .description(
      'move a stopped system from DATA_DIR to MongoDB, or from MONGO_URL to a directory: copies log and vault as they are, verifies them, and marks the source, which then does not start again; if the move was interrupted, run it again to continue',
    )
    .requiredOption('--to <place>', 'the URL of an empty database, or an empty directory', parseTarget)
    .action(async ({ to }: { to: Engine }, command: Command) => {
      exitWhenInterrupted();
      const config = readConfig(env);
      if (engineOf(config).kind === to.kind)
        command.error(
          to.kind === 'mongodb'
            ? 'error: MONGO_URL is set, and --to is a database too; unset MONGO_URL to move the system in DATA_DIR'
            : 'error: --to is a directory, and so is DATA_DIR; set MONGO_URL to move the system in that database',
        );
      const bar = startProgressBar();
      const { onProgress } = bar;
      const { moveSystem } = await import('../app/moveSystem.js');
      let step: MoveStep | undefined;
      const onStep = (done: MoveStep): void => {
        step = done;
      };
      const moved = await moveSystem(config, to, { onProgress, onStep })
        .catch((cause: unknown) => {
          const unreachable =
            to.kind === 'mongodb'
              ? explainUnreachable(cause, to.url, '--to')
              : explainUnreachable(cause, config.MONGO_URL);
          // Before the first step nothing was changed.
          if (step === undefined && unreachable === undefined) throw cause;
          const where = step === undefined ? [] : [whereItIs(step)];
          throw new Error([unreachable ?? messageOf(cause), ...where].join('; '), { cause });
        })
        .finally(() => bar.stop());
      for (const line of linesOf(moved, to)) printLine(line);
    });
}

const whereItIs = (step: MoveStep): string =>
  step === 'source marked'
    ? 'everything is copied, and the same command finishes the move'
    : 'the system is where it was, and the same command goes on with the copy';

function linesOf({ from, to: place, copied }: Moved, to: Engine): string[] {
  const whatIsThere = copied
    ? `${count(copied.events, 'event')} and ${count(copied.rows, 'row')} of the vault are in ${place}, and are verified there`
    : `everything was copied to ${place} and verified there by an earlier run; it is complete now`;
  return [
    whatIsThere,
    to.kind === 'mongodb'
      ? `the system in ${from} does not start again, but its files still hold keys and texts: once the new one runs and is backed up, delete log.db*, vault.db* and read.db* there, but keep master.key`
      : `the system in ${from} does not start again, but it still holds keys and texts: once the new one runs and is backed up, delete that database and the one of its vault`,
    to.kind === 'mongodb'
      ? 'next: MONGO_URL=<that URL> parley serve, with the same master key (DATA_DIR/master.key or MASTER_KEY), which was not copied; the first start folds the read models'
      : 'next: DATA_DIR=<that directory> parley serve, without MONGO_URL and with the same master key, which was not copied: put master.key into the directory, or set MASTER_KEY; the first start folds the read models',
  ];
}
