import type { Collection, Db } from 'mongodb';
import { isDuplicateKey } from '../base/mongo.js';
import { type HoldRow, type HoldTable, holdId } from './vaultStore.js';

type HoldDocument = HoldRow & { readonly _id: string };

const rowOf = ({ _id: _, ...row }: HoldDocument): HoldRow => row;

/** The texts that reports keep, a document each: see `HoldTable`. */
export async function createHoldTable(db: Db): Promise<HoldTable> {
  const holds = db.collection<HoldDocument>('holds');
  await holds.createIndexes([{ key: { report: 1 } }, { key: { roomId: 1, seq: 1 } }, { key: { until: 1 } }]);
  return {
    async insertHolds(rows) {
      for (const row of rows) await insertHold(holds, { _id: holdId(row), ...row });
    },
    async markHeld(roomId, seqs, now) {
      const held = { roomId, seq: { $in: [...seqs] }, until: { $gt: now } };
      await holds.updateMany(held, { $set: { isDeleted: true } });
      // Those that have ended since are not kept any more.
      const found = await holds.find({ ...held, isDeleted: true }).project<{ seq: number }>({ seq: 1 });
      return [...new Set((await found.toArray()).map(({ seq }) => seq))];
    },
    async endHolds(report) {
      await holds.updateMany({ report }, { $set: { until: 0 } });
    },
    findHoldsOf: async (report) => (await holds.find({ report }).toArray()).map(rowOf),
    findHoldsIn: async (roomId, seqs) =>
      (await holds.find({ roomId, seq: { $in: [...seqs] } }).toArray()).map(rowOf),
    async findDeletedHolds(roomIds) {
      const found = await holds.find({ roomId: { $in: [...roomIds] }, isDeleted: true }).toArray();
      return found.map(({ owner, roomId, seq }) => ({ owner, roomId, seq }));
    },
    async listEndedHolds(partitions, now, limit) {
      const ended = holds.find({ until: { $lte: now }, partition: { $in: [...partitions] } });
      return (await ended.sort({ until: 1 }).limit(limit).toArray()).map(rowOf);
    },
    async removeEndedHolds(roomId, seq, now) {
      await holds.deleteMany({ roomId, seq, until: { $lte: now } });
    },
    async pageHolds(after, limit) {
      const page = holds.find({ _id: { $gt: after } }).sort({ _id: 1 });
      return (await page.limit(limit).toArray()).map(rowOf);
    },
  };
}

async function insertHold(holds: Collection<HoldDocument>, hold: HoldDocument): Promise<void> {
  try {
    await holds.insertOne(hold);
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
  }
}
