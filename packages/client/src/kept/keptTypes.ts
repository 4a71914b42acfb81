import type { Store, StoreState } from '../store/storeTypes.js';
import type { CursorStore } from '../types.js';

/** Keeps what a store knows over reloads of the page, in one record with its cursor. */
export interface StateKeeper {
  /** For `StoreOptions.begin`: what was kept; undefined if there is nothing that can be used. */
  readonly begin: StoreState | undefined;
  /** For `StoreOptions.cursors`, together with `begin`. */
  readonly cursors: CursorStore;
  /**
   * Writes the record about a second after each change of the store, and at once when the page is hidden. It ends with
   * the store: one that is signed out, or refuses the cursor, leaves no record. Call it before `start`.
   */
  readonly keep: (store: Pick<Store, 'state'>) => void;
}
