import type { VaultStore } from './store.js';
import type { HeadStore } from './vault.js';

/** Signed heads over the vault's rows. */
export function headStore(store: Pick<VaultStore, 'heads' | 'head' | 'replaceHead' | 'keepHead'>): HeadStore {
  return {
    list: () => store.heads(),
    get: (partition) => store.head(partition),
    async advance(from, to) {
      if (from && (from.partition !== to.partition || from.size >= to.size))
        throw new RangeError(`a head of ${to.size} events does not extend one of ${from.size}`);
      return store.replaceHead(from?.note ?? null, to);
    },
    async giveUp(from, to) {
      // Kept before it is replaced: no crash in between loses it.
      await store.keepHead(from);
      return store.replaceHead(from.note, to);
    },
  };
}
