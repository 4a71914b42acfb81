import type { NodeId } from './bus.js';

/** The duration of a lease after it was acquired or renewed, by the database's clock. */
export const LEASE_MS = 5000;

/**
 * The owner of each partition, by lease. Leases only save work: the log's positions keep a partition correct
 * when two nodes believe they own it. All writes need a majority. A call that throws has an unknown outcome
 * and may be repeated.
 */
export interface Leases {
  /**
   * Acquires the lease if it is free, expired or already this node's. If this node holds it already, an earlier answer
   * was lost. The new lease replaces that one. Returns undefined while another node holds it. The new epoch exceeds
   * every earlier one.
   */
  acquire(partition: number): Promise<HeldLease | undefined>;
  /**
   * Extends all leases of this node by `LEASE_MS`, even expired ones that nobody has taken. Ends those that are lost.
   * Returns the present holder of each partition. Expired leases count as free. If it throws, `validUntil` of each
   * lease stays, and the call may be repeated.
   */
  renewAll(): Promise<readonly (LeaseHolder | undefined)[]>;
  /** Frees the leases of a node that has certainly ended. */
  freeAllOf(ended: NodeId): Promise<void>;
}

/** The holder of a lease, and the epoch in which it took it. */
export interface LeaseHolder {
  readonly node: NodeId;
  readonly epoch: number;
}

/** A lease that this node has acquired. */
export interface HeldLease {
  readonly partition: number;
  readonly epoch: number;
  /**
   * Before this time no other node can have taken the lease. Time on this thread's `performance.now()`: the start of
   * the last successful renewal, plus `LEASE_MS`, minus a margin. `-Infinity` after loss or release.
   */
  readonly validUntil: number;
  /**
   * Frees the lease at once. Does nothing if it is lost. If it throws, the lease may last until it expires.
   */
  release(): Promise<void>;
}

/**
 * Creates the leases of a single process. They never expire: the lock on the data directory excludes other
 * processes.
 */
export function createMemoryLeases(node: NodeId, partitions: number): Leases {
  const holders: (LeaseHolder | undefined)[] = Array.from({ length: partitions });
  let epoch = 0;
  return {
    async acquire(partition) {
      const mine: LeaseHolder = { node, epoch: ++epoch };
      holders[partition] = mine;
      const isHeld = () => holders[partition] === mine;
      return {
        partition,
        epoch: mine.epoch,
        get validUntil() {
          return isHeld() ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
        },
        async release() {
          if (isHeld()) holders[partition] = undefined;
        },
      } satisfies HeldLease;
    },
    renewAll: async () => [...holders],
    async freeAllOf() {},
  };
}
