import { type DBSchema, deleteDB, type IDBPDatabase, openDB } from 'idb';
import type { OutboxEntry, OutboxStore, QueuedRequest } from './outbox.js';
import type { CursorStore } from './types.js';

/**
 * Keeps what is unsent and the cursor over reloads of the page, in IndexedDB.
 * @packageDocumentation
 */

/** The stores of one user in one browser. */
export interface DeviceStore {
  /** For `StoreOptions.outbox` or `OutboxOptions.store`. */
  readonly outbox: OutboxStore;
  /**
   * For `ClientOptions.cursors`, if the device also keeps the data of the pushes: after a reload it
   * receives only what it missed. A device that begins empty must not use it.
   */
  readonly cursors: CursorStore;
  /** Closes the database; later reads and writes are refused. */
  close(): void;
}

const VERSION = 1;
const CURSOR = 'cursor';

interface Schema extends DBSchema {
  /** The keys count up and keep the order of writing. */
  readonly entries: { key: number; value: OutboxEntry; indexes: { id: string } };
  readonly device: { key: typeof CURSOR; value: string };
}

/**
 * Opens the stores of this name; use one for each user, such as `parley-<userId>`. Two tabs may open
 * the same stores: both send what is unsent, under the same ids, so that the server has each once.
 * The cursor is that of one of the tabs: a push may be repeated, but none is skipped. Rejects with the
 * browser's error if there is no database, as in some private windows: the client works without.
 *
 * The browser may end the database at any time, as when the user clears the data of the site: it is then
 * opened again, empty. A database without its stores is deleted and created again. `load` leaves out entries that no outbox wrote.
 */
export async function openDeviceStore(name: string): Promise<DeviceStore> {
  const connection = new Connection(name);
  await connection.use(async () => {});
  return {
    outbox: {
      load: async () => {
        const entries: unknown[] = await connection.use((database) => database.getAll('entries'));
        return entries.filter(isEntry);
      },
      put: (entry) =>
        connection.use(async (database) => {
          const { store, done } = database.transaction('entries', 'readwrite');
          const key = await store.index('id').getKey(entry.id);
          await Promise.all([store.put(entry, key), done]);
        }),
      remove: (id) =>
        connection.use(async (database) => {
          const { store, done } = database.transaction('entries', 'readwrite');
          const key = await store.index('id').getKey(id);
          await Promise.all([key === undefined ? undefined : store.delete(key), done]);
        }),
    },
    cursors: {
      load: async () => {
        const cursor: unknown = await connection.use((database) => database.get('device', CURSOR));
        return typeof cursor === 'string' ? cursor : undefined;
      },
      save: (cursor) =>
        connection.use(async (database) => {
          if (cursor === undefined) await database.delete('device', CURSOR);
          else await database.put('device', cursor, CURSOR);
        }),
    },
    close: () => connection.close(),
  };
}

/** Deletes the stores of this name, with what is unsent; for users who sign out. */
export async function deleteDeviceStore(name: string): Promise<void> {
  await deleteDB(name);
}

type Database = IDBPDatabase<Schema>;

/** One database, opened again after the browser has ended it. */
class Connection {
  #opening: Promise<Database> | undefined;
  #isClosed = false;

  constructor(private readonly name: string) {}

  async use<T>(run: (database: Database) => Promise<T>): Promise<T> {
    const opening = this.#open();
    try {
      return await run(await opening);
    } catch (error) {
      // The name of a closed connection's error. The browser may have ended it in the midst of the first run.
      const isEnded = error instanceof Error && ['InvalidStateError', 'AbortError'].includes(error.name);
      if (!isEnded || this.#isClosed) throw error;
      this.#forget(opening);
      return run(await this.#open());
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#opening?.then((database) => database.close()).catch(() => {});
  }

  #open(): Promise<Database> {
    if (this.#isClosed && !this.#opening) return Promise.reject(new Error('the store is closed'));
    if (this.#opening) return this.#opening;
    const forget = (): void => this.#forget(opening);
    const opening = openDatabase(this.name, forget);
    this.#opening = opening;
    opening.catch(forget);
    return opening;
  }

  #forget(opening: Promise<Database>): void {
    if (this.#opening === opening) this.#opening = undefined;
    opening.then((database) => database.close()).catch(() => {});
  }
}

/** @param onEnd called when the browser, or another tab, needs the connection to end */
async function openDatabase(name: string, onEnd: () => void): Promise<Database> {
  const open = (): Promise<Database> =>
    openDB<Schema>(name, VERSION, {
      upgrade: (fresh) => {
        const entries = fresh.createObjectStore('entries', { autoIncrement: true });
        entries.createIndex('id', 'id', { unique: true });
        fresh.createObjectStore('device');
      },
      // Another tab deletes the database, or has a newer version of the page, and waits for this one.
      blocking: onEnd,
      terminated: onEnd,
    });
  const database = await open();
  if (database.objectStoreNames.contains('entries') && database.objectStoreNames.contains('device'))
    return database;
  database.close();
  await deleteDB(name);
  return open();
}

/** The fields that are texts in each queued request. */
const TEXTS: { readonly [N in QueuedRequest]: readonly string[] } = {
  'send message': ['messageId', 'message'],
  'edit message': ['messageId', 'editId', 'message'],
  'delete message': ['messageId'],
  react: ['messageId', 'emoji'],
};

/** Whether a stored value is an entry of an outbox. Other scripts of the origin may have written anything. */
function isEntry(value: unknown): value is OutboxEntry {
  const { id, request, data, queuedAt } = fieldsOf(value);
  const texts = new Map<unknown, readonly string[]>(Object.entries(TEXTS)).get(request);
  const fields = fieldsOf(data);
  return (
    texts !== undefined &&
    ['roomId', ...texts].every((name) => typeof fields[name] === 'string') &&
    ['string', 'undefined'].includes(typeof fields.replyTo) &&
    (request !== 'react' || typeof fields.on === 'boolean') &&
    typeof id === 'string' &&
    typeof queuedAt === 'string' &&
    !Number.isNaN(Date.parse(queuedAt))
  );
}

// Whatever else it is, it has no fields.
const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
