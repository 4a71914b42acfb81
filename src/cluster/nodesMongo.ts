import type { Db } from 'mongodb';
import type { NodeId } from '../bus/bus.js';
import { agreed } from './mongoClient.js';
import { DEAD_AFTER_MS, type Nodes } from './nodes.js';

/** Written by its own node only, so that its upserts race with nothing but its own late ones: then one throws. */
interface MemberDocument {
  readonly _id: NodeId;
  readonly startedAt: Date;
  readonly lastBeat: Date;
  readonly knows: readonly string[];
}

const silentMs = { $subtract: ['$$NOW', '$lastBeat'] };
const isDead = { $expr: { $gte: [silentMs, DEAD_AFTER_MS] } };
const isLiving = { $expr: { $lt: [silentMs, DEAD_AFTER_MS] } };

/** The nodes as documents of this database, on its clock. Throws what the driver throws when it does not answer. */
export function mongoNodes(db: Db, node: NodeId, knows: readonly string[]): Nodes {
  const documents = db.collection<MemberDocument>('members', agreed);
  let startedAt: number | undefined;
  return {
    async beat() {
      const alive = { lastBeat: '$$NOW', startedAt: { $ifNull: ['$startedAt', '$$NOW'] } };
      const member = await documents.findOneAndUpdate(
        { _id: node },
        [{ $set: { ...alive, knows: { $literal: knows } } }],
        { upsert: true, returnDocument: 'after' },
      );
      // By the time, not by whether it was inserted: that answer may be lost, and the next one would not say it.
      const isNew = startedAt !== member?.startedAt.getTime();
      startedAt = member?.startedAt.getTime();
      return isNew;
    },
    async living() {
      const members = documents.aggregate<MemberDocument & { silentMs: number }>([
        { $match: isLiving },
        { $set: { silentMs } },
        { $sort: { startedAt: 1, _id: 1 } },
      ]);
      return (await members.toArray()).map(({ _id, lastBeat, ...living }) => ({ node: _id, ...living }));
    },
    async dead() {
      const members = await documents.find(isDead).toArray();
      return members.map(({ _id, lastBeat }) => ({ node: _id, lastBeat }));
    },
    async forget(dead) {
      await documents.deleteOne({ _id: dead, ...isDead });
    },
    async leave() {
      await documents.deleteOne({ _id: node });
    },
  };
}
