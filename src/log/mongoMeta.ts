import { randomUUID } from 'node:crypto';
import type { CollectionOptions, Db } from 'mongodb';
import { FORMAT, type LogMeta } from './meta.js';
import { isDuplicate } from './mongoErrors.js';

/** How the log's collections are written and read: nothing is said or seen that a fail-over could take back. */
export const durable: CollectionOptions = {
  writeConcern: { w: 'majority', journal: true },
  readConcern: { level: 'majority' },
  readPreference: 'primary',
  promoteBuffers: true,
};

/** What the log in this database says of itself; a new one is made with so many partitions. */
export async function openMongoMeta(db: Db, partitions: number): Promise<LogMeta> {
  const collection = db.collection<LogMeta & { _id: 'log' }>('meta', durable);
  const made = { _id: 'log' as const, logId: randomUUID(), partitions, format: FORMAT };
  const there = await collection.findOne({ _id: 'log' });
  if (there) return there;
  try {
    await collection.insertOne(made);
    return made;
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    // Another node was first: its log is the log.
    return openMongoMeta(db, partitions);
  }
}
