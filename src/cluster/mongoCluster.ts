import {
  type Collection,
  type CollectionOptions,
  type Db,
  type MongoClient,
  MongoServerError,
} from 'mongodb';
import { createMongoClient, isDuplicateKey, MAJORITY, withCallTimeouts } from '../base/mongo.js';
import type { UserId } from '../domain/ids.js';
import type { NodeId } from './bus.js';
import type { Devices } from './devices.js';
import { type HeldLease, LEASE_MS, type LeaseHolder, type Leases } from './leases.js';
import { type Cluster, DEAD_AFTER_MS, type Nodes } from './nodes.js';

/** One attempt: short against a lease, so that there are several while it lasts. */
const ATTEMPT_TIMEOUT_MS = 2000;

/**
 * How what the nodes agree on is written and read: with majority, on the primary, so that nothing that one has been
 * told is taken back. A connection that is silent for 2 s fails what was asked over it, its outcome unknown.
 */
export const agreed: CollectionOptions = MAJORITY;

/** Few connections: a flood of sign-ins waits for them, and not the appends for the database. */
const MAX_CONNECTIONS = 10;

/** A client that tries everything once: who calls knows of each attempt, and when it was sent. */
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
 * Whether an upsert found its `_id` taken, by a row that its filter does not match or that was inserted in this very
 * moment. Servers differ in how they say it.
 */
const isTaken = (error: unknown): boolean =>
  isDuplicateKey(error) || (error instanceof MongoServerError && /duplicate key/i.test(error.message));

/** What a lease is thought shorter here than it is there: the two clocks may run at different rates. */
const CLOCK_MARGIN_MS = 500;

/** One a partition. None is ever removed, so that its epoch only grows. */
interface LeaseDocument {
  readonly _id: number;
  readonly node: NodeId | null;
  readonly epoch: number;
  readonly expires: Date;
}

const LEASE_EXPIRY = { $add: ['$$NOW', LEASE_MS] };

/**
 * The leases as documents of this database, on its clock. `now` is the clock of `validUntil`. Throws what the driver
 * throws when the database does not answer.
 */
export async function createMongoLeases(
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
        [{ $set: { node, epoch: { $add: ['$epoch', 1] }, expires: LEASE_EXPIRY } }],
        { returnDocument: 'after' },
      );
      return taken ? new MongoHeldLease(documents, taken, sentAt, now) : undefined;
    },
    async holders() {
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

/** Insert and update apart: what an upsert that loses a race answers differs between servers. */
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
  /** What the document is like while nobody has acquired it since, this node neither. */
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
    // Before it is sent: the database counts from when it takes it, and nothing here says when that was.
    const sentAt = this.#now();
    // An attempt that was given up, and lands late, must not shorten what a later one has won.
    const expires = { $max: ['$expires', LEASE_EXPIRY] };
    const { matchedCount } = await this.#documents.updateOne(this.#filter, [{ $set: { expires } }]);
    if (matchedCount === 0) this.#isOver = true;
    this.#validUntil = Math.max(this.#validUntil, validUntilOf(sentAt));
    // Released, perhaps, while this was under way.
    return !this.#isOver;
  }

  async release(): Promise<void> {
    this.#isOver = true;
    await this.#documents.updateOne(this.#filter, { $set: { node: null } });
  }
}

const validUntilOf = (sentAt: number): number => sentAt + LEASE_MS - CLOCK_MARGIN_MS;

/** Written by its own node only, so that its upserts race with nothing but its own late ones: then one throws. */
interface MemberDocument {
  readonly _id: NodeId;
  readonly startedAt: Date;
  readonly lastHeartbeat: Date;
  readonly capabilities: readonly string[];
  /** It will beat no more, as it has said, or whoever came after it. */
  readonly hasLeft: boolean;
}

const SILENT_MS = { $subtract: ['$$NOW', '$lastHeartbeat'] };
const IS_DEAD = { $expr: { $or: ['$hasLeft', { $gte: [SILENT_MS, DEAD_AFTER_MS] }] } };
const IS_LIVE = { $expr: { $not: IS_DEAD.$expr } };

/** The nodes as documents of this database, on its clock. Throws what the driver throws when it does not answer. */
export function createMongoNodes(db: Db, node: NodeId, capabilities: readonly string[]): Nodes {
  const documents = db.collection<MemberDocument>('members', agreed);
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
      // By the time, not by whether it was inserted: that answer may be lost, and the next one would not say it.
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

/** A cleared row stays for so long: longer than any attempt of an earlier call can take to land. */
const CLEARED_TTL_S = 60;

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
export async function createMongoDevices(
  db: Db,
  node: NodeId,
  nodes: Pick<Nodes, 'listLive'>,
): Promise<Devices> {
  const documents = db.collection<DeviceDocument>('devices', agreed);
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
      if (!isTaken(error)) throw error;
      // By a later call, or by an earlier one in this very moment.
      await documents.updateOne(earlier, row);
    }
  }
}

/** No call takes more than two attempts. */
const CALL_TIMEOUT_MS = 5000;

/** As `openCluster`, in the database at `url`. */
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
