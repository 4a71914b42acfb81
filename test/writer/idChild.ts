import { openSqliteRows } from '../../src/projections/store/sqliteRows.js';
import { storyOf } from './idStory.js';
import { IdWorld } from './idWorld.js';

// Runs as its own process. Writes the index of the ids of a log into a file until it is killed. Prints a line for each
// step.
const [, , file = ''] = process.argv;
const world = await IdWorld.open(openSqliteRows(file), { log: await storyOf(3000), batchEvents: 64 });
for (;;) {
  await world.life.batches.step();
  process.stdout.write('step\n');
  await new Promise((resolve) => setImmediate(resolve));
}
