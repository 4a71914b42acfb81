import { type Collection, type Db, type MongoClient, MongoServerError } from 'mongodb';
import { createMongoClient, isDuplicateKey, MAJORITY, withCallTimeouts } from '../base/mongo.js';
import type { UserId } from '../domain/ids.js';
import type { NodeId } from './bus.js';
import { type HeldLease, LEASE_MS, type LeaseHolder, type Leases } from './leases.js';
import { type Cluster, DEAD_AFTER_MS, type Devices, type Nodes } from './nodes.js';

/** The limit of one attempt. Several attempts fit into one lease. */
const ATTEMPT_TIMEOUT_MS = 2000;

/** A small pool: a flood of sign-ins queues here instead of delaying appends in the database. */
const MAX_CONNECTIONS = 10;

/** Creates a client that never retries: the caller must know of each attempt and when it was sent. */
export const createClusterClient = (url: string): MongoClient =>
  createMongoClient(url, {
    socketTimeoutMs: ATTEMPT_TIMEOUT_MS,
    retryWrites: false,
    retryReads: false,
    serverSelectionTimeoutMS: ATTEMPT_TIMEOUT_MS,
    waitQueueTimeoutMS: ATTEMPT_TIMEOUT_MS,
    maxPoolSize: MAX_CONNECTIONS,
  });

/**
 * Returns true if an upsert failed because its `_id` exists: a row its filter excludes, or a concurrent
 * insert. Servers differ in the error.
 */
const isDuplicateUpsert = (error: unknown): boolean =>
  isDuplicateKey(error) || (error instanceof MongoServerError && /duplicate key/i.test(error.message));

/** Subtracted from a lease here: this clock and the database's may run at different rates. */
const CLOCK_MARGIN_MS = 500;

/** One document per partition. It is never removed, so that its epoch only grows. */
interface LeaseDocument {
  readonly _id: number;
  readonly node: NodeId | null;
  readonly epoch: number;
  readonly expires: Date;
}

const LEASE_EXPIRY = { $add: ['$$NOW', LEASE_MS] };

/**
 * Creates the leases in this database, on its clock. `now` is the clock of `validUntil`. Throws the driver's
 * error if the database does not answer.
 */
export async function createMongoLeases(
  db: Db,
  node: NodeId,
  partitions: number,
  now: () => number = () => performance.now(),
): Promise<Leases> {
  const documents = db.collection<LeaseDocument>('leases', MAJORITY);
  await insertMissing(documents, partitions);
  return {
    async acquire(partition) {
      const sentAt = now();
      // A lease of this node is acquired again: either the answer was lost, or its present holder has lost
      // it.
      const free = [{ node: null }, { node }, { $expr: { $lte: ['$expires', '$$NOW'] } }];
      const taken = await documents.findOneAndUpdate(
        { _id: partition, $or: free },
        [{ $set: { node, epoch: { $add: ['$epoch', 1] }, expires: LEASE_EXPIRY } }],
        { returnDocument: 'after' },
      );
      return taken ? new MongoHeldLease(documents, taken, sentAt, now) : undefined;
    },
    async listHolders() {
      const valid = documents.find({ node: { $ne: null }, $expr: { $gt: ['$expires', '$$NOW'] } });
      const holders: (LeaseHolder | undefined)[] = Array.from({ length: partitions });
      for (const { _id, node, epoch } of await valid.toArray()) if (node) holders[_id] = { node, epoch };
      return holders;
    },
    async freeAllOf(ended) {
      await documents.updateMany({ node: ended }, { $set: { node: null } });
    },
  };
}

/** Not an upsert: servers differ in the error of an upsert that loses a race. */
async function insertMissing(documents: Collection<LeaseDocument>, partitions: number): Promise<void> {
  const free = { node: null, epoch: 0, expires: new Date(0) };
  const all = Array.from({ length: partitions }, (_, partition) => ({ _id: partition, ...free }));
  try {
    await documents.insertMany(all, { ordered: false });
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
  }
}

class MongoHeldLease implements HeldLease {
  readonly partition: number;
  readonly epoch: number;
  readonly #documents: Collection<LeaseDocument>;
  /** Matches the document until any node acquires it again, this node included. */
  readonly #filter: Omit<LeaseDocument, 'expires'>;
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
    this.#filter = { _id, node, epoch };
    this.#now = now;
    this.#validUntil = validUntilOf(sentAt);
  }

  get validUntil(): number {
    return this.#isOver ? Number.NEGATIVE_INFINITY : this.#validUntil;
  }

  async renew(): Promise<boolean> {
    // Taken before sending: the database counts from when it receives the call, which is unknown here.
    const sentAt = this.#now();
    // An abandoned attempt that lands late must not shorten the lease.
    const expires = { $max: ['$expires', LEASE_EXPIRY] };
    const { matchedCount } = await this.#documents.updateOne(this.#filter, [{ $set: { expires } }]);
    if (matchedCount === 0) this.#isOver = true;
    this.#validUntil = Math.max(this.#validUntil, validUntilOf(sentAt));
    // The lease may have been released during this call.
    return !this.#isOver;
  }

  async release(): Promise<void> {
    this.#isOver = true;
    await this.#documents.updateOne(this.#filter, { $set: { node: null } });
  }
}

