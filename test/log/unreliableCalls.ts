import {
  type Db,
  type Document,
  type MongoClient,
  MongoNetworkError,
  MongoNetworkTimeoutError,
} from 'mongodb';
import { type Random, upTo } from '../support/random.js';

/** How a call of several documents can end. */
export const fates = [
  'answered',
  'stored, answer lost',
  'stored in part, answered in part',
  'stored in part, answer lost',
  'stored after the time-out',
  'never arrived',
] as const;
export type Fate = (typeof fates)[number];

interface InsertCommand extends Document {
  readonly documents: readonly Document[];
}

/** A database client whose inserts fail in every way that a network and a server allow. */
export class UnreliableClient implements Pick<MongoClient, 'db' | 'close'> {
  /** The number of calls of several documents, by fate. */
  readonly counts = new Map<Fate, number>();
  readonly #late = new Set<Promise<unknown>>();

  constructor(
    private readonly client: MongoClient,
    private readonly random: Random,
  ) {}

  db(): Db {
    return new Proxy(this.client.db(), {
      get: (db, name) => {
        if (name === 'command') return (command: InsertCommand) => this.#insert(db, command);
        const value: unknown = Reflect.get(db, name);
        return typeof value === 'function' ? value.bind(db) : value;
      },
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#late);
    await this.client.close();
  }

  async #insert(db: Db, command: InsertCommand): Promise<Document> {
    const { documents } = command;
    const fate = fates[upTo(fates.length, this.random)] ?? 'answered';
    if (documents.length > 1) this.counts.set(fate, 1 + (this.counts.get(fate) ?? 0));
    const store = (some = documents) =>
      some.length > 0 ? db.command({ ...command, documents: some }) : Promise.resolve({ n: 0 });
    const part = documents.slice(0, upTo(documents.length, this.random));
    switch (fate) {
      case 'answered':
        return store();
      case 'stored, answer lost':
        await store();
        throw new MongoNetworkError('the connection broke');
      case 'stored in part, answered in part':
        return store(part);
      case 'stored in part, answer lost':
        await store(part);
        throw new MongoNetworkError('the connection broke');
      case 'stored after the time-out':
        this.#storeLater(store);
        throw new MongoNetworkTimeoutError('no answer in time');
      case 'never arrived':
        throw new MongoNetworkError('the connection broke');
    }
  }

  /** At a time when other writers may have taken the places. */
  #storeLater(store: () => Promise<unknown>): void {
    const stored = new Promise((resolve) => setTimeout(resolve, upTo(200, this.random))).then(store);
    const settled = stored.finally(() => this.#late.delete(settled));
    this.#late.add(settled);
  }
}
