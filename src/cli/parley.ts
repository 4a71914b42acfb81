import { Command, CommanderError } from 'commander';
import { serve } from '../app/serve.js';
import { addAsOf, addReplay } from './auditHistory.js';
import { addAccept, addExport, addVerify } from './auditVerify.js';
import { addKey, addRebuild, addRole } from './operate.js';

const ABOUT = [
  'Runs Parley, and audits it.',
  'All verbs take the settings of the server from the environment: most of all DATA_DIR, and MONGO_URL, NATS_URL and MASTER_KEY if they are set for the server. README.md lists them.',
  'Verbs that change something ask the server that runs in DATA_DIR; where none runs, they do it themselves.',
].join('\n\n');

const EXITS = `
Exit codes: 0 done; 1 not done, or something is wrong, said in one line; 2 a wrong command line.`;

/** The command line: does what these arguments say, and sets the exit code of this process. */
export async function parley(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const program = new Command('parley')
    .description(ABOUT)
    .addHelpText('after', EXITS)
    .showHelpAfterError('(parley --help lists the verbs)')
    .exitOverride();
  for (const add of [addServe, addRole, addRebuild, addAudit, addKey]) add(program, env);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // It has said what is wrong, or what was asked of it.
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    process.stderr.write(`parley: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

function addAudit(program: Command, env: NodeJS.ProcessEnv): void {
  const audit = program
    .command('audit')
    .description(
      'check, read and export the log, beside a running server or without one; docs/audit.md walks through it',
    );
  for (const add of [addVerify, addReplay, addAsOf, addExport, addAccept]) add(audit, env);
}

function addServe(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('serve')
    .description('run the server, as `npm start` does; SIGTERM or Ctrl-C stops it in good order')
    .action(() => serve(env));
}
