import { type DBSchema, deleteDB, openDB } from 'idb';
import type { OutboxEntry, OutboxStore } from './outbox.js';
import type { CursorStore } from './types.js';

/**
 * Keeps unsent messages and the cursor over reloads of the page, in IndexedDB.
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
  /** Closes the database; later writes are refused. */
  close(): void;
}

const VERSION = 1;
const CURSOR = 'cursor';

interface Schema extends DBSchema {
  /** The keys count up and keep the order of writing. */
  readonly outbox: { key: number; value: OutboxEntry; indexes: { messageId: string } };
  readonly device: { key: typeof CURSOR; value: string };
}

/**
 * Opens the stores of this name; use one for each user, such as `parley-<userId>`. Two tabs may open
 * the same stores: both send the unsent messages, under the same ids, so that the server has each once.
 * The cursor is that of one of the tabs: a push may be repeated, but none is skipped. Rejects with the
 * browser's error if there is no database, as in some private windows: the client works without.
 */
export async function openDeviceStore(name: string): Promise<DeviceStore> {
  const database = await openDB<Schema>(name, VERSION, {
    upgrade: (fresh) => {
      const outbox = fresh.createObjectStore('outbox', { autoIncrement: true });
      outbox.createIndex('messageId', 'messageId', { unique: true });
      fresh.createObjectStore('device');
    },
    // Another tab deletes the database, or has a newer version of the page, and waits for this one.
    blocking: () => database.close(),
  });
  return {
    outbox: {
      load: () => database.getAll('outbox'),
      put: async (entry) => {
        const { store, done } = database.transaction('outbox', 'readwrite');
        const key = await store.index('messageId').getKey(entry.messageId);
        await Promise.all([store.put(entry, key), done]);
      },
      remove: async (messageId) => {
        const { store, done } = database.transaction('outbox', 'readwrite');
        const key = await store.index('messageId').getKey(messageId);
        await Promise.all([key === undefined ? undefined : store.delete(key), done]);
      },
    },
    cursors: {
      load: () => database.get('device', CURSOR),
      save: async (cursor) => {
        if (cursor === undefined) await database.delete('device', CURSOR);
        else await database.put('device', cursor, CURSOR);
      },
    },
    close: () => database.close(),
  };
}

/** Deletes the stores of this name, with unsent messages; for users who sign out. */
export function deleteDeviceStore(name: string): Promise<void> {
  return deleteDB(name);
}
