import { decodeCommit } from '../../src/projections/commitBuffer.js';
import { Projector } from '../../src/projections/projector.js';
import { Rebuild } from '../../src/projections/rebuilder.js';
import { openSqliteRows } from '../../src/projections/store/sqliteRows.js';
import { MemoryLog } from '../support/memoryLog.js';
import { allProjections, story } from '../support/notebook.js';

// Runs as its own process. Folds a story of so many commits into a file until it is killed, and builds one of the
// tables anew beside. Prints a line for each write.
const [, , file = '', length = '0'] = process.argv;
const commits = story(Number(length));
const log = new MemoryLog();
for (const commit of commits) await log.append(commit);
const store = openSqliteRows(file);
const projections = allProjections();
const projector = await Projector.open(store, projections, 1);
const [digests] = projections;
if (!digests) throw new Error('there is no projection');
const rebuild = await Rebuild.begin({ store, log, partitions: 1 }, digests, 0);
for (let n = 0; ; n++) {
  const at = projector.position(0);
  await projector.fold(commits.slice(at, at + 1 + (n % 7)).map(decodeCommit));
  await projector.write();
  await rebuild.step();
  process.stdout.write(`${projector.position(0)}\n`);
  await new Promise((resolve) => setImmediate(resolve));
}
