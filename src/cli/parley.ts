import { Command, CommanderError } from 'commander';
import { explainUnreachable } from '../app/openStores.js';
import { messageOf, ParleyError } from '../base/errors.js';
import { addAsOf, addCheckLog, addExport, addReplay, addVerify } from './audit.js';
import { addKey, addSigningKey } from './keys.js';
import { addReport, addUser } from './moderate.js';
import { addMove } from './move.js';
import {
  addAccept,
  addBackup,
  addMessage,
  addRebuild,
  addRestore,
  addRole,
  addSubscription,
} from './operate.js';

const ABOUT = [
  'Runs Parley, and audits it.',
  'Every command reads the settings of the server from the environment: DATA_DIR above all, and MONGO_URL, NATS_URL and MASTER_KEY if the server has them. README.md lists all settings.',
  'Commands that change something ask the server that runs in DATA_DIR. If none runs, they make the change themselves.',
].join('\n\n');

const EXITS = `
Exit codes: 0 done; 1 not done, or something is wrong: one line says what; 2 a mistake in the command line.`;

/** Runs the command that these arguments name, and sets the exit code of this process. */
export async function parley(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const program = new Command('parley')
    .description(ABOUT)
    .addHelpText('after', EXITS)
    .configureOutput({
      // One line, with the way to the help in it.
      outputError: (text, write) =>
        write(`${text.trimEnd().replaceAll('\n', ' ')} (parley --help lists the commands)\n`),
    })
    .exitOverride();
  for (const add of [
    ...[addServe, addRole, addUser, addMessage, addReport, addRebuild],
    ...[addBackup, addRestore, addMove, addAudit, addKey, addSubscription],
  ])
    add(program, env);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed the help, or the mistake.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    process.stderr.write(`parley: ${explainUnreachable(error, env.MONGO_URL) ?? messageOf(error)}\n`);
    // What was asked for is not there to be asked for, such as a partition that the log does not have.
    process.exitCode = error instanceof ParleyError && error.code === 'bad_request' ? 2 : 1;
  }
}

function addAudit(program: Command, env: NodeJS.ProcessEnv): void {
  const audit = program
    .command('audit')
    .description(
      'check, read and export the log, whether a server runs or not; docs/audit.md shows each step',
    );
  for (const add of [addVerify, addCheckLog, addReplay, addAsOf, addExport, addAccept, addSigningKey])
    add(audit, env);
}

function addServe(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('serve')
    .description(
      'run the server, as `npm start` does; SIGTERM or Ctrl-C finishes the requests in progress and stops the server',
    )
    .action(async () => (await import('../app/serve.js')).serve(env));
}
