import { engineOf } from '../app/openStores.js';
import { openAuditedLog } from '../audit/storedRows.js';
import { readConfig } from '../base/settings.js';
import { checkPartitionChain } from '../log/checkLog.js';
import { printLine } from './commandLine.js';

/**
 * `npm run check-log`: checks every partition of the log that `DATA_DIR` or `MONGO_URL` names, whether a server runs
 * or not. Prints a line for each, changes nothing, and exits with 1 if anything is wrong.
 */
async function main(): Promise<void> {
  const log = await openAuditedLog(engineOf(readConfig(process.env)));
  try {
    for (let partition = 0; partition < log.partitions; partition++) {
      const { position, size, recordedAt, hash } = await checkPartitionChain(log, partition);
      printLine(
        `partition ${partition}: ${position} commits, ${size} events until ${recordedAt || '-'}, last hash ${hash}`,
      );
    }
    printLine(`log ${log.id}: nothing is wrong`);
  } finally {
    await log.close();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
