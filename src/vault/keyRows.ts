import { createHmac, randomBytes } from 'node:crypto';
import { VaultUnavailable } from '../base/errors.js';
import type { UserId, WriterInRoom } from '../domain/ids.js';
import { type DataKey, missingKey, type OwnKeys, openRow, sealRow } from './dataKeys.js';
import {
  decodeTrees,
  encodeTrees,
  newRoot,
  type Person,
  roomKeysId,
  SALT_BYTES,
  type Trees,
} from './textKeys.js';
import type { PersonRow, RoomRow, VaultStore } from './vaultStore.js';

/** A lost race means that another has written. So many losses in a row mean that something is wrong. */
export const MAX_RACES = 50;
/** The number of the present generation of text keys. */
export const GENERATION = 'generation';

const contextOfRoots = (owner: UserId, version: number): string => `roots of user ${owner}, ${version}`;
const contextOfRoom = (room: WriterInRoom, version: number): string => `room ${roomKeysId(room)}, ${version}`;
/** Seals the rows of a person's rooms: with the person's row they all stop to open, also one that comes too late. */
const roomWrapping = (own: DataKey): DataKey => createHmac('sha256', own).update('parley/rooms').digest();

export const lostRaces = (what: string): VaultUnavailable =>
  new VaultUnavailable(`${what} was changed by others ${MAX_RACES} times; try again`);

/** What a room's own row holds. */
export function decodeRoom({ own }: Person, room: WriterInRoom, row: RoomRow | undefined): Trees {
  if (row === undefined) return new Map();
  return decodeTrees(openRow(roomWrapping(own), row.sealed, contextOfRoom(room, row.version)));
}

/** Reads and writes the rows of people and rooms. */
export class KeyRows {
  constructor(
    private readonly store: VaultStore,
    private readonly wrapping: DataKey,
    private readonly ownKeys: OwnKeys,
  ) {}

  #seal(owner: UserId, version: number, salt: Buffer, trees: Trees): Buffer {
    return sealRow(this.wrapping, Buffer.concat([salt, encodeTrees(trees)]), contextOfRoots(owner, version));
  }

  open(row: PersonRow): Person | 'destroyed' {
    const { owner, version, roots } = row;
    const own = this.ownKeys.unwrap(row);
    if (own === 'destroyed' || roots === null) return 'destroyed';
    const bytes = openRow(this.wrapping, roots, contextOfRoots(owner, version));
    return {
      owner,
      version,
      own,
      salt: bytes.subarray(0, SALT_BYTES),
      trees: decodeTrees(bytes.subarray(SALT_BYTES)),
    };
  }

  async insert(owner: UserId): Promise<void> {
    const trees = new Map([[await this.store.findNumber(GENERATION), newRoot()]]);
    const roots = this.#seal(owner, 1, randomBytes(SALT_BYTES), trees);
    await this.store.insertKey(owner, this.ownKeys.make(owner), roots);
  }

  /** Everybody of the list, with a root of the present generation. */
  async people(owners: readonly UserId[]): Promise<Map<UserId, Person | 'destroyed'>> {
    const found = new Map<UserId, Person | 'destroyed'>();
    let left = owners;
    for (let races = 0; left.length > 0; races++) {
      if (races === MAX_RACES) throw lostRaces(`the row of user ${left[0]}`);
      const [generation, rows] = await Promise.all([
        this.store.findNumber(GENERATION),
        this.store.findPeople(left),
      ]);
      const opened = new Map(rows.map((row) => [row.owner, this.open(row)] as const));
      const again: UserId[] = [];
      for (const owner of left) {
        const person = opened.get(owner);
        if (person === undefined) throw missingKey(owner);
        // A later root than this read's generation shows that the generation has been raised since.
        if (person === 'destroyed' || Math.max(...person.trees.keys()) >= generation)
          found.set(owner, person);
        else {
          await this.replace(person, new Map([...person.trees, [generation, newRoot()]]));
          again.push(owner);
        }
      }
      left = again;
    }
    return found;
  }

  /** Returns false if the row is no longer the one that was read. */
  replace({ owner, version, salt }: Person, trees: Trees): Promise<boolean> {
    return this.store.replaceRoots(owner, version, this.#seal(owner, version + 1, salt, trees));
  }

  /** Returns false if the row is no longer the one that was read. */
  replaceRoom(
    { own }: Person,
    { owner, roomId }: WriterInRoom,
    from: number,
    trees: Trees,
  ): Promise<boolean> {
    const room = { owner, roomId };
    const version = from + 1;
    const sealed = sealRow(roomWrapping(own), encodeTrees(trees), contextOfRoom(room, version));
    return this.store.replaceRoom({ owner: room.owner, roomId: room.roomId, version, sealed });
  }
}
