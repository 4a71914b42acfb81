import type { NodeId } from '../bus/bus.js';
import type { UserId } from '../events/ids.js';
import type { Devices } from './devices.js';

/** The rows of the one node that there is. */
export function memoryDevices(node: NodeId): Devices {
  const active = new Set<UserId>();
  return {
    async set(user) {
      active.add(user);
    },
    async clear(user) {
      active.delete(user);
    },
    async elsewhere(users, except) {
      return new Set(except === node ? [] : users.filter((user) => active.has(user)));
    },
    async of(asked, limit, after = '') {
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
