import type { Command } from 'commander';
import { readConfig } from '../config.js';
import { numberOf } from './number.js';
import { say } from './say.js';
import { withOperator } from './withOperator.js';

export function addAccept(audit: Command, env: NodeJS.ProcessEnv): void {
  audit
    .command('accept')
    .description(
      'go on with a log that does not extend its last signed head, such as one from a back-up: its present head is signed in its place',
    )
    .argument('<partition>', 'which one; the log and /ready name it', numberOf)
    .action(async (partition: number) => {
      const { size } = await withOperator(readConfig(env), (operator) => operator.accept({ partition }));
      say(`partition ${partition} is accepted as it is, with ${size} events`);
    });
}
