import { LRUCache } from 'lru-cache';
import { type CollectionOptions, type Db, type MongoClient, MongoServerError } from 'mongodb';
import { createMongoClient, isDuplicateKey, MAJORITY, withCallTimeouts } from '../base/mongo.js';
import { type Allowance, type AttemptLimit, MAX_ATTEMPT_KEYS } from '../base/rateLimits.js';
import type { UserId } from '../domain/ids.js';
import type { NodeId } from './bus.js';
import type { Credential } from './busSeal.js';
import type { HeldLease } from './leases.js';
import { createMongoLeases, endLeases, findMove, type MovedLog } from './mongoLeases.js';
import { type Cluster, DEAD_AFTER_MS, type Devices, type Nodes, type Self } from './nodes.js';

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

/**
 * Written by its own node only. Its upserts race only with late ones of that node, of which one then throws.
 */
interface MemberDocument {
  readonly _id: NodeId;
  readonly startedAt: Date;
  readonly lastHeartbeat: Date;
  readonly capabilities: readonly string[];
  /** Null without other nodes. */
  readonly credential: Credential | null;
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
export function createMongoNodes(db: Db, { node, capabilities, seal }: Self): Nodes {
  const documents = db.collection<MemberDocument>('members', MAJORITY);
  let startedAt: number | undefined;
  return {
    async heartbeat() {
      const since = { $cond: ['$hasLeft', '$$NOW', { $ifNull: ['$startedAt', '$$NOW'] }] };
      const own = {
        capabilities: { $literal: capabilities },
        credential: { $literal: seal?.credential ?? null },
      };
      const alive = { lastHeartbeat: '$$NOW', startedAt: since, hasLeft: false };
      const member = await documents.findOneAndUpdate({ _id: node }, [{ $set: { ...alive, ...own } }], {
        upsert: true,
        returnDocument: 'after',
      });
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
      const live = (await members.toArray()).map(({ _id, credential, ...member }) => {
        const { startedAt, silentMs, capabilities } = member;
        return { node: _id, startedAt, silentMs, capabilities, ...(credential ? { credential } : {}) };
      });
      seal?.trust(live);
      return live;
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

/** The limit of one call, which makes at most two attempts. A user who signs in waits for it. */
const CALL_TIMEOUT_MS = 5000;

/** As `openCluster`, for the database at `url`. */
export async function openMongoCluster(url: string, self: Self, partitions: number): Promise<Cluster> {
  const client = createClusterClient(url);
  try {
    const leases = await createMongoLeases(client.db(), self.node, partitions);
    const nodes = withCallTimeouts(CALL_TIMEOUT_MS, createMongoNodes(client.db(), self));
    const devices = withCallTimeouts(
      CALL_TIMEOUT_MS,
      await createMongoDevices(client.db(), self.node, nodes),
    );
    return { leases, nodes, devices, close: () => client.close() };
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** Returns where the log in this database was moved; undefined if it was not. */
export async function findMovedLog(url: string): Promise<MovedLog | undefined> {
  const client = createClusterClient(url);
  try {
    return await findMove(client.db());
  } finally {
    await client.close();
  }
}

/** As `endLeases`, for the database at `url`. */
export async function endLeasesOf(
  url: string,
  node: NodeId,
  held: readonly HeldLease[],
  moved: MovedLog,
): Promise<boolean> {
  const client = createClusterClient(url);
  try {
    return await endLeases(client.db(), node, held, moved);
  } finally {
    await client.close();
  }
}

/** A bucket may be lost in a fail-over: that forgives a few attempts. */
const FAST_OPTIONS: CollectionOptions = {
  ...MAJORITY,
  writeConcern: { w: 1 },
  readConcern: { level: 'local' },
};

/** A token bucket. The optional fields record how the last attempt ended. */
interface BucketDocument {
  /** The address, or the claim to the user's name. */
  readonly _id: string;
  readonly tokens: number;
  readonly updatedAt?: Date;
  readonly isTaken?: boolean;
  /** When the bucket is full again. The document can then be removed, as a missing bucket counts as full. */
  readonly fullAt: Date;
}

/** Opens the limit in the database at `url`. `closing` receives the function that closes its client. */
export async function openMongoAttemptLimit(
  url: string,
  allowance: Allowance,
  closing: (close: () => unknown) => void,
): Promise<AttemptLimit> {
  const client = createClusterClient(url);
  closing(() => client.close());
  return withCallTimeouts(CALL_TIMEOUT_MS, await createMongoAttemptLimit(client.db(), allowance));
}

/**
 * Creates the limit: a token bucket per address and user, on the database's clock. Exact while one server takes the
 * writes: no token is given twice. Rejects with the driver's error if the database does not answer.
 */
export async function createMongoAttemptLimit(
  db: Db,
  { rate, burst }: Allowance,
  now: () => number = () => performance.now(),
): Promise<AttemptLimit> {
  const buckets = db.collection<BucketDocument>('sign_in_buckets', FAST_OPTIONS);
  await buckets.createIndex({ fullAt: 1 }, { expireAfterSeconds: 0 });
  const msPerToken = 60_000 / rate;
  const attempt = createTakePipeline(msPerToken, burst);
  /** When each refused key may try again: until then a flood of it costs no query. */
  const refused = new LRUCache<string, number>({ max: MAX_ATTEMPT_KEYS });
  return {
    async take(key) {
      const waitMs = (refused.get(key) ?? 0) - now();
      if (waitMs > 0) return Math.ceil(waitMs);
      const { isTaken, tokens } = await takeToken(key);
      if (isTaken) return 0;
      const retryAfterMs = Math.ceil((1 - tokens) * msPerToken);
      refused.set(key, now() + retryAfterMs);
      return retryAfterMs;
    },
  };

  async function takeToken(key: string): Promise<BucketDocument> {
    const attempted = () => buckets.findOneAndUpdate({ _id: key }, attempt, { returnDocument: 'after' });
    const bucket = (await attempted()) ?? (await insertFull(key).then(attempted));
    if (!bucket) throw new Error('the bucket is missing right after it was stored');
    return bucket;
  }

  /** Not an upsert: an upsert that loses a race fails in several ways. */
  async function insertFull(key: string): Promise<void> {
    const unused = { _id: key, tokens: burst, fullAt: new Date(Date.now() + 60_000) };
    await buckets.insertOne(unused).catch((error: unknown) => {
      if (!isDuplicateKey(error)) throw error;
    });
  }
}

/** The algorithm of `TokenBucket` as one atomic update. */
function createTakePipeline(msPerToken: number, burst: number) {
  const elapsedMs = { $max: [0, { $subtract: ['$$NOW', { $ifNull: ['$updatedAt', '$$NOW'] }] }] };
  const refilled = { $add: [{ $ifNull: ['$tokens', burst] }, { $divide: [elapsedMs, msPerToken] }] };
  const untilFull = { $ceil: { $multiply: [{ $subtract: [burst, '$tokens'] }, msPerToken] } };
  return [
    { $set: { tokens: { $min: [burst, refilled] }, updatedAt: '$$NOW' } },
    { $set: { isTaken: { $gte: ['$tokens', 1] } } },
    { $set: { tokens: { $cond: ['$isTaken', { $subtract: ['$tokens', 1] }, '$tokens'] } } },
    { $set: { fullAt: { $add: ['$$NOW', untilFull] } } },
  ];
}
