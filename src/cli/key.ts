import type { Command } from 'commander';
import { readConfig } from '../config.js';
import { say } from './say.js';
import { withOperator } from './withOperator.js';

export function addKey(program: Command, env: NodeJS.ProcessEnv): void {
  const key = program.command('key').description('the key that signs the heads of the log');
  key
    .command('rotate')
    .description('sign with a new key from now on; earlier ones are still told, for what they have signed')
    .action(async () => {
      const { keys } = await withOperator(readConfig(env), (operator) => operator.rotateKey({}));
      for (const line of keys) say(line);
    });
}
