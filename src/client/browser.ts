import { type DBSchema, deleteDB, openDB } from 'idb';
import type { OutboxEntry, OutboxStore } from './outbox.js';
import type { CursorStore } from './types.js';

/**
 * What a browser's device keeps over reloads: unsent messages and the cursor, in IndexedDB.
 * @packageDocumentation
 */

/** What is kept for one user in one browser. */
export interface DeviceStore {
  /** For `StoreOptions.outbox` or `OutboxOptions.store`. */
  readonly outbox: OutboxStore;
  /**
   * For `ClientOptions.cursors`, where what the pushes told is kept as well: after a reload a device
   * with a cursor is told only what it missed since. A store that begins empty does without.
   */
  readonly cursors: CursorStore;
  /** Lets the database go; what is written after that is refused. */
  close(): void;
}

const VERSION = 1;
const CURSOR = 'cursor';

interface Schema extends DBSchema {
  /** Under keys that count up, so that the order of writing stays. */
  readonly outbox: { key: number; value: OutboxEntry; indexes: { messageId: string } };
  readonly device: { key: typeof CURSOR; value: string };
}

/**
 * Opens what is kept under this name, which should tell the user: `parley-<userId>`. Two tabs may
 * have the same open: each sends what is unsent, under the same ids, so that the server has it once;
 * and the cursor is of one of the two, from which on a push may come again but none is skipped.
 * Rejects with what the browser says when it has no database to give, as some private windows do: a
 * device can do without.
 */
export async function openDeviceStore(name: string): Promise<DeviceStore> {
  const database = await openDB<Schema>(name, VERSION, {
    upgrade: (fresh) => {
      const outbox = fresh.createObjectStore('outbox', { autoIncrement: true });
      outbox.createIndex('messageId', 'messageId', { unique: true });
      fresh.createObjectStore('device');
    },
    // Another tab deletes it, or has a newer page: this one must not stand in its way.
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

/** Deletes what is kept under this name, unsent messages too: after signing out for good. */
export function deleteDeviceStore(name: string): Promise<void> {
  return deleteDB(name);
}
