import type { State } from '../store/storeState.js';
import type { StateKeeper, Store, StoreState } from '../store/storeTypes.js';
import type { CursorStore } from '../types.js';
import { asKeptState, fieldsOf, isTime } from './checkState.js';
import type { Connection } from './database.js';
import { trimState } from './trimState.js';

/** A record of another format is dropped. Raise it when `State` changes. */
const FORMAT = 1;
const RECORD = 'state';
/** How many openings have read the record since it was written. */
const READINGS = 'readings';
/** The single values that a keeper writes. */
export const KEPT_VALUES = [RECORD, READINGS] as const;

const SAVE_AFTER_MS = 1000;
/** A page that reads the record and then never gets to write it may fail because of it. */
const MOST_READINGS = 10;
const DAY_MS = 24 * 60 * 60_000;
/** After this time without a connection, the first one fetches the present: that costs less than what was missed. */
const RESUME_FOR_MS = 7 * DAY_MS;
/** After this time without a connection, the record is dropped. */
const KEEP_FOR_MS = 30 * DAY_MS;

interface KeptRecord {
  readonly format: typeof FORMAT;
  /** When the device last heard of the server, an ISO 8601 time. */
  readonly heardAt: string;
  /** Never newer than the state: what lies in between is repeated, and nothing is skipped. */
  readonly cursor: string;
  readonly state: State;
}

/** @param onError called with the error of a write; the page then keeps what was written before */
export async function openStateKeeper(
  connection: Connection,
  userId: string,
  onError: (error: unknown) => void,
): Promise<StateKeeper> {
  return new RecordKeeper(connection, await takeRecord(connection, userId), onError);
}

/** Reads the record and counts the reading. What cannot be used is deleted. */
function takeRecord(connection: Connection, userId: string): Promise<KeptRecord | undefined> {
  return connection.use(async (database) => {
    const { store, done } = database.transaction('device', 'readwrite');
    const [stored, readings] = await Promise.all([store.get(RECORD), store.get(READINGS)]);
    const count = typeof readings === 'number' ? readings + 1 : 1;
    const record = count > MOST_READINGS ? undefined : asRecord(stored, userId);
    const writing = record ? [store.put(count, READINGS)] : KEPT_VALUES.map((key) => store.delete(key));
    await Promise.all([...writing, done]);
    return record;
  });
}

function asRecord(value: unknown, userId: string): KeptRecord | undefined {
  const { format, heardAt, cursor, state: stored } = fieldsOf(value);
  if (format !== FORMAT || typeof heardAt !== 'string' || !isTime(heardAt)) return undefined;
  if (typeof cursor !== 'string' || Date.now() - Date.parse(heardAt) > KEEP_FOR_MS) return undefined;
  const state = asKeptState(stored, userId);
  return state && { format, heardAt, cursor, state };
}

class RecordKeeper implements StateKeeper {
  readonly begin: StoreState | undefined;
  readonly cursors: CursorStore;
  #cursor: string | undefined;
  #heardAt: string | undefined;
  #store: Pick<Store, 'state'> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** One write runs at a time. */
  #writing: Promise<void> | undefined;
  #isOver = false;
  readonly #connection: Connection;
  readonly #onError: (error: unknown) => void;

  constructor(connection: Connection, record: KeptRecord | undefined, onError: (error: unknown) => void) {
    this.#connection = connection;
    this.#onError = onError;
    this.begin = record?.state;
    this.#heardAt = record?.heardAt;
    this.#cursor = record?.cursor;
    const isRecent = record && Date.now() - Date.parse(record.heardAt) <= RESUME_FOR_MS;
    this.cursors = {
      load: () => (isRecent ? record.cursor : undefined),
      save: (cursor) => {
        this.#cursor = cursor;
        this.#heardAt = new Date().toISOString();
        // The server refuses the cursor: nothing that is kept may be true.
        if (cursor === undefined) void this.#remove();
      },
    };
  }

  keep = (store: Pick<Store, 'state'>): void => {
    this.#store = store;
    const stopWatching = whenHidden(() => void (this.#timer && this.#save()));
    const stop = store.state.subscribe(() => {
      const { connection } = stateOf(store);
      if (connection.state !== 'ended') return this.#saveSoon();
      stopWatching();
      stop();
      if (connection.why === 'signed_out') void this.#remove();
      else void this.#save();
      this.#isOver = true;
    });
    // Writes the record once even if nothing changes, which sets the count of its readings to 0.
    this.#saveSoon();
  };

  #saveSoon(): void {
    this.#timer ??= setTimeout(() => void this.#save(), SAVE_AFTER_MS);
  }

  /** Never rejects. */
  async #save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // What changes during a write is written after it.
    if (this.#writing) return this.#saveSoon();
    const record = this.#record();
    if (!record || this.#isOver) return;
    this.#writing = this.#write(record);
    await this.#writing;
    this.#writing = undefined;
  }

  #record(): KeptRecord | undefined {
    const [cursor, heardAt] = [this.#cursor, this.#heardAt];
    if (!this.#store || cursor === undefined || heardAt === undefined) return undefined;
    const state = trimState(stateOf(this.#store));
    return state && { format: FORMAT, heardAt, cursor, state };
  }

  async #write(record: KeptRecord): Promise<void> {
    try {
      await this.#connection.change({ [RECORD]: record }, [READINGS]);
    } catch (error) {
      // Such as a full disk. The record from before can still be resumed from.
      this.#isOver = true;
      this.#onError(error);
    }
  }

  async #remove(): Promise<void> {
    try {
      await this.#writing;
      await this.#connection.change({}, KEPT_VALUES);
    } catch (error) {
      this.#onError(error);
    }
  }
}

// Only stores make states.
const stateOf = ({ state }: Pick<Store, 'state'>): State => state.get() as State;

interface Page {
  readonly visibilityState?: string;
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

/** Calls `run` when the page is hidden or left: it may never be called again. Returns a function that ends the calls. */
function whenHidden(run: () => void): () => void {
  // A browser has both. The types of a bare ECMAScript have neither.
  const { document, window } = globalThis as unknown as { readonly document?: Page; readonly window?: Page };
  const onChange = (): void => {
    if (document?.visibilityState === 'hidden') run();
  };
  document?.addEventListener('visibilitychange', onChange);
  window?.addEventListener('pagehide', run);
  return () => {
    document?.removeEventListener('visibilitychange', onChange);
    window?.removeEventListener('pagehide', run);
  };
}
