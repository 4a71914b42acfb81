import type { UserId } from '../domain/ids.js';
import type { NodeId } from './bus.js';

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
