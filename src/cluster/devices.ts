import type { UserId } from '../domain/ids.js';
import type { NodeId } from './bus.js';

/**
 * Which user has an active device on which node, grace included: a row a user and node. Every call throws when its
 * outcome is not known, and may be repeated. Of this node's calls for one user the last one made wins, however late an
 * earlier one whose outcome was not known may land.
 */
export interface Devices {
  /** This node has an active device of the user. */
  setActive(user: UserId): Promise<void>;
  /** It has none any more. */
  clearActive(user: UserId): Promise<void>;
  /**
   * Of these users those that have an active device on a node that lives, on this one too; one that has been silent
   * for less than `DEAD_AFTER_MS` counts as living. Whoever asks on behalf of a node that has just cleared its row
   * asks for all nodes; `except` leaves one out.
   */
  findActive(users: readonly UserId[], except?: NodeId): Promise<Set<UserId>>;
  /** The users with an active device on this node, dead or alive, in the order of their ids, behind `after`. */
  listActive(node: NodeId, limit: number, after?: UserId): Promise<UserId[]>;
  /** Removes all rows of a node that is dead. */
  dropNode(node: NodeId): Promise<void>;
}

/** The rows of the one node that there is. */
export function memoryDevices(node: NodeId): Devices {
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
