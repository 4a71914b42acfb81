import { type Collection, type Filter, type MongoClient, MongoError } from 'mongodb';
import { type Clock, systemClock } from '../base/clock.js';
import {
  GroupedInserts,
  isDuplicateKey,
  isPermanentFailure,
  MAJORITY,
  withMongoTimeout,
} from '../base/mongo.js';
import { pack, unpack } from './commit.js';
import {
  AppendError,
  type Commit,
  type EventLog,
  type Hash,
  HoleError,
  MAX_READ_BYTES,
  type Outcome,
  outcomeOf,
  type Place,
  type PlaceAfter,
  readEach,
  StorageError,
} from './log.js';
import { checkLogMeta, checkPartition, type LogMeta } from './logMeta.js';
import { ATTEMPT_TIMEOUT_MS, COMMITS, checkWhole, connectMongoLog, openMongoMeta } from './mongoLogMeta.js';

const BACK_OFF_MS = { min: 50, max: 1000 };
/** As many commits of the maximum size as fit one reply of the server. */
const READ_BATCH_COMMITS = 60;
/** How long a commit waits for those of other partitions while a call is in flight. */
const LINGER_MS = 5;
/** Half of what a message of the server's protocol can hold. */
const MAX_CALL_BYTES = 8 * 1024 * 1024;

/** The database of a log. */
export interface MongoLogOptions {
  /** Includes the name of the database. */
  readonly url: string;
  /** The partitions of a new log; default 8. An existing log must have this number. */
  readonly partitions?: number;
  /** Called if this call has created the log. */
  readonly onCreated?: () => void;
}

/**
 * Opens the log in MongoDB: one collection, whose `_id` is the place of a commit and the only index. Throws
 * `LogMismatch` if the log differs from the options or is not whole yet, or the driver's error if the server does not answer.
 */
