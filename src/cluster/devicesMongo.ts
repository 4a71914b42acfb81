import type { Db } from 'mongodb';
import type { NodeId } from '../bus/bus.js';
import type { UserId } from '../events/ids.js';
import type { Devices } from './devices.js';
import { agreed, isTaken } from './mongoClient.js';
import type { Nodes } from './nodes.js';

/** A cleared row stays for so long: longer than any attempt of an earlier call can take to land. */
const CLEARED_FOR_S = 60;

interface DeviceDocument {
  /** User and node. */
  readonly _id: string;
  readonly userId: UserId;
  readonly node: NodeId;
  /** Counts the calls of the node: a smaller one never wins over a larger. */
  readonly call: number;
  /** Null while there is an active device. By the node's clock: only the clean-up goes by it. */
  readonly clearedAt: Date | null;
}

/** The rows as documents of this database; one such object a node may write. Throws what the driver throws when it does not answer. */
export async function mongoDevices(db: Db, node: NodeId, nodes: Pick<Nodes, 'living'>): Promise<Devices> {
  const documents = db.collection<DeviceDocument>('devices', agreed);
  await documents.createIndexes([
    { key: { userId: 1 } },
    { key: { node: 1, userId: 1 } },
    { key: { clearedAt: 1 }, expireAfterSeconds: CLEARED_FOR_S },
  ]);
  let calls = 0;
  return {
    set: (userId) => write(userId, null),
    clear: (userId) => write(userId, new Date()),
    async elsewhere(users, except) {
      const living = (await nodes.living()).map(({ node }) => node).filter((each) => each !== except);
      const rows = { userId: { $in: [...users] }, node: { $in: living }, clearedAt: null };
      return new Set(await documents.distinct('userId', rows));
    },
    async of(node, limit, after = '') {
      const rows = documents.find({ node, userId: { $gt: after }, clearedAt: null });
      return (await rows.sort({ userId: 1 }).limit(limit).toArray()).map(({ userId }) => userId);
    },
    async dropNode(dead) {
      await documents.deleteMany({ node: dead });
    },
  };

  async function write(userId: UserId, clearedAt: Date | null): Promise<void> {
    const call = ++calls;
    const earlier = { _id: `${userId}/${node}`, call: { $lt: call } };
    const row = { $set: { userId, node, call, clearedAt } };
    try {
      await documents.updateOne(earlier, row, { upsert: true });
    } catch (error) {
      if (!isTaken(error)) throw error;
      // By a later call, or by an earlier one in this very moment.
      await documents.updateOne(earlier, row);
    }
  }
}
