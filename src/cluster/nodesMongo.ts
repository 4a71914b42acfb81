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
  /** It will beat no more, as it has said, or whoever came after it. */
  readonly hasLeft: boolean;
}

const silentMs = { $subtract: ['$$NOW', '$lastBeat'] };
const isDead = { $expr: { $or: ['$hasLeft', { $gte: [silentMs, DEAD_AFTER_MS] }] } };
const isLiving = { $expr: { $not: isDead.$expr } };

/** The nodes as documents of this database, on its clock. Throws what the driver throws when it does not answer. */
export function mongoNodes(db: Db, node: NodeId, knows: readonly string[]): Nodes {
  const documents = db.collection<MemberDocument>('members', agreed);
  let startedAt: number | undefined;
  return {
    async beat() {
      const since = { $cond: ['$hasLeft', '$$NOW', { $ifNull: ['$startedAt', '$$NOW'] }] };
      const alive = { lastBeat: '$$NOW', startedAt: since, hasLeft: false };
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
      return (await members.toArray()).map((member) => {
        const { _id, startedAt, silentMs, knows } = member;
        return { node: _id, startedAt, silentMs, knows };
      });
    },
    async dead() {
      const members = await documents.find(isDead).toArray();
      return members.map(({ _id, lastBeat }) => ({ node: _id, lastBeat }));
    },
    async bury(ended) {
      await documents.updateOne({ _id: ended }, { $set: { hasLeft: true } });
    },
    async forget(dead) {
      await documents.deleteOne({ _id: dead, ...isDead });
    },
    async leave() {
      await documents.updateOne({ _id: node }, [{ $set: { lastBeat: '$$NOW', hasLeft: true } }]);
    },
  };
}
