import type { NodeId } from './bus.js';
import type { Devices } from './devices.js';
import type { Leases } from './leases.js';

/** A node that has not beaten for so long, on the database's clock, is dead. */
export const DEAD_AFTER_MS = 10_000;

/** A node that lives. */
export interface LiveNode {
  readonly node: NodeId;
  /** When it first beat, or first again after it had been forgotten. */
  readonly startedAt: Date;
  /** Since its last beat, on the database's clock. */
  readonly silentMs: number;
  /** What it can read: the types of events, and the tables of read models that it folds. */
  readonly capabilities: readonly string[];
}

/** A node that has ended, with or without a word, and when it last lived. */
export interface DeadNode {
  readonly node: NodeId;
  readonly lastHeartbeat: Date;
}

/** Which nodes there are; times are the database's. Every call throws when its outcome is not known, and may be repeated. */
export interface Nodes {
  /**
   * Says that this node lives, and what it knows. True: this is its first beat, or it had been taken for
   * dead and forgotten; what the others dropped of it then must be written again.
   */
  heartbeat(): Promise<boolean>;
  /** Those that beat within `DEAD_AFTER_MS`, the longest-lived first. */
  listLive(): Promise<readonly LiveNode[]>;
  /** Those that stopped beating, or have left, and are not yet forgotten. */
  listDead(): Promise<readonly DeadNode[]>;
  /** Says of another node that it has surely ended: it is dead from now on, and need not be waited for. */
  expire(node: NodeId): Promise<void>;
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

/** The one node that there is. It never dies before those who ask. */
export function memoryNodes(node: NodeId, capabilities: readonly string[]): Nodes {
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
