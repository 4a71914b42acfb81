#!/usr/bin/env node
import { parley } from './parley.js';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader may close the pipe early, as in `parley audit replay | head`.
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`parley: cannot write to standard output: ${error.message}\n`);
  process.exit(1);
});
// Without standard error, the exit code tells.
process.stderr.on('error', () => {});

await parley(process.argv.slice(2), process.env);
