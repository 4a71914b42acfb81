import type { Store, StoreOptions } from './types.js';

/** A store for one signed-in device; nothing happens before its `start`. */
export function createStore(_options: StoreOptions): Store {
  throw new TypeError('the store is not there yet');
}
