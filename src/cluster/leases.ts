import type { NodeId } from './bus.js';

/** A lease lasts for so long after it was taken or renewed, on the clock of the database that keeps it. */
export const LEASE_MS = 5000;

/**
 * Who owns which partition, by lease. For speed only: the log's positions keep a partition correct when two nodes
 * believe that they own it. All of it is written with majority. Every call throws when its outcome is not known: it may
 * have happened, and may be repeated.
 */
export interface Leases {
  /**
   * Takes the lease if it is free, has expired, or is this node's already, as after an acquisition whose answer was
   * lost: then what was acquired before is lost. Undefined while another node holds it. Its epoch is above every earlier one.
   */
  acquire(partition: number): Promise<HeldLease | undefined>;
  /** By partition who holds it now; expired ones are left out. */
  holders(): Promise<readonly (LeaseHolder | undefined)[]>;
  /** Frees what a node holds that has surely ended. */
  freeAllOf(ended: NodeId): Promise<void>;
}

/** Who holds a lease, and since which epoch. */
export interface LeaseHolder {
  readonly node: NodeId;
  readonly epoch: number;
}

/** A lease that this node has acquired. */
export interface HeldLease {
  readonly partition: number;
  readonly epoch: number;
  /**
   * Before this time nobody else can have taken it: in milliseconds of `performance.now()` in the thread that acquired
   * it, counted from before the last successful renewal was sent, less a margin. Once it is lost or released, in the past for good.
   */
  readonly validUntil: number;
  /**
   * Holds it for another `LEASE_MS`, also when it had expired and nobody has taken it. False: it is lost, for good.
   * When it throws, nothing is lost, and nothing is won: `validUntil` stays.
   */
  renew(): Promise<boolean>;
  /** Lets go of it: another may take it at once. Does nothing when it is lost. When it throws, it may last until it expires. */
  release(): Promise<void>;
}

/** The leases of the one process that there is: they never end, as the data directory's lock is the lease. */
export function memoryLeases(node: NodeId, partitions: number): Leases {
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
        renew: async () => isHeld(),
        async release() {
          if (isHeld()) holders[partition] = undefined;
        },
      } satisfies HeldLease;
    },
    holders: async () => [...holders],
    async freeAllOf() {},
  };
}
