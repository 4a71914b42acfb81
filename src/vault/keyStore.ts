import { ExpiringCache } from '../base/collections.js';
import type { UserId, WriterInRoom } from '../domain/ids.js';
import { type DataKey, MIN_TTL_LEFT_MS, OwnKeys } from './dataKeys.js';
import { decodeRoom, GENERATION, KeyRows, lostRaces, MAX_RACES } from './keyRows.js';
import {
  addBranches,
  cutOutOfEach,
  differ,
  encodeTrees,
  type Path,
  type Person,
  RoomKeys,
  roomKeysId,
  roomPath,
  seqPath,
} from './textKeys.js';
import { type CachedKeys, KeyDestroyed, type KeyInspector, SECRET_TTL_MS } from './vault.js';
import type { RoomRow, VaultStore } from './vaultStore.js';

interface CachedRoom {
  readonly owner: UserId;
  /** The version of the room's row; 0 if there is none. */
  readonly version: number;
  readonly keys: RoomKeys;
}

/** The most memory of cached room keys. */
const MAX_ROOM_BYTES = 64 * 1024 * 1024;
/** Generations are stored in one byte. */
const MAX_GENERATION = 255;
/** A restored log may be shorter than what was followed of the one before, so each generation begins at 0. */
const progressName = (partition: number, generation: number): string =>
  `destroyed in ${partition}, generation ${generation}`;

