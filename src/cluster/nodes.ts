import type { UserId } from '../domain/ids.js';
import type { NodeId } from './bus.js';
import type { BusSeal, Credential } from './busSeal.js';
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
  /** Absent of a single process, which tells nobody anything. */
  readonly credential?: Credential;
}

/** What a node records of itself. */
export interface Self {
  readonly node: NodeId;
  /** As in `LiveNode`. */
  readonly capabilities: readonly string[];
  /** Learns whom to trust from each list of live nodes. */
  readonly seal?: BusSeal;
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
export function createMemoryNodes({ node, capabilities }: Self): Nodes {
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

/**
 * The users with an active device on each node, grace period included: one row per user and node. A call that
 * throws has an unknown outcome and may be repeated. For one user, this node's last call wins, even if an
 * earlier call of unknown outcome lands later.
 */
export interface Devices {
  /** Records that the user has an active device on this node. */
  setActive(user: UserId): Promise<void>;
  /** Records that the user has no active device on this node any more. */
  clearActive(user: UserId): Promise<void>;
  /**
   * Returns those of the users with an active device on any live node, this one included. A node silent for
   * less than `DEAD_AFTER_MS` counts as live. A caller that has just cleared a row asks for all nodes;
   * `except` excludes one.
   */
  findActive(users: readonly UserId[], except?: NodeId): Promise<Set<UserId>>;
  /** Returns the users with an active device on this node, live or dead, by id, after the id `after`. */
  listActive(node: NodeId, limit: number, after?: UserId): Promise<UserId[]>;
  /** Removes all rows of a dead node. */
  dropNode(node: NodeId): Promise<void>;
}

/** Creates the rows of a single process. */
export function createMemoryDevices(node: NodeId): Devices {
  const active = new Set<UserId>();
  return {
    async setActive(user) {
      active.add(user);
    },
    async clearActive(user) {
      active.delete(user);
    },
    async findActive(users, except) {
      return new Set(except === node ? [] : users.filter((user) => active.has(user)));
    },
    async listActive(asked, limit, after = '') {
      if (asked !== node) return [];
      return [...active]
        .filter((user) => user > after)
        .sort()
        .slice(0, limit);
    },
    async dropNode(dead) {
      if (dead === node) active.clear();
    },
  };
}
