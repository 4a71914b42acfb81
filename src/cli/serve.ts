import type { Command } from 'commander';
import { serve } from '../serve.js';

export function addServe(program: Command, env: NodeJS.ProcessEnv): void {
  program
    .command('serve')
    .description('run the server, as `npm start` does; SIGTERM or Ctrl-C stops it in good order')
    .action(() => serve(env));
}