/** The keys of texts, with a cache. */
class RoomKeyCache {
  readonly #cache = new ExpiringCache<CachedRoom>({
    ttlMs: SECRET_TTL_MS,
    maxBytes: MAX_ROOM_BYTES,
    sizeOf: ({ keys }) => keys.memoryBytes,
  });
  /** For each read in progress, the rooms in which a text was destroyed since it began. */
  readonly #reads = new Set<Set<string>>();
  /** The last destruction of each person's texts in progress: one waits for the one before. */
  readonly #turns = new Map<UserId, Promise<void>>();

  constructor(
    private readonly store: VaultStore,
    private readonly ownKeys: OwnKeys,
    private readonly rows: KeyRows,
  ) {}

  /** See `CachedKeys.getCachedRoomKeys`. Undefined if they expire in less than `leftMs`. */
  readonly getCached = (room: WriterInRoom, leftMs = 0): RoomKeys | 'destroyed' | undefined => {
    if (this.ownKeys.cache.get(room.owner) === 'destroyed') return 'destroyed';
    return this.#cache.get(roomKeysId(room), leftMs)?.keys;
  };

  async getAll(rooms: readonly WriterInRoom[]): Promise<Map<string, RoomKeys | 'destroyed'>> {
    const found = new Map<string, RoomKeys | 'destroyed'>();
    const uncached: WriterInRoom[] = [];
    for (const room of rooms) {
      const keys = this.getCached(room, MIN_TTL_LEFT_MS);
      if (keys === undefined) uncached.push(room);
      else found.set(roomKeysId(room), keys);
    }
    for (const [id, keys] of await this.fetchAll(uncached)) found.set(id, keys);
    return found;
  }

  async fetchAll(rooms: readonly WriterInRoom[]): Promise<Map<string, RoomKeys | 'destroyed'>> {
    const found = new Map<string, RoomKeys | 'destroyed'>();
    let left = [...new Map(rooms.map((room) => [roomKeysId(room), room])).values()];
    for (let races = 0; left.length > 0; races++) {
      if (races === MAX_RACES) throw lostRaces('a row of text keys');
      left = await this.#read(left, found);
    }
    return found;
  }

  /** Reads rooms once. Returns those to read again. */
  async #read(
    rooms: readonly WriterInRoom[],
    into: Map<string, RoomKeys | 'destroyed'>,
  ): Promise<WriterInRoom[]> {
    const overtaken = new Set<string>();
    this.#reads.add(overtaken);
    try {
      const asOf = performance.now();
      // People first: a branch that is missing in a person's row is in the row of the room by then.
      const people = await this.rows.people([...new Set(rooms.map(({ owner }) => owner))]);
      const alive = rooms.filter(({ owner }) => people.get(owner) !== 'destroyed');
      const [rows, held] = await this.#findRows(alive);
      const rowOf = new Map(rows.map((row) => [roomKeysId(row), row]));
      return rooms.filter((room) => {
        const id = roomKeysId(room);
        const person = people.get(room.owner) ?? 'destroyed';
        if (person === 'destroyed') this.ownKeys.remember(room.owner, person, asOf);
        // The person may have been destroyed here since the read began.
        if (person === 'destroyed' || this.ownKeys.cache.get(room.owner) === 'destroyed') {
          into.set(id, 'destroyed');
          return false;
        }
        const row = rowOf.get(id);
        const trees = overtaken.has(id)
          ? undefined
          : addBranches(decodeRoom(person, room, row), person.trees, roomPath(person.salt, room.roomId));
        if (trees === undefined) return true;
        const hidden = held.get(id);
        const keys = RoomKeys.from(encodeTrees(hidden ? cutOutOfEach(trees, hidden) : trees));
        this.#remember(id, { owner: room.owner, version: row?.version ?? 0, keys }, asOf);
        into.set(id, keys);
        return false;
      });
    } finally {
      this.#reads.delete(overtaken);
    }
  }

  /** The rows of rooms, and the paths of texts that are deleted for all but moderators. */
  async #findRows(rooms: readonly WriterInRoom[]): Promise<[RoomRow[], Map<string, Path[]>]> {
    const held = new Map<string, Path[]>();
    if (rooms.length === 0) return [[], held];
    const [rows, deleted] = await Promise.all([
      this.store.findRooms(rooms),
      this.store.findDeletedHolds([...new Set(rooms.map(({ roomId }) => roomId))]),
    ]);
    for (const hold of deleted) {
      const id = roomKeysId(hold);
      held.set(id, [...(held.get(id) ?? []), seqPath(hold.seq)]);
    }
    return [rows, held];
  }

  /** See `KeyStore.fetchHeldKeys`. */
  async fetchHeld(room: WriterInRoom): Promise<RoomKeys | 'destroyed'> {
    for (let races = 0; races < MAX_RACES; races++) {
      const person = (await this.rows.people([room.owner])).get(room.owner) ?? 'destroyed';
      if (person === 'destroyed') return person;
      const [row] = await this.store.findRooms([room]);
      const path = roomPath(person.salt, room.roomId);
      const trees = addBranches(decodeRoom(person, room, row), person.trees, path);
      if (trees !== undefined) return RoomKeys.from(encodeTrees(trees));
    }
    throw lostRaces(`a row of text keys of user ${room.owner}`);
  }

  /** Caches keys, but never over those of a later row. */
  #remember(id: string, room: CachedRoom, asOf: number): void {
    const cached = this.#cache.get(id);
    if (cached === undefined || cached.version <= room.version) this.#cache.set(id, room, asOf);
  }

  /** Destroys texts after the destructions of this owner's texts that were called before. */
  async destroyTexts(room: WriterInRoom, seqs: readonly number[]): Promise<void> {
    if (seqs.length === 0) return;
    const before = this.#turns.get(room.owner) ?? Promise.resolve();
    const turn = before.then(() => this.#destroyTexts(room, seqs.map(seqPath)));
    const settled = turn
      .catch(() => {})
      .finally(() => {
        if (this.#turns.get(room.owner) === settled) this.#turns.delete(room.owner);
      });
    this.#turns.set(room.owner, settled);
    return turn;
  }

  async #destroyTexts(room: WriterInRoom, paths: readonly Path[]): Promise<void> {
    for (let races = 0; races < MAX_RACES; races++) {
      const person = (await this.rows.people([room.owner])).get(room.owner) ?? 'destroyed';
      // Also removes a row of a room that was written while the person was destroyed.
      if (person === 'destroyed') return this.destroyOwner(room.owner);
      if (await this.#cutOut(person, room, paths)) return;
    }
    throw lostRaces(`a row of text keys of user ${room.owner}`);
  }

  /** First the row of the room, then the person's: at no time do both lack what the other does not hold. */
  async #cutOut(person: Person, room: WriterInRoom, paths: readonly Path[]): Promise<boolean> {
    const [row] = await this.store.findRooms([room]);
    const stored = decodeRoom(person, room, row);
    const trees = addBranches(stored, person.trees, roomPath(person.salt, room.roomId));
    if (trees === undefined) return false;
    const left = cutOutOfEach(trees, paths);
    try {
      if (differ(left, stored) && !(await this.rows.replaceRoom(person, room, row?.version ?? 0, left)))
        return false;
    } finally {
      // After an error too: the row may have been written.
      this.forget(room);
    }
    const roots = cutOutOfEach(person.trees, [roomPath(person.salt, room.roomId)]);
    if (differ(roots, person.trees)) return this.rows.replace(person, roots);
    await this.store.removeReplaced();
    return true;
  }

  /** See `KeyStore.forgetRoomKeys`. */
  forget(room: WriterInRoom): void {
    const id = roomKeysId(room);
    this.#cache.delete(id);
    for (const overtaken of this.#reads) overtaken.add(id);
  }

  async destroyOwner(owner: UserId): Promise<void> {
    await this.ownKeys.destroy(owner);
    this.#cache.deleteWhere((room) => room.owner === owner);
  }

  close(): void {
    this.#cache.close();
  }
}

/** People's own keys and the keys of their texts, in rows that the master's wrapping key seals. */
export function createKeyStore(
  store: VaultStore,
  wrapping: DataKey,
): CachedKeys & { readonly inspector: KeyInspector; close(): void } {
  const own = new OwnKeys(store, wrapping, SECRET_TTL_MS);
  const rows = new KeyRows(store, wrapping, own);
  const rooms = new RoomKeyCache(store, own, rows);
  return {
    getKeys: (owners) => own.getAll(owners),
    getKey: (owner) => own.get(owner),
    getCached: (owner) => own.cache.get(owner),
    fetchKeys: (owners) => own.fetchAll(owners),
    async create(owner) {
      await rows.insert(owner);
      // Reads it back: the stored row may be older than this call.
      if ((await own.get(owner)) === 'destroyed')
        throw new KeyDestroyed(`the key of user ${owner} was destroyed`);
    },
    destroy: (owner) => rooms.destroyOwner(owner),
    getRoomKeys: (asked) => rooms.getAll(asked),
    getCachedRoomKeys: rooms.getCached,
    fetchRoomKeys: (asked) => rooms.fetchAll(asked),
    destroyTexts: (room, seqs) => rooms.destroyTexts(room, seqs),
    fetchHeldKeys: (room) => rooms.fetchHeld(room),
    forgetRoomKeys: (room) => rooms.forget(room),
    async beginGeneration() {
      for (;;) {
        const next = (await store.findNumber(GENERATION)) + 1;
        if (next > MAX_GENERATION) throw new RangeError('text keys have at most 256 generations');
        if (await store.raiseNumber(GENERATION, next)) return next;
      }
    },
    generation: () => store.findNumber(GENERATION),
    async destructionProgress(partition) {
      return store.findNumber(progressName(partition, await store.findNumber(GENERATION)));
    },
    async saveDestructionProgress(partition, size) {
      await store.raiseNumber(progressName(partition, await store.findNumber(GENERATION)), size);
    },
    inspector: {
      people: async (owners) =>
        new Map((await store.findPeople(owners)).map((row) => [row.owner, rows.open(row)] as const)),
      rooms: async (asked) => new Map((await store.findRooms(asked)).map((row) => [roomKeysId(row), row])),
      treesIn: (person, row) => decodeRoom(person, row, row),
    },
    close() {
      own.close();
      rooms.close();
    },
  };
}