const validUntilOf = (sentAt: number): number => sentAt + LEASE_MS - CLOCK_MARGIN_MS;

/**
 * Written by its own node only. Its upserts race only with late ones of that node, of which one then throws.
 */
interface MemberDocument {
  readonly _id: NodeId;
  readonly startedAt: Date;
  readonly lastHeartbeat: Date;
  readonly capabilities: readonly string[];
  /** The node will send no more heartbeats, as it said itself or its successor did. */
  readonly hasLeft: boolean;
}

const SILENT_MS = { $subtract: ['$$NOW', '$lastHeartbeat'] };
const IS_DEAD = { $expr: { $or: ['$hasLeft', { $gte: [SILENT_MS, DEAD_AFTER_MS] }] } };
const IS_LIVE = { $expr: { $not: IS_DEAD.$expr } };

/**
 * Creates the nodes in this database, on its clock. Throws the driver's error if the database does not
 * answer.
 */
export function createMongoNodes(db: Db, node: NodeId, capabilities: readonly string[]): Nodes {
  const documents = db.collection<MemberDocument>('members', MAJORITY);
  let startedAt: number | undefined;
  return {
    async heartbeat() {
      const since = { $cond: ['$hasLeft', '$$NOW', { $ifNull: ['$startedAt', '$$NOW'] }] };
      const alive = { lastHeartbeat: '$$NOW', startedAt: since, hasLeft: false };
      const member = await documents.findOneAndUpdate(
        { _id: node },
        [{ $set: { ...alive, capabilities: { $literal: capabilities } } }],
        { upsert: true, returnDocument: 'after' },
      );
      // Compares start times: a lost answer to an insert would hide that it was one.
      const isNew = startedAt !== member?.startedAt.getTime();
      startedAt = member?.startedAt.getTime();
      return isNew;
    },
    async listLive() {
      const members = documents.aggregate<MemberDocument & { silentMs: number }>([
        { $match: IS_LIVE },
        { $set: { silentMs: SILENT_MS } },
        { $sort: { startedAt: 1, _id: 1 } },
      ]);
      return (await members.toArray()).map((member) => {
        const { _id, startedAt, silentMs, capabilities } = member;
        return { node: _id, startedAt, silentMs, capabilities };
      });
    },
    async listDead() {
      const members = await documents.find(IS_DEAD).toArray();
      return members.map(({ _id, lastHeartbeat }) => ({ node: _id, lastHeartbeat }));
    },
    async expire(ended) {
      await documents.updateOne({ _id: ended }, { $set: { hasLeft: true } });
    },
    async forget(dead) {
      await documents.deleteOne({ _id: dead, ...IS_DEAD });
    },
    async leave() {
      await documents.updateOne({ _id: node }, [{ $set: { lastHeartbeat: '$$NOW', hasLeft: true } }]);
    },
  };
}

/** How long a cleared row is kept: longer than an earlier call can take to land. */
const CLEARED_TTL_S = 60;

interface DeviceDocument {
  /** User and node. */
  readonly _id: string;
  readonly userId: UserId;
  readonly node: NodeId;
  /** Counts the node's calls, so that a later call always wins. */
  readonly call: number;
  /** Null while a device is active. By the node's clock, which only the clean-up uses. */
  readonly clearedAt: Date | null;
}

/**
 * Creates the device rows in this database. Each node may have one such object. Throws the driver's error if
 * the database does not answer.
 */
export async function createMongoDevices(
  db: Db,
  node: NodeId,
  nodes: Pick<Nodes, 'listLive'>,
): Promise<Devices> {
  const documents = db.collection<DeviceDocument>('devices', MAJORITY);
  await documents.createIndexes([
    { key: { userId: 1 } },
    { key: { node: 1, userId: 1 } },
    { key: { clearedAt: 1 }, expireAfterSeconds: CLEARED_TTL_S },
  ]);
  let calls = 0;
  return {
    setActive: (userId) => write(userId, null),
    clearActive: (userId) => write(userId, new Date()),
    async findActive(users, except) {
      const living = (await nodes.listLive()).map(({ node }) => node).filter((each) => each !== except);
      const rows = { userId: { $in: [...users] }, node: { $in: living }, clearedAt: null };
      return new Set(await documents.distinct('userId', rows));
    },
    async listActive(node, limit, after = '') {
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
      if (!isDuplicateUpsert(error)) throw error;
      // The row was inserted by a later call, or concurrently by an earlier one.
      await documents.updateOne(earlier, row);
    }
  }
}

/** The limit of one call, which makes at most two attempts. */
const CALL_TIMEOUT_MS = 5000;

/** As `openCluster`, for the database at `url`. */
export async function openMongoCluster(
  url: string,
  node: NodeId,
  partitions: number,
  capabilities: readonly string[],
): Promise<Cluster> {
  const client = createClusterClient(url);
  try {
    const leases = await createMongoLeases(client.db(), node, partitions);
    const nodes = withCallTimeouts(CALL_TIMEOUT_MS, createMongoNodes(client.db(), node, capabilities));
    const devices = withCallTimeouts(CALL_TIMEOUT_MS, await createMongoDevices(client.db(), node, nodes));
    return { leases: withCallTimeouts(CALL_TIMEOUT_MS, leases), nodes, devices, close: () => client.close() };
  } catch (error) {
    await client.close();
    throw error;
  }
}
