import { deleteDB } from 'idb';
import { fieldsOf } from './kept/checkState.js';
import { Connection, removeValues } from './kept/database.js';
import { KEPT_VALUES, openStateKeeper } from './kept/stateKeeper.js';
import type { OutboxEntry, OutboxStore, QueuedRequest } from './outbox.js';
import type { StateKeeper } from './store/storeTypes.js';
import type { CursorStore } from './types.js';

/**
 * Keeps what is unsent, what a store knows, and the cursor over reloads of the page, in IndexedDB.
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
  /**
   * Reads what a store of this user has kept, and keeps what the next one knows: up to 100 chats with their newest 50
   * messages, at most a million characters. What no store can have written, what another version of this package wrote,
   * and what is older than 30 days is deleted.
   *
   * @param onError called with the error of a write
   */
  keeper(userId: string, onError?: (error: unknown) => void): Promise<StateKeeper>;
  /** Closes the database; later reads and writes are refused. */
  close(): void;
}

export type { StateKeeper };

const CURSOR = 'cursor';

/**
 * Opens the stores of this name; use one for each user, such as `parley-<userId>`. Two tabs may open
 * the same stores: both send what is unsent, under the same ids, so that the server has each once.
 * The cursor is that of one of the tabs, and what is kept of a store is what one of them wrote, whole: a push may be
 * repeated, but none is skipped. Rejects with the browser's error if there is no database, as in some private windows:
 * the client works without.
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
    keeper: (userId, onError = () => {}) => openStateKeeper(connection, userId, onError),
    close: () => connection.close(),
  };
}

/** Deletes the stores of this name, with what is unsent; for users who sign out. */
export async function deleteDeviceStore(name: string): Promise<void> {
  await deleteDB(name);
}

/** Deletes what a store has kept, and not what is unsent; for sessions that ended elsewhere. */
export const deleteKeptState = (name: string): Promise<void> => removeValues(name, KEPT_VALUES);

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
