import { emptyHead } from '../../src/log/commit.js';
import { openSqliteLog } from '../../src/log/embeddedLog.js';
import { commitAfter } from './commitChain.js';

// Runs as its own process. Appends to a log until killed, and prints the id of each acknowledged commit.
const log = await openSqliteLog({ file: process.argv[2] ?? '' });
for (let head = emptyHead(0); ; ) {
  const next = commitAfter(head, [`"${'x'.repeat(2000)}"`]);
  const outcome = await log.append(next.commit);
  if (outcome.kind !== 'committed') throw new Error('another writer is here');
  process.stdout.write(`${next.commit.id}\n`);
  head = next.head;
}
