import { Argument, type Command } from 'commander';
import { readConfig } from '../config.js';
import { say } from './say.js';
import { withOperator } from './withOperator.js';

export function addRole(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('role')
    .description(
      'give a user a role, or take it away: an auditor may read all that happened, and what they read is recorded',
    )
    .addArgument(new Argument('<role>', 'the only one there is').choices(['auditor']))
    .argument('<username>', 'who has signed up by this name')
    .option('--remove', 'take it away')
    .action(async (_role: string, username: string, { remove = false }: { remove?: boolean }) => {
      const isAuditor = !remove;
      const { changed } = await withOperator(readConfig(env), (operator) =>
        operator.role({ username, isAuditor }),
      );
      const now = isAuditor ? 'an auditor' : 'no auditor';
      say(`${username} is ${now}${changed ? ' now' : ', as before'}`);
    });
}
