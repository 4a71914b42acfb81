import type { NodeId } from './bus.js';
import type { Devices } from './devices.js';
import type { Held, Holder, Leases } from './leases.js';

/** A node that has not beaten for so long, on the database's clock, is dead. */
export const DEAD_AFTER_MS = 10_000;

/** A node that lives. */
export interface Living {
  readonly node: NodeId;
  /** When it first beat, or first again after it had been forgotten. */
  readonly startedAt: Date;
  /** Since its last beat, on the database's clock. */
  readonly silentMs: number;
  /** What it can read: the types of events, and the tables of read models that it folds. */
  readonly knows: readonly string[];
}

/** A node that has ended, with or without a word, and when it last lived. */
export interface Dead {
  readonly node: NodeId;
  readonly lastBeat: Date;
}

/** Which nodes there are; times are the database's. Every call throws when its outcome is not known, and may be repeated. */
export interface Nodes {
  /**
   * Says that this node lives, and what it knows. True: this is its first beat, or it had been taken for
   * dead and forgotten; what the others dropped of it then must be written again.
   */
  beat(): Promise<boolean>;
  /** Those that beat within `DEAD_AFTER_MS`, the longest-lived first. */
  living(): Promise<readonly Living[]>;
  /** Those that stopped beating, or have left, and are not yet forgotten. */
  dead(): Promise<readonly Dead[]>;
  /** Says of another node that it has surely ended: it is dead from now on, and need not be waited for. */
  bury(node: NodeId): Promise<void>;
  /** Forgets a dead node, once all that stood for it is cleared up. One that lives is kept. */
  forget(node: NodeId): Promise<void>;
  /** At a clean end: this node is dead from now on, and need not be waited for. */
  leave(): Promise<void>;
}

/** What the nodes of one log agree on among themselves. */
export interface Cluster {
  readonly leases: Leases;
  readonly nodes: Nodes;
  readonly devices: Devices;
  close(): Promise<void>;
}

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
