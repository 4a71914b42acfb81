import { MongoNetworkError, MongoServerError } from 'mongodb';
import type { CommitDocument } from '../../src/log/mongoLog.js';
import type { Document } from './query.js';
import type { World } from './world.js';

/** When the database's clock began: it is the world's. */
const EPOCH = Date.parse('2026-01-02T03:04:05.678Z');

/** A commit that a majority has, and since when: from then on it is in the log for good. */
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

/** A replica set as its clients see it: the primary's documents, of which some may still be taken back. */
export class Database {
  /** By partition the commits that a majority has, in order of their positions. */
  readonly log: Stored[][];
  /** Requests that are on their way to it though their callers have given up. */
  late = 0;
  readonly #tables = new Map<string, Map<unknown, Document>>();
  #pending: Pending[] = [];
  #majorityAt = 0;
  #isDown = false;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    this.log = Array.from({ length: world.weather.partitions }, () => []);
  }

  /** Its clock. */
  get time(): Date {
    return new Date(EPOCH + this.#world.now);
  }

  /** All that the primary has of a collection. */
  table(name: string): Map<unknown, Document> {
    const table = this.#tables.get(name) ?? new Map<unknown, Document>();
    this.#tables.set(name, table);
    return table;
  }

  /** What a majority has of a collection, by `_id`. */
  agreed(name: string): Document[] {
    const table = this.table(name);
    const pending = new Set(this.#pending.flatMap((each) => (each.table === table ? [each.id] : [])));
    return [...table.values()].filter(({ _id }) => !pending.has(_id)).sort(byId);
  }

  /** Throws while there is no primary. */
  check(): void {
    if (this.#isDown) throw new MongoServerError({ message: 'not primary', code: 10107 });
  }

  /** Inserts it if its `_id` is free, else throws; `done` comes when a majority has it, `fail` when it was taken back. */
  insert(name: string, document: Document, done: () => void, fail: (error: Error) => void): void {
    const table = this.table(name);
    const id = document._id;
    if (table.has(id)) throw new MongoServerError({ message: `${name} has ${id}`, code: 11000 });
    table.set(id, document);
    // The secondaries take everything in one order.
    const { draw, now, timeline, weather } = this.#world;
    const soonest = now + draw.between(0.1, weather.database.majorityMs);
    this.#majorityAt = Math.max(this.#majorityAt + 0.001, soonest);
    const cancel = timeline.after(this.#majorityAt - now, () => {
      this.#pending = this.#pending.filter((each) => each !== pending);
      this.#agree(name, document);
      done();
    });
    const pending = { table, id, fail, cancel };
    this.#pending.push(pending);
  }

  /** The primary is lost, with all that it alone had; there is another one in so many milliseconds. */
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
    const [, partition] = /^commits_(\d+)$/.exec(name) ?? [];
    if (partition === undefined) return;
    // That is what is inserted there.
    const stored = { document: document as unknown as CommitDocument, at: this.#world.now };
    this.log[Number(partition)]?.push(stored);
    this.#world.trace('database', `${name} has ${describe(stored.document)}`);
  }
}

const describe = ({ _id, epoch, firstOffset, size }: CommitDocument): string =>
  `commit ${_id} of epoch ${epoch} with ${size - firstOffset} events`;

const byId = (a: Document, b: Document): number => Number(a._id) - Number(b._id);
