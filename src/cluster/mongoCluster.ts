import {
  type Collection,
  type CollectionOptions,
  type Db,
  type MongoClient,
  MongoServerError,
} from 'mongodb';
import { allWithin, mongoClient } from '../base/mongo.js';
import type { UserId } from '../domain/ids.js';
import { durable, isDuplicate } from '../log/logMeta.js';
import type { NodeId } from './bus.js';
import type { Devices } from './devices.js';
import { type Held, type Holder, LEASE_MS, type Leases } from './leases.js';
import { type Cluster, DEAD_AFTER_MS, type Nodes } from './nodes.js';

/** One attempt: short against a lease, so that there are several while it lasts. */
const ATTEMPT_MS = 2000;

/**
 * How what the nodes agree on is written and read: with majority, on the primary, so that nothing that one has been
 * told is taken back. A connection that is silent for 2 s fails what was asked over it, its outcome unknown.
 */
export const agreed: CollectionOptions = durable;

/** Few connections: a flood of sign-ins waits for them, and not the appends for the database. */
const POOL = 10;

/** A client that tries everything once: who calls knows of each attempt, and when it was sent. */
export const clusterClient = (url: string): MongoClient =>
  mongoClient(url, {
    silenceMs: ATTEMPT_MS,
    retryWrites: false,
    retryReads: false,
    serverSelectionTimeoutMS: ATTEMPT_MS,
    waitQueueTimeoutMS: ATTEMPT_MS,
    maxPoolSize: POOL,
  });

/**
 * Whether an upsert found its `_id` taken, by a row that its filter does not match or that was inserted in this very
 * moment. Servers differ in how they say it.
 */
const isTaken = (error: unknown): boolean =>
  isDuplicate(error) || (error instanceof MongoServerError && /duplicate key/i.test(error.message));

/** What a lease is thought shorter here than it is there: the two clocks may run at different rates. */
const MARGIN_MS = 500;

/** One a partition. None is ever removed, so that its epoch only grows. */
interface LeaseDocument {
  readonly _id: number;
  readonly node: NodeId | null;
  readonly epoch: number;
  readonly expires: Date;
}

const inOneLease = { $add: ['$$NOW', LEASE_MS] };

/**
 * The leases as documents of this database, on its clock. `now` is the clock of `validUntil`. Throws what the driver
 * throws when the database does not answer.
 */
export async function mongoLeases(
  db: Db,
  node: NodeId,
  partitions: number,
  now: () => number = () => performance.now(),
): Promise<Leases> {
  const documents = db.collection<LeaseDocument>('leases', agreed);
  await insertMissing(documents, partitions);
  return {
    async acquire(partition) {
      const sentAt = now();
      // A lease that is this node's is taken again: its answer was lost, or else who has it there has lost it.
      const free = [{ node: null }, { node }, { $expr: { $lte: ['$expires', '$$NOW'] } }];
      const taken = await documents.findOneAndUpdate(
        { _id: partition, $or: free },
        [{ $set: { node, epoch: { $add: ['$epoch', 1] }, expires: inOneLease } }],
        { returnDocument: 'after' },
      );
      return taken ? new HeldInMongo(documents, taken, sentAt, now) : undefined;
    },
    async holders() {
      const valid = documents.find({ node: { $ne: null }, $expr: { $gt: ['$expires', '$$NOW'] } });
      const holders: (Holder | undefined)[] = Array.from({ length: partitions });
      for (const { _id, node, epoch } of await valid.toArray()) if (node) holders[_id] = { node, epoch };
      return holders;
    },
    async free(ended) {
      await documents.updateMany({ node: ended }, { $set: { node: null } });
    },
  };
}

/** Insert and update apart: what an upsert that loses a race answers differs between servers. */
async function insertMissing(documents: Collection<LeaseDocument>, partitions: number): Promise<void> {
  const free = { node: null, epoch: 0, expires: new Date(0) };
  const all = Array.from({ length: partitions }, (_, partition) => ({ _id: partition, ...free }));
  try {
    await documents.insertMany(all, { ordered: false });
  } catch (error) {
    if (!isDuplicate(error)) throw error;
  }
}

class HeldInMongo implements Held {
  readonly partition: number;
  readonly epoch: number;
  readonly #documents: Collection<LeaseDocument>;
  /** What the document is like while nobody has acquired it since, this node neither. */
  readonly #still: Pick<LeaseDocument, '_id' | 'node' | 'epoch'>;
  readonly #now: () => number;
  #validUntil: number;
  #isOver = false;

  constructor(
    documents: Collection<LeaseDocument>,
    { _id, node, epoch }: LeaseDocument,
    sentAt: number,
    now: () => number,
  ) {
    this.partition = _id;
    this.epoch = epoch;
    this.#documents = documents;
    this.#still = { _id, node, epoch };
    this.#now = now;
    this.#validUntil = validFrom(sentAt);
  }

  get validUntil(): number {
    return this.#isOver ? Number.NEGATIVE_INFINITY : this.#validUntil;
  }

  async renew(): Promise<boolean> {
    // Before it is sent: the database counts from when it takes it, and nothing here says when that was.
    const sentAt = this.#now();
    // An attempt that was given up, and lands late, must not shorten what a later one has won.
    const expires = { $max: ['$expires', inOneLease] };
    const { matchedCount } = await this.#documents.updateOne(this.#still, [{ $set: { expires } }]);
    if (matchedCount === 0) this.#isOver = true;
    this.#validUntil = Math.max(this.#validUntil, validFrom(sentAt));
    // Released, perhaps, while this was under way.
    return !this.#isOver;
  }

  async release(): Promise<void> {
    this.#isOver = true;
    await this.#documents.updateOne(this.#still, { $set: { node: null } });
  }
}

const validFrom = (sentAt: number): number => sentAt + LEASE_MS - MARGIN_MS;

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

/** No call takes more than two attempts. */
const CALL_MS = 5000;

/** As `openCluster`, in the database at `url`. */
export async function openMongoCluster(
  url: string,
  node: NodeId,
  partitions: number,
  knows: readonly string[],
): Promise<Cluster> {
  const client = clusterClient(url);
  try {
    const leases = await mongoLeases(client.db(), node, partitions);
    const nodes = allWithin(CALL_MS, mongoNodes(client.db(), node, knows));
    const devices = allWithin(CALL_MS, await mongoDevices(client.db(), node, nodes));
    return { leases: allWithin(CALL_MS, leases), nodes, devices, close: () => client.close() };
  } catch (error) {
    await client.close();
    throw error;
  }
}
