import { LRUCache } from 'lru-cache';
import type { CollectionOptions, Db } from 'mongodb';
import { isDuplicateKey, MAJORITY, withCallTimeouts } from '../base/mongo.js';
import { type Allowance, type AttemptLimit, MAX_ATTEMPT_KEYS } from '../base/rateLimits.js';
import { createClusterClient } from './mongoCluster.js';

/** Short, because a user waits to sign in. */
const CALL_TIMEOUT_MS = 5000;

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
