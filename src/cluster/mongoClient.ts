import { type CollectionOptions, type MongoClient, MongoServerError } from 'mongodb';
import { isDuplicate } from '../log/mongoErrors.js';
import { durable } from '../log/mongoMeta.js';
import { mongoClient } from '../mongo.js';

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
export const isTaken = (error: unknown): boolean =>
  isDuplicate(error) || (error instanceof MongoServerError && /duplicate key/i.test(error.message));
