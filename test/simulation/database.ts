import { MongoNetworkError, MongoServerError } from 'mongodb';
import type { CommitDocument } from '../../src/log/mongoLog.js';
import { COMMITS } from '../../src/log/mongoLogMeta.js';
import { type Document, keyOf, scalar } from './query.js';
import type { World } from './world.js';

/** The start of the database's clock, which is the world's. */
const EPOCH = Date.parse('2026-01-02T03:04:05.678Z');

/** A commit that a majority has, with the time since when; it stays in the log. */
export interface Stored {
  readonly document: CommitDocument;
  readonly at: number;
}

/** An insert that no majority has yet. */
interface Pending {
  readonly table: Map<unknown, Document>;
  readonly id: unknown;
  readonly fail: (error: Error) => void;
  readonly cancel: () => void;
}

/** A replica set as its clients see it: the primary's documents, some of which may still be rolled back. */
export class Database {
  /** By partition, the commits that a majority has, by position. */
  readonly log: Stored[][];
  /** Requests that arrive although their callers have given up. */
  late = 0;
  readonly #tables = new Map<string, Map<unknown, Document>>();
  #pending: Pending[] = [];
  #majorityAt = 0;
  #isDown = false;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    this.log = Array.from({ length: world.faultPlan.partitions }, () => []);
  }

  /** The database's clock. */
  get time(): Date {
    return new Date(EPOCH + this.#world.now);
  }

  /** All documents of a collection on the primary. */
  table(name: string): Map<unknown, Document> {
    const table = this.#tables.get(name) ?? new Map<unknown, Document>();
    this.#tables.set(name, table);
    return table;
  }

  /** The documents of a collection that a majority has, by `_id`. */
  agreed(name: string): Document[] {
    const table = this.table(name);
    const pending = new Set(this.#pending.flatMap((each) => (each.table === table ? [each.id] : [])));
    // The keys are those of `_id`, and sort like it.
    return [...table]
      .filter(([key]) => !pending.has(key))
      .sort(([a], [b]) => (scalar(a) < scalar(b) ? -1 : 1))
      .map(([, document]) => document);
  }

  /** Throws while there is no primary. */
  check(): void {
    if (this.#isDown) throw new MongoServerError({ message: 'not primary', code: 10107 });
  }

  /**
   * Inserts the document if its `_id` is free, else throws. Calls `done` when a majority has it, or `fail`
   * when it was rolled back.
   */
  insert(name: string, document: Document, done: () => void, fail: (error: Error) => void): void {
    const table = this.table(name);
    const id = keyOf(document._id);
    if (table.has(id)) throw new MongoServerError({ message: `${name} has ${id}`, code: 11000 });
    table.set(id, document);
    // The secondaries replicate everything in one order.
    const { random, now, timeline, faultPlan } = this.#world;
    const soonest = now + random.between(0.1, faultPlan.database.majorityMs);
    this.#majorityAt = Math.max(this.#majorityAt + 0.001, soonest);
    const cancel = timeline.after(this.#majorityAt - now, () => {
      this.#pending = this.#pending.filter((each) => each !== pending);
      this.#agree(name, document);
      done();
    });
    const pending = { table, id, fail, cancel };
    this.#pending.push(pending);
  }

  /** Loses the primary with everything that only it had; another one starts after `ms` milliseconds. */
  failOver(ms: number): void {
    for (const { table, id, fail, cancel } of this.#pending) {
      cancel();
      table.delete(id);
      fail(new MongoNetworkError('the primary is gone'));
    }
    this.#pending = [];
    this.#isDown = true;
    this.#world.timeline.after(ms, () => {
      this.#isDown = false;
    });
  }

  #agree(name: string, document: Document): void {
    if (name !== COMMITS) return;
    // This collection holds commits.
    const stored = { document: document as unknown as CommitDocument, at: this.#world.now };
    this.log[stored.document._id.p]?.push(stored);
    this.#world.trace('database', `${name} has ${describe(stored.document)}`);
  }
}

const describe = ({ _id, epoch, firstOffset, size }: CommitDocument): string =>
  `commit ${_id.n} of partition ${_id.p} and epoch ${epoch} with ${size - firstOffset} events`;
