import { MongoClient } from 'mongodb';
import { readConfig } from './config.js';
import { type CheckedLog, checkPartitionLog } from './log/check.js';
import { openMongoLog } from './log/mongodb.js';
import { openLogReader } from './log/sqliteReader.js';
import { logFileOf } from './projections/engine.js';

/** A log that exists, to be checked. */
interface OpenedLog extends CheckedLog {
  readonly id: string;
  readonly partitions: number;
  close(): unknown;
}

/**
 * `npm run check-log`: checks every partition of the log that `DATA_DIR` or `MONGO_URL` names, beside a server or
 * without one, and writes what it found, a line a partition. Changes nothing. Exits with 1 when anything is wrong.
 */
async function main(): Promise<void> {
  const { DATA_DIR, MONGO_URL } = readConfig(process.env);
  const log = MONGO_URL === undefined ? openLogReader(logFileOf(DATA_DIR)) : await openExisting(MONGO_URL);
  try {
    for (let partition = 0; partition < log.partitions; partition++) {
      const { position, size, recordedAt, hash } = await checkPartitionLog(log, partition);
      say(
        `partition ${partition}: ${position} commits, ${size} events until ${recordedAt || '-'}, last hash ${hash}`,
      );
    }
    say(`log ${log.id}: whole`);
  } finally {
    await log.close();
  }
}

/** Opening makes a log where there is none, which a check must not. */
async function openExisting(url: string): Promise<OpenedLog> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 5000 });
  try {
    const there = await client.db().listCollections({ name: 'meta' }).hasNext();
    if (!there) throw new Error(`the database ${client.db().databaseName} holds no log`);
  } finally {
    await client.close();
  }
  return openMongoLog({ url });
}

const say = (line: string) => process.stdout.write(`${line}\n`);

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
