import { openAuditedLog } from '../audit/storedRows.js';
import { readConfig } from '../base/config.js';
import { checkPartitionChain } from '../log/checkLog.js';

/**
 * `npm run check-log`: checks every partition of the log that `DATA_DIR` or `MONGO_URL` names, beside a server or
 * without one, and writes what it found, a line a partition. Changes nothing. Exits with 1 when anything is wrong.
 */
async function main(): Promise<void> {
  const { DATA_DIR, MONGO_URL } = readConfig(process.env);
  const log = await openAuditedLog(
    MONGO_URL === undefined ? { kind: 'sqlite', dataDir: DATA_DIR } : { kind: 'mongodb', url: MONGO_URL },
  );
  try {
    for (let partition = 0; partition < log.partitions; partition++) {
      const { position, size, recordedAt, hash } = await checkPartitionChain(log, partition);
      say(
        `partition ${partition}: ${position} commits, ${size} events until ${recordedAt || '-'}, last hash ${hash}`,
      );
    }
    say(`log ${log.id}: whole`);
  } finally {
    await log.close();
  }
}

const say = (line: string) => process.stdout.write(`${line}\n`);

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
