import { type Db, MongoNetworkError, MongoNetworkTimeoutError, MongoServerError } from 'mongodb';
import type { Database } from './database.js';
import type { Machine } from './machine.js';
import { aggregated, type Document, keyOf, matches, NotSimulated, order, updated } from './query.js';
import type { World } from './world.js';

/** The longest time after the caller's timeout at which a late request still arrives. */
const LATE_MS = 8000;

type Fields = Readonly<Record<string, unknown>>;
interface Options {
  readonly sort?: Readonly<Record<string, 1 | -1>>;
  readonly limit?: number;
  readonly upsert?: boolean;
}

/** The plain command, as `GroupedInserts` sends it. */
interface InsertCommand {
  readonly insert: string;
  readonly documents: readonly Document[];
}

/** The database's work on a request: it answers once, now or later, or throws. */
type Work<T> = (answer: (result: T) => void, fail: (error: Error) => void) => void;

/**
 * One process's connection to the database. Requests take time and may overtake each other. Requests or
 * answers get lost, or arrive after the caller's timeout. So an error of the driver proves nothing.
 */
export class Link {
  #isCut = false;
  readonly #world: World;
  readonly #database: Database;
  readonly #machine: Machine;

  constructor(world: World, database: Database, machine: Machine) {
    this.#world = world;
    this.#database = database;
    this.#machine = machine;
  }

  /** Blocks requests and answers for this time. */
  cut(ms: number): void {
    this.#isCut = true;
    this.#world.timeline.after(ms, () => {
      this.#isCut = false;
    });
  }

  /**
   * The driver's database, as far as the product uses it; cast, because most of it is missing. A call without
   * an answer throws after the timeout, like `socketTimeoutMS`.
   */
  db(timeoutMs: number): Db {
    return {
      collection: (name: string) => this.#collection(name, timeoutMs),
      command: (command: InsertCommand) => this.#insert(command, timeoutMs),
    } as unknown as Db;
  }

  /** Inserts each document that it can. Answers when a majority has all of them. */
  #insert({ insert: name, documents: all }: InsertCommand, timeoutMs: number): Promise<unknown> {
    const [database, world] = [this.#database, this.#world];
    const work: Work<unknown> = (answer, fail) => {
      const isPartial = all.length > 1 && world.fault(world.faultPlan.database.partial);
      const documents = isPartial ? all.slice(world.random.whole(0, all.length - 1)) : all;
      if (isPartial) world.trace('link', `a call of ${name} is carried out in part`);
      // Of the others, either nothing is said, or not even that.
      if (isPartial && world.random.chance(0.5))
        this.#machine.after(0.1, () => fail(new MongoNetworkError('connection broken')));
      const writeErrors: { index: number; code: unknown; errmsg: string }[] = [];
      let open = documents.length;
      const settle = () => {
        if (--open === 0) answer({ n: documents.length - writeErrors.length, writeErrors });
      };
      for (const [index, document] of documents.entries())
        try {
          database.insert(name, document, settle, fail);
        } catch (error) {
          if (!(error instanceof MongoServerError)) throw error;
          writeErrors.push({ index, code: error.code, errmsg: error.message });
          settle();
        }
    };
    return this.#call(name, work, timeoutMs);
  }

  #collection(name: string, timeoutMs: number) {
    const database = this.#database;
    const table = () => database.table(name);
    const call = <T>(work: () => T) => this.#call<T>(name, (answer) => answer(work()), timeoutMs);
    const find = (filter: Fields, { sort = { _id: 1 }, limit = Number.POSITIVE_INFINITY }: Options) =>
      call(() =>
        database
          .agreed(name)
          .filter((each) => matches(each, filter, database.time))
          .sort(order(sort))
          .slice(0, limit),
      );
    const first = (filter: Fields) =>
      [...table().values()].find((each) => matches(each, filter, database.time));
    return {
      insertOne: (document: Document) =>
        call(() => {
          if (table().has(keyOf(document._id)))
            throw new MongoServerError({ message: `${name} has it`, code: 11000 });
          table().set(keyOf(document._id), document);
        }),
      findOne: async (filter: Fields, options: Options = {}) => (await find(filter, options))[0] ?? null,
      find: (filter: Fields, options: Options = {}) => cursor(() => find(filter, options)),
      aggregate: (pipeline: readonly Fields[]) =>
        cursor(() => call(() => aggregated(database.agreed(name), pipeline, database.time))),
      findOneAndUpdate: (filter: Fields, update: Fields, { upsert = false }: Options = {}) =>
        call(() => {
          const before = first(filter) ?? (upsert ? ({ _id: filter._id } as Document) : undefined);
          if (!before) return null;
          const after = updated(before, update, database.time);
          table().set(keyOf(after._id), after);
          return after;
        }),
      updateOne: (filter: Fields, update: Fields) =>
        call(() => {
          const before = first(filter);
          if (before) table().set(keyOf(before._id), updated(before, update, database.time));
          return { matchedCount: before ? 1 : 0 };
        }),
      deleteOne: (filter: Fields) =>
        call(() => ({ deletedCount: Number(table().delete(keyOf(first(filter)?._id))) })),
    };
  }

  /** One attempt of the driver. */
  #call<T>(name: string, work: Work<T>, timeoutMs: number): Promise<T> {
    const world = this.#world;
    const { random, timeline, faultPlan } = world;
    const { travelMs, lost, answerLost, late, broken } = faultPlan.database;
    return new Promise((resolve, reject) => {
      const settle =
        <A extends readonly unknown[]>(run: (...args: A) => void) =>
        (...args: A) => {
          cancelTimer();
          run(...args);
        };
      const fail = settle((error: Error) => reject(error));
      const cancelTimer = this.#machine.clock.setTimer(
        () => reject(new MongoNetworkTimeoutError(`no answer of ${name} in ${timeoutMs} ms`)),
        timeoutMs,
      );
      const back = (deliver: () => void) => {
        if (this.#isCut || world.fault(answerLost))
          return world.trace('link', `an answer of ${name} is lost`);
        this.#machine.after(random.between(0.1, travelMs), deliver);
      };
      const take = () => {
        if (isLate) this.#database.late--;
        try {
          this.#database.check();
          work(
            (result) => back(() => settle(resolve)(result)),
            (error) => back(() => fail(error)),
          );
        } catch (thrown) {
          if (thrown instanceof NotSimulated) throw thrown;
          const error = thrown instanceof Error ? thrown : new Error(String(thrown));
          back(() => fail(error));
        }
      };
      if (this.#isCut || world.fault(lost)) return world.trace('link', `a request of ${name} is lost`);
      if (world.fault(broken)) {
        world.trace('link', `a connection for ${name} breaks`);
        this.#machine.after(random.between(0.1, travelMs), () =>
          fail(new MongoNetworkError('connection broken')),
        );
        if (random.chance(0.5)) return;
      }
      const isLate = world.fault(late);
      if (isLate) {
        world.trace('link', `a request of ${name} is late`);
        this.#database.late++;
      }
      timeline.after(isLate ? timeoutMs + random.between(0, LATE_MS) : random.between(0.1, travelMs), take);
    });
  }
}

function cursor<T>(get: () => Promise<T[]>) {
  return {
    toArray: get,
    async *[Symbol.asyncIterator]() {
      yield* await get();
    },
  };
}
