import type { NodeId } from './bus.js';
import type { Devices } from './devices.js';
import type { Leases } from './leases.js';

/** A node without a heartbeat for this long is dead, by the database's clock. */
export const DEAD_AFTER_MS = 10_000;

/** A live node. */
export interface LiveNode {
  readonly node: NodeId;
  /** The time of its first heartbeat, or of the first after it was forgotten. */
  readonly startedAt: Date;
  /** Time since its last heartbeat, by the database's clock. */
  readonly silentMs: number;
  /** The event types it can read, and the read-model tables it folds. */
  readonly capabilities: readonly string[];
}

/** A node that has ended, cleanly or not, and its last heartbeat. */
export interface DeadNode {
  readonly node: NodeId;
  readonly lastHeartbeat: Date;
}

/**
 * The nodes of a log. Times are the database's. A call that throws has an unknown outcome and may be
 * repeated.
 */
export interface Nodes {
  /**
   * Records that this node lives, with its capabilities. Returns true on the first heartbeat, or if the node
   * was forgotten as dead. Other nodes may then have removed its rows, which must be written again.
   */
  heartbeat(): Promise<boolean>;
  /** Returns the nodes with a heartbeat within `DEAD_AFTER_MS`, the longest-lived first. */
  listLive(): Promise<readonly LiveNode[]>;
  /** Returns the nodes that stopped beating or left, and are not yet forgotten. */
  listDead(): Promise<readonly DeadNode[]>;
  /** Declares another node dead, which has certainly ended, so that nobody waits for its time-out. */
  expire(node: NodeId): Promise<void>;
  /** Forgets a dead node, once its rows are cleaned up. Does nothing for a live node. */
  forget(node: NodeId): Promise<void>;
  /** Declares this node dead at a clean end, so that nobody waits for its time-out. */
  leave(): Promise<void>;
}

/** The shared state of the nodes of one log. */
export interface Cluster {
  readonly leases: Leases;
  readonly nodes: Nodes;
  readonly devices: Devices;
  close(): Promise<void>;
}

/** Creates the nodes of a single process. Its only node never dies before its callers. */
export function createMemoryNodes(node: NodeId, capabilities: readonly string[]): Nodes {
  let startedAt: Date | undefined;
  return {
    async heartbeat() {
      if (startedAt) return false;
      startedAt = new Date();
      return true;
    },
    listLive: async () => (startedAt ? [{ node, startedAt, silentMs: 0, capabilities }] : []),
    listDead: async () => [],
    async forget() {},
    async expire() {},
    async leave() {
      startedAt = undefined;
    },
  };
}
