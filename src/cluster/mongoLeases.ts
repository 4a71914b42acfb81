import type { Collection, Db, Document } from 'mongodb';
import { type Clock, systemClock } from '../base/clock.js';
import { isDuplicateKey, MAJORITY, withMongoTimeout } from '../base/mongo.js';
import type { NodeId } from './bus.js';
import { type HeldLease, LEASE_MS, type LeaseHolder, type Leases } from './leases.js';

/** The limit of one call. Several fit into one lease. */
const CALL_TIMEOUT_MS = 2000;

/** Subtracted from a lease here: this clock and the database's may run at different rates. */
const CLOCK_MARGIN_MS = 500;

/** The lease of one partition. `node` is null if it is free. */
interface LeaseFields extends Omit<LeaseHolder, 'node'> {
  readonly node: NodeId | null;
  readonly expires: Date;
}

/** The one document of all leases. It is never removed, so that epochs only grow. */
interface LeasesDocument {
  readonly _id: 'leases';
  /** The database's time of the last update. */
  readonly at: Date;
  /** Set once, by `parley move`. From then on the leases never expire. */
  readonly moved?: MovedLog;
  readonly [partition: `p${number}`]: LeaseFields;
}

/** A log that was moved away: it does not start again. */
export interface MovedLog {
  /** The id of the log. */
  readonly log: string;
  /** Where it went, for people. */
  readonly to: string;
}

const LEASES_ID = { _id: 'leases' } as const;
const LEASE_EXPIRY = { $add: ['$$NOW', LEASE_MS] };
const fieldOf = (partition: number): `p${number}` => `p${partition}`;

/** An update of one partition's lease: `fields` replace those of the document if the condition holds. */
const change = (partition: number, condition: (field: string) => Document, fields: Document): Document => {
  const field = `$${fieldOf(partition)}`;
  const all = { node: `${field}.node`, epoch: `${field}.epoch`, expires: `${field}.expires`, ...fields };
  return { [fieldOf(partition)]: { $cond: [condition(field), all, field] } };
};

const isOf = (node: NodeId, epoch: number) => (field: string) => ({
  $and: [{ $eq: [`${field}.node`, node] }, { $eq: [`${field}.epoch`, epoch] }],
});

/** A lease of this node is acquired again: either the answer was lost, or its present holder has lost it. */
const isFreeFor = (node: NodeId) => (field: string) => ({
  $or: [
    { $eq: [`${field}.node`, null] },
    { $eq: [`${field}.node`, node] },
    { $lte: [`${field}.expires`, '$$NOW'] },
  ],
});

/**
 * Creates the leases in this database, on its clock. `clock` is that of `validUntil`. Throws the driver's error if
 * the database does not answer.
 */
export async function createMongoLeases(
  db: Db,
  node: NodeId,
  partitions: number,
  clock: Clock = systemClock,
): Promise<Leases> {
  const documents = db.collection<LeasesDocument>('leases', MAJORITY);
  const free: LeaseFields = { node: null, epoch: 0, expires: new Date(0) };
  const all = Object.fromEntries(Array.from({ length: partitions }, (_, p) => [fieldOf(p), free]));
  // Not an upsert: servers differ in the error of an upsert that loses a race.
  await documents.insertOne({ ...LEASES_ID, at: new Date(0), ...all }).catch((error: unknown) => {
    if (!isDuplicateKey(error)) throw error;
  });
  return new MongoLeases(documents, node, partitions, clock);
}

/** What callers want of one update. */
interface Wishes {
  readonly acquire: Set<number>;
  readonly release: Set<MongoHeldLease>;
}

/**
 * The leases of one node. Each call to the database renews all of them, and there is one call at a time: callers that
 * come meanwhile share the next one.
 */
class MongoLeases implements Leases {
  readonly #held = new Map<number, MongoHeldLease>();
  #running: Promise<unknown> = Promise.resolve();
  #next: { readonly wishes: Wishes; readonly done: Promise<LeasesDocument> } | undefined;

  constructor(
    private readonly documents: Collection<LeasesDocument>,
    private readonly node: NodeId,
    private readonly partitions: number,
    private readonly clock: Clock,
  ) {}

  async acquire(partition: number): Promise<HeldLease | undefined> {
    await this.#call(({ acquire }) => acquire.add(partition));
    return this.#held.get(partition);
  }

  async renewAll(): Promise<readonly (LeaseHolder | undefined)[]> {
    const { at, ...leases } = await this.#call(() => {});
    return Array.from({ length: this.partitions }, (_, partition) => {
      const { node, epoch, expires } = leases[fieldOf(partition)] ?? {};
      return node && epoch !== undefined && expires && expires > at ? { node, epoch } : undefined;
    });
  }

  async freeAllOf(ended: NodeId): Promise<void> {
    const isTheirs = (field: string) => ({ $eq: [`${field}.node`, ended] });
    const all = Array.from({ length: this.partitions }, (_, p) => change(p, isTheirs, { node: null }));
    await this.#limit(this.documents.updateOne(LEASES_ID, [{ $set: Object.assign({}, ...all) }]));
  }

