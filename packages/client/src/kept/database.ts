import { type DBSchema, deleteDB, type IDBPDatabase, openDB } from 'idb';
import type { OutboxEntry } from '../outbox.js';

const VERSION = 1;

interface Schema extends DBSchema {
  /** The keys count up and keep the order of writing. */
  readonly entries: { key: number; value: OutboxEntry; indexes: { id: string } };
  /** Single values of the device, by name. */
  readonly device: { key: string; value: unknown };
}

type Database = IDBPDatabase<Schema>;

/** One database, opened again after the browser has ended it. */
export class Connection {
  #opening: Promise<Database> | undefined;
  #isClosed = false;
  #isDeleted = false;

  constructor(private readonly name: string) {}

  async use<T>(run: (database: Database) => Promise<T>): Promise<T> {
    const opening = this.#open();
    try {
      return await run(await opening);
    } catch (error) {
      if (!isEnded(error) || this.#isClosed) throw error;
      this.#forget(opening);
      return run(await this.#open());
    }
  }

  /**
   * Changes single values of the device. Does nothing once the database was closed, or deleted while it was open here, as
   * by a sign-out in another tab: it is not created again.
   */
  async change(put: Readonly<Record<string, unknown>>, remove: readonly string[]): Promise<void> {
    if (this.#isClosed || this.#isDeleted) return;
    const opening = this.#open();
    try {
      const transaction = (await opening).transaction('device', 'readwrite');
      const { store, done } = transaction;
      const puts = Object.entries(put).map(([key, value]) => store.put(value, key));
      const removals = remove.map((key) => store.delete(key));
      // Without waiting for the answers: the page may be going.
      transaction.commit();
      await Promise.all([...puts, ...removals, done]);
    } catch (error) {
      if (!isEnded(error)) throw error;
      this.#forget(opening);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#opening?.then((database) => database.close()).catch(() => {});
  }

  #open(): Promise<Database> {
    if (this.#isClosed && !this.#opening) return Promise.reject(new Error('the store is closed'));
    if (this.#opening) return this.#opening;
    const opening = openDatabase(this.name, (isDeletion) => {
      this.#isDeleted ||= isDeletion;
      this.#forget(opening);
    });
    this.#opening = opening;
    opening.catch(() => this.#forget(opening));
    return opening;
  }

  #forget(opening: Promise<Database>): void {
    if (this.#opening === opening) this.#opening = undefined;
    opening.then((database) => database.close()).catch(() => {});
  }
}

/** The names of a closed connection's error. The browser may end it in the midst of a run. */
const isEnded = (error: unknown): boolean =>
  error instanceof Error && ['InvalidStateError', 'AbortError'].includes(error.name);

/** @param onEnd called when the browser, or another tab, needs the connection to end */
async function openDatabase(name: string, onEnd: (isDeletion: boolean) => void): Promise<Database> {
  const open = (): Promise<Database> =>
    openDB<Schema>(name, VERSION, {
      upgrade: (fresh) => {
        const entries = fresh.createObjectStore('entries', { autoIncrement: true });
        entries.createIndex('id', 'id', { unique: true });
        fresh.createObjectStore('device');
      },
      // Another tab deletes the database (to no version), or has a newer version of the page, and waits for this one.
      blocking: (_, next) => onEnd(next === null),
      terminated: () => onEnd(false),
    });
  const database = await open();
  if (database.objectStoreNames.contains('entries') && database.objectStoreNames.contains('device'))
    return database;
  database.close();
  await deleteDB(name);
  return open();
}

/** Removes single values from a database. One that does not exist is not created. */
export async function removeValues(name: string, keys: readonly string[]): Promise<void> {
  let isThere = true;
  const opening = openDB<Schema>(name, VERSION, {
    upgrade: (_, __, ___, creation) => {
      isThere = false;
      creation.done.catch(() => {});
      creation.abort();
    },
  });
  const database = await opening.catch((error: unknown) => {
    if (isThere) throw error;
  });
  if (!database) return;
  try {
    if (!database.objectStoreNames.contains('device')) return;
    const { store, done } = database.transaction('device', 'readwrite');
    await Promise.all([...keys.map((key) => store.delete(key)), done]);
  } finally {
    database.close();
  }
}
