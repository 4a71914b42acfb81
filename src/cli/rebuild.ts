import { Argument, type Command } from 'commander';
import { readConfig } from '../config.js';
import { projectionNames } from '../projections/all.js';
import { say } from './say.js';
import { withOperator } from './withOperator.js';

export function addRebuild(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('rebuild')
    .description(
      'build a projection anew from the log, beside the one that is read until then: the system goes on meanwhile',
    )
    .addArgument(new Argument('<projection>', 'which one').choices(projectionNames))
    .action(async (projection: string) => {
      await withOperator(readConfig(env), (operator) => operator.rebuild({ projection }));
      say(`${projection} was built anew and is what is read now`);
    });
}
