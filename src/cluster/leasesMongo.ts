import type { Collection, Db } from 'mongodb';
import type { NodeId } from '../bus/bus.js';
import { isDuplicate } from '../log/mongoErrors.js';
import { type Held, type Holder, LEASE_MS, type Leases } from './leases.js';
import { agreed } from './mongoClient.js';

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
