import { LRUCache } from 'lru-cache';
import { TokenBucket } from '../limits.js';

/** How often an address may: so many at once, and so many a minute in the long run. */
export interface Allowance {
  readonly rate: number;
  readonly burst: number;
}

/** Holds each address to an allowance, whichever node it comes to. */
export interface AddressLimit {
  /**
   * Takes one for this address and resolves with 0; or with in how many milliseconds there will be one, and takes none.
   * Rejects when that cannot be told: then nobody may pass.
   */
  take(address: string): Promise<number>;
}

/** So many addresses are remembered; beyond that, the one that was here longest ago begins anew. */
export const ADDRESSES = 20_000;

/** The limit of a single process. `now` in milliseconds. */
export function memoryAddressLimit({ rate, burst }: Allowance, now: () => number): AddressLimit {
  const buckets = new LRUCache<string, TokenBucket>({ max: ADDRESSES });
  return {
    async take(address) {
      const bucket = buckets.get(address) ?? new TokenBucket(rate / 60, burst);
      buckets.set(address, bucket);
      return bucket.take(now());
    },
  };
}
