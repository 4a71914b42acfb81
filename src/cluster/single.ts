import type { NodeId } from '../bus/bus.js';
import type { Held, Holder, Leases } from './leases.js';
import type { Nodes } from './nodes.js';

/** The leases of the one process that there is: they never end, as the data directory's lock is the lease. */
export function singleLeases(node: NodeId, partitions: number): Leases {
  const holders: (Holder | undefined)[] = Array.from({ length: partitions });
  let epoch = 0;
  return {
    async acquire(partition) {
      const mine: Holder = { node, epoch: ++epoch };
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
      } satisfies Held;
    },
    holders: async () => [...holders],
    async free() {},
  };
}

/** The one node that there is. It never dies before those who ask. */
export function singleNode(node: NodeId, knows: readonly string[]): Nodes {
  let startedAt: Date | undefined;
  return {
    async beat() {
      if (startedAt) return false;
      startedAt = new Date();
      return true;
    },
    living: async () => (startedAt ? [{ node, startedAt, silentMs: 0, knows }] : []),
    dead: async () => [],
    async forget() {},
    async bury() {},
    async leave() {
      startedAt = undefined;
    },
  };
}
