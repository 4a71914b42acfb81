import {
  MongoAPIError,
  MongoError,
  MongoServerClosedError,
  MongoServerError,
  MongoWriteConcernError,
} from 'mongodb';

const DUPLICATE_KEY = 11000;

/** Answers with which a server refuses a write for good, whoever asks again: error codes of MongoDB. */
const REFUSALS = new Set([
  2, // BadValue
  9, // FailedToParse
  13, // Unauthorized
  14, // TypeMismatch
  18, // AuthenticationFailed
  20, // IllegalOperation
  59, // CommandNotFound
  72, // InvalidOptions
  73, // InvalidNamespace
  121, // DocumentValidationFailure
  8000, // AtlasError: over a quota, or not allowed
  10334, // BSONObjectTooLarge
  14031, // OutOfDiskSpace
]);

/** There is a document with this `_id`; it may not be durable yet. */
export const isDuplicate = (error: unknown): boolean =>
  error instanceof MongoServerError && error.code === DUPLICATE_KEY;

/**
 * Trying again cannot help: the server refuses, the client is closed or misused, or the fault is ours. All
 * else, a code never heard of too, proves nothing: the write may have happened, or may happen next time.
 */
export function isDefinite(error: unknown): boolean {
  if (error instanceof MongoServerClosedError || error instanceof MongoWriteConcernError) return false;
  if (error instanceof MongoServerError) return REFUSALS.has(Number(error.code));
  if (error instanceof MongoError) return error instanceof MongoAPIError;
  // The driver lets some of the system's errors through as they are, such as ECONNRESET.
  return error instanceof TypeError || error instanceof RangeError;
}
