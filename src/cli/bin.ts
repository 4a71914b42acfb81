#!/usr/bin/env node
import { parley } from './parley.js';

// A reader may close the pipe early, as in `parley audit replay | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

await parley(process.argv.slice(2), process.env);
