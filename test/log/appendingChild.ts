import { emptyHead } from '../../src/log/commit.js';
import { openSqliteLog } from '../../src/log/embeddedLog.js';
import { commitAfter } from './commitChain.js';

// Run as a process of its own: appends to a log for as long as it lives, and writes each acknowledged commit's id.
const log = await openSqliteLog({ file: process.argv[2] ?? '' });
for (let head = emptyHead(0); ; ) {
  const next = commitAfter(head, [`"${'x'.repeat(2000)}"`]);
  const outcome = await log.append(next.commit);
  if (outcome.kind !== 'committed') throw new Error('another writer is here');
  process.stdout.write(`${next.commit.id}\n`);
  head = next.head;
}
