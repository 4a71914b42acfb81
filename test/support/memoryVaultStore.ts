import type { UserId } from '../../src/domain/ids.js';
import { roomKeysId } from '../../src/vault/textKeys.js';
import type { PersonRow, RoomRow, VaultStore } from '../../src/vault/vaultStore.js';

/** The rows of keys and the numbers of a vault, in memory. The other tables are missing. */
export function memoryVaultStore(): VaultStore {
  const people = new Map<UserId, PersonRow>();
  const rooms = new Map<string, RoomRow>();
  const numbers = new Map<string, number>();
  const rows: Partial<VaultStore> = {
    async insertKey(owner, own, roots) {
      if (people.has(owner)) return false;
      people.set(owner, { owner, version: 1, own, roots });
      return true;
    },
    findKeys: async (owners) => owners.flatMap((owner) => people.get(owner) ?? []),
    findPeople: async (owners) => owners.flatMap((owner) => people.get(owner) ?? []),
    async destroyKey(owner) {
      people.set(owner, { owner, version: (people.get(owner)?.version ?? 0) + 1, own: null, roots: null });
      for (const [id, room] of rooms) if (room.owner === owner) rooms.delete(id);
    },
    async replaceRoots(owner, from, roots) {
      const row = people.get(owner);
      if (!row?.roots || row.version !== from) return false;
      people.set(owner, { ...row, version: from + 1, roots });
      return true;
    },
    findRooms: async (asked) => asked.flatMap((room) => rooms.get(roomKeysId(room)) ?? []),
    async replaceRoom(row) {
      if ((rooms.get(roomKeysId(row))?.version ?? 0) !== row.version - 1) return false;
      rooms.set(roomKeysId(row), row);
      return true;
    },
    findDeletedHolds: async () => [],
    removeReplaced: async () => undefined,
    findNumber: async (name) => numbers.get(name) ?? 0,
    async raiseNumber(name, to) {
      if ((numbers.get(name) ?? 0) >= to) return false;
      numbers.set(name, to);
      return true;
    },
  };
  return rows as VaultStore; // A key store calls nothing else.
}