  /** Called by a lease that is over. */
  async release(lease: MongoHeldLease): Promise<void> {
    if (this.#held.get(lease.partition) === lease) this.#held.delete(lease.partition);
    await this.#call(({ release }) => release.add(lease));
  }

  #call(wish: (wishes: Wishes) => void): Promise<LeasesDocument> {
    this.#next ??= this.#schedule();
    wish(this.#next.wishes);
    return this.#next.done;
  }

  /** Not at once, even without a call in flight, so that the wishes of one turn share a call. */
  #schedule() {
    const wishes: Wishes = { acquire: new Set(), release: new Set() };
    const done = this.#running.then(() => {
      this.#next = undefined;
      const updated = this.#update(wishes);
      this.#running = updated.catch(() => {});
      return updated;
    });
    return { wishes, done };
  }

  async #update({ acquire, release }: Wishes): Promise<LeasesDocument> {
    const { node } = this;
    const held = [...this.#held.values()].filter(({ partition }) => !acquire.has(partition));
    // Taken before sending: the database counts from when it receives the call, which is unknown here.
    const sentAt = this.clock.now();
    const taken = { node, expires: LEASE_EXPIRY };
    const changes = [
      ...[...release].map((each) => change(each.partition, isOf(node, each.epoch), { node: null })),
      // An abandoned attempt that lands late must not shorten the lease.
      ...held.map(({ partition, epoch }) => {
        const expires = { $max: [`$${fieldOf(partition)}.expires`, LEASE_EXPIRY] };
        return change(partition, isOf(node, epoch), { expires });
      }),
      ...[...acquire].map((partition) => {
        const epoch = { $add: [`$${fieldOf(partition)}.epoch`, 1] };
        return change(partition, isFreeFor(node), { ...taken, epoch });
      }),
    ];
    const after = await this.#limit(changes.length > 0 ? this.#write(changes) : this.#read());
    if (!after) throw new Error('the leases are missing in the database');
    for (const lease of held) this.#handle(lease, after, sentAt);
    for (const partition of acquire) this.#handleAcquired(partition, after, sentAt);
    return after;
  }

  #write(changes: readonly Document[]): Promise<LeasesDocument | null> {
    const set = Object.assign({ at: '$$NOW' }, ...changes);
    return this.documents.findOneAndUpdate(LEASES_ID, [{ $set: set }], { returnDocument: 'after' });
  }

  /** A node without leases writes nothing: there may be many. */
  async #read(): Promise<LeasesDocument | undefined> {
    const found = this.documents.aggregate<LeasesDocument>([
      { $match: LEASES_ID },
      { $set: { at: '$$NOW' } },
    ]);
    return (await found.toArray())[0];
  }

  #handle(lease: MongoHeldLease, after: LeasesDocument, sentAt: number): void {
    const { node, epoch } = after[fieldOf(lease.partition)] ?? {};
    if (node === this.node && epoch === lease.epoch) return lease.extend(validUntilOf(sentAt));
    lease.end();
    if (this.#held.get(lease.partition) === lease) this.#held.delete(lease.partition);
  }

  #handleAcquired(partition: number, after: LeasesDocument, sentAt: number): void {
    this.#held.get(partition)?.end();
    this.#held.delete(partition);
    const { node, epoch } = after[fieldOf(partition)] ?? {};
    if (node !== this.node || epoch === undefined) return;
    this.#held.set(partition, new MongoHeldLease(this, partition, epoch, validUntilOf(sentAt)));
  }

  #limit<T>(attempt: Promise<T>): Promise<T> {
    return withMongoTimeout(this.clock, CALL_TIMEOUT_MS, attempt);
  }
}

class MongoHeldLease implements HeldLease {
  #isOver = false;

  constructor(
    private readonly leases: MongoLeases,
    readonly partition: number,
    readonly epoch: number,
    private until: number,
  ) {}

  get validUntil(): number {
    return this.#isOver ? Number.NEGATIVE_INFINITY : this.until;
  }

  extend(until: number): void {
    this.until = Math.max(this.until, until);
  }

  end(): void {
    this.#isOver = true;
  }

  release(): Promise<void> {
    this.end();
    return this.leases.release(this);
  }
}

const validUntilOf = (sentAt: number): number => sentAt + LEASE_MS - CLOCK_MARGIN_MS;

/** A lease of a log that was moved lasts until then. */
const NEVER = new Date('9999-12-31T00:00:00Z');

/**
 * Ends the ownership of partitions for ever: no node acquires one of them again. Returns false, and changes nothing, unless
 * these leases are those of all partitions and are still held by this node.
 */
export async function endLeases(
  db: Db,
  node: NodeId,
  held: readonly Pick<HeldLease, 'partition' | 'epoch'>[],
  moved: MovedLog,
): Promise<boolean> {
  const documents = db.collection<LeasesDocument>('leases', MAJORITY);
  const isMine = held.map(({ partition, epoch }) => isOf(node, epoch)(`$${fieldOf(partition)}`));
  const ends = held.map(({ partition }) => ({ [`${fieldOf(partition)}.expires`]: NEVER }));
  const { matchedCount } = await documents.updateOne(
    { ...LEASES_ID, $expr: { $and: isMine } },
    { $set: Object.assign({ moved }, ...ends) },
  );
  return matchedCount === 1;
}

/** Returns where the log of this database was moved; undefined if it was not. */
export async function findMove(db: Db): Promise<MovedLog | undefined> {
  return (await db.collection<LeasesDocument>('leases', MAJORITY).findOne(LEASES_ID))?.moved;
}