export async function openMongoLog({ url, partitions, onCreated }: MongoLogOptions): Promise<EventLog> {
  const client = connectMongoLog(url);
  try {
    const meta = await openMongoMeta(client.db(), partitions ?? 8, onCreated);
    checkWhole(meta);
    checkLogMeta(meta, partitions);
    return new MongoLog(meta, client);
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** The log in one MongoDB database. Commits of all partitions leave together: see `GroupedInserts`. */
export class MongoLog implements EventLog {
  readonly id: string;
  readonly history: string;
  readonly partitions: number;
  readonly #commits: Collection<CommitDocument>;
  readonly #inserts: GroupedInserts<CommitDocument>;
  /** The last position known to be taken, by partition. Saves reading the tail before each append. */
  readonly #lastTaken: number[];
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();

  /** Closes `client` with the log. Uses `clock` for timeouts and retries. */
  constructor(
    { id, history, partitions }: Omit<LogMeta, 'format'>,
    private readonly client: Pick<MongoClient, 'db' | 'close'>,
    private readonly clock: Clock = systemClock,
  ) {
    this.id = id;
    this.history = history;
    this.partitions = partitions;
    this.#lastTaken = Array.from({ length: partitions }, () => 0);
    const db = client.db();
    this.#commits = db.collection<CommitDocument>(COMMITS, MAJORITY);
    const limits = { timeoutMs: ATTEMPT_TIMEOUT_MS, lingerMs: LINGER_MS, maxBytes: MAX_CALL_BYTES };
    this.#inserts = new GroupedInserts(db, COMMITS, { clock, ...limits });
  }

  append(commit: Commit): Promise<Outcome> {
    return this.#track(() => this.#appendUntilSettled(commit));
  }

  read(partition: number, after: number, limit: number): Promise<Commit[]> {
    return this.#track(() => this.#withTimeout(this.#readPage(partition, after, limit)));
  }

  readNext(places: readonly PlaceAfter[], limit: number): Promise<Commit[]> {
    return readEach(this, places, limit);
  }

  places(partition: number, positions: readonly number[]): Promise<Place[]> {
    return this.#track(() => this.#withTimeout(this.#readPlaces(partition, positions)));
  }

  tail(partition: number): Promise<Commit | undefined> {
    return this.#track(() => this.#readTail(partition));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#inFlight);
    await this.client.close();
  }

  /** Retries until the outcome is certain: after an inconclusive error the commit may be stored or not. */
  async #appendUntilSettled(commit: Commit): Promise<Outcome> {
    for (let wait = BACK_OFF_MS.min; ; wait = Math.min(wait * 2, BACK_OFF_MS.max)) {
      try {
        return await this.#attempt(commit);
      } catch (error) {
        if (error instanceof AppendError || error instanceof RangeError) throw error;
        if (isPermanentFailure(error))
          throw new StorageError(`MongoDB refused commit ${commit.id}`, { cause: error });
        await this.#waitToRetry(wait, commit, error);
      }
    }
  }

  async #attempt(commit: Commit): Promise<Outcome> {
    const { partition, position } = commit;
    checkPartition(partition, this.partitions);
    await this.#checkPosition(commit);
    const document = toDocument(commit);
    try {
      await this.#inserts.insert(document, document.leaves.length);
      this.#noteTaken(partition, position);
      return { kind: 'committed' };
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
    }
    // The stored commit decides only once a majority has it: until then it may be rolled back.
    const there = await this.#withTimeout(this.#commits.findOne({ _id: document._id }));
    if (!there)
      throw new MongoError(`position ${position} is taken by a commit that no majority of servers has yet`);
    this.#noteTaken(partition, position);
    return outcomeOf(commit, fromDocument(there));
  }

  async #checkPosition({ partition, position }: Commit): Promise<void> {
    if (!Number.isInteger(position) || position < 1)
      throw new AppendError(`position ${position} is not a positive integer`);
    const known = this.#lastTaken[partition] ?? 0;
    if (position <= known + 1) return;
    const tail = (await this.#readTail(partition))?.position ?? 0;
    if (position > tail + 1)
      throw new AppendError(`partition ${partition} ends at ${tail}: position ${position} does not follow`);
  }

  async #waitToRetry(ms: number, commit: Commit, cause: unknown): Promise<void> {
    const { signal } = this.#closing;
    await new Promise<void>((resolve) => {
      const cancel = this.clock.setTimer(() => {
        signal.removeEventListener('abort', end);
        resolve();
      }, ms);
      const end = () => {
        cancel();
        resolve();
      };
      if (signal.aborted) end();
      else signal.addEventListener('abort', end);
    });
    if (signal.aborted)
      throw new StorageError(`the log was closed before the outcome of commit ${commit.id} was known`, {
        cause,
      });
  }

  async #readPage(partition: number, after: number, limit: number): Promise<Commit[]> {
    if (limit < 1) return [];
    const options = { sort: { _id: 1 }, limit, batchSize: READ_BATCH_COMMITS } as const;
    const commits: Commit[] = [];
    let bytes = 0;
    for await (const document of this.#commits.find(this.#after(partition, after), options)) {
      const expected = after + commits.length + 1;
      if (document._id.n !== expected) throw new HoleError(partition, expected);
      commits.push(fromDocument(document));
      bytes += document.leaves.length;
      if (bytes >= MAX_READ_BYTES) break;
    }
    // An empty page proves nothing: `after` may lie beyond the tail.
    if (commits.length > 0) this.#noteTaken(partition, after + commits.length);
    return commits;
  }

  async #readPlaces(partition: number, positions: readonly number[]): Promise<Place[]> {
    const projection = { recordedAt: 1, firstOffset: 1, size: 1 } as const;
    checkPartition(partition, this.partitions);
    const ids = positions.map((position) => placeOf(partition, position));
    const found = this.#commits.find({ _id: { $in: ids } }, { projection, sort: { _id: 1 } });
    const documents = await found.toArray();
    return documents.map(({ _id, recordedAt, firstOffset, size }) => ({
      position: _id.n,
      recordedAt,
      firstOffset,
      size,
    }));
  }

  async #readTail(partition: number): Promise<Commit | undefined> {
    const last = this.#commits.findOne(this.#after(partition, 0), { sort: { _id: -1 } });
    const document = await this.#withTimeout(last);
    if (!document) return undefined;
    this.#noteTaken(partition, document._id.n);
    return fromDocument(document);
  }

  #withTimeout = <T>(attempt: Promise<T>) => withMongoTimeout(this.clock, ATTEMPT_TIMEOUT_MS, attempt);

  /** Matches the commits of a partition after a position. */
  #after(partition: number, position: number): Filter<CommitDocument> {
    checkPartition(partition, this.partitions);
    return { _id: { $gt: placeOf(partition, position), $lt: placeOf(partition + 1, 0) } };
  }

  #noteTaken(partition: number, position: number): void {
    this.#lastTaken[partition] = Math.max(this.#lastTaken[partition] ?? 0, position);
  }

  async #track<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) throw new StorageError('the log is closed');
    const running = work();
    this.#inFlight.add(running);
    try {
      return await running;
    } finally {
      this.#inFlight.delete(running);
    }
  }
}

/** The partition and the position of a commit. Documents compare field by field, so the order of the fields matters. */
interface CommitPlace {
  p: number;
  n: number;
}

const placeOf = (partition: number, position: number): CommitPlace => ({ p: partition, n: position });

/** A commit as stored in MongoDB. */
export interface CommitDocument {
  /** Unique, and the only index. */
  _id: CommitPlace;
  id: string;
  epoch: number;
  recordedAt: string;
  firstOffset: number;
  size: number;
  root: Hash;
  frontier?: readonly Hash[];
  hash: Hash;
  /** UTF-8, one line a leaf. BSON binary keeps the bytes unchanged, unlike a BSON string. */
  leaves: Buffer;
}

/** Encodes a commit. */
export function toDocument(commit: Commit): CommitDocument {
  const { partition, position, text, ...fields } = pack(commit);
  return { _id: placeOf(partition, position), ...fields, leaves: Buffer.from(text) };
}

/** Decodes a document, which must be read with `promoteBuffers`. */
export const fromDocument = ({ _id: { p, n }, leaves, ...fields }: CommitDocument): Commit =>
  unpack({ partition: p, position: n, ...fields, text: leaves.toString() });
