import type { UserId } from '../ids.js';

export const GROUP_ROLES = ['owner', 'admin', 'member'] as const;
export type GroupRole = (typeof GROUP_ROLES)[number];

/** The `seq` from which and up to which a member sees messages; null: without end. Both are inclusive. */
export type Window = readonly [from: number, to: number | null];

/** Somebody who is or was a member of a group. */
export interface GroupMember {
  /** Undefined of somebody who has left. */
  readonly role: GroupRole | undefined;
  /** Where the present window begins; 0 of somebody who has left. */
  readonly from: number;
  /** The offset of the event by which they came last. */
  readonly joinedAt: number;
  readonly mark: number;
  /** Whether they have written messages. False again once their erasure is recorded. */
  readonly hasWritten: boolean;
  /** The windows that have ended. */
  readonly closed: readonly Window[];
}

const NO_WINDOWS: readonly Window[] = [];
const ABSENT: GroupMember = {
  role: undefined,
  from: 0,
  joinedAt: 0,
  mark: 0,
  hasWritten: false,
  closed: NO_WINDOWS,
};

/** The four words of a UUID, most significant first, as `readWords` leaves them. */
const words = new Uint32Array(4);

/** Reads a UUID in lower case into `words`. Returns false for another text. */
function readWords(id: string): boolean {
  if (id.length !== 36) return false;
  let [word, digits, at] = [0, 0, 0];
  for (let i = 0; i < 36; i++) {
    const code = id.charCodeAt(i);
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      if (code !== 45) return false;
      continue;
    }
    const digit = code < 58 ? code - 48 : code - 87;
    if (digit < 0 || digit > 15 || (code > 57 && code < 97)) return false;
    word = (word << 4) | digit;
    if (++digits === 8) {
      words[at++] = word;
      [word, digits] = [0, 0];
    }
  }
  return true;
}

const WORDS = 4;
const FIRST_CAPACITY = 8;

/**
 * Numbers the members in the order of their first joining: 24 bytes each, where a `Map` of texts takes 100. Versions of
 * one group share it, because it only grows: what lies behind its end is not there for an older version.
 */
class Directory {
  #ids: Uint32Array;
  /** Open addressing: a number plus 1, or 0. Twice as many places as ids, so that chains stay short. */
  #slots: Int32Array;

  constructor(
    public used = 0,
    ids = new Uint32Array(FIRST_CAPACITY * WORDS),
  ) {
    this.#ids = ids;
    this.#slots = this.#indexed();
  }

  /** The number of the id; -1 if there is none. */
  find(id: string): number {
    if (!readWords(id)) return -1;
    for (let slot = this.#firstSlot(words[0] ?? 0); ; slot = (slot + 1) % this.#slots.length) {
      const number = (this.#slots[slot] ?? 0) - 1;
      if (number < 0) return -1;
      if (this.#hasWords(number)) return number;
    }
  }

  /** Adds an id that it lacks. */
  add(id: string): void {
    if (!readWords(id)) throw new RangeError(`${id} is no UUID in lower case`);
    if ((this.used + 1) * WORDS > this.#ids.length) this.#grow();
    this.#ids.set(words, this.used * WORDS);
    this.#place(this.#slots, this.used);
    this.used++;
  }

  idAt(number: number): UserId {
    let hex = '';
    for (let i = 0; i < WORDS; i++) hex += (this.#ids[number * WORDS + i] ?? 0).toString(16).padStart(8, '0');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }

  /** A copy of the first ids, for a version that goes another way. */
  first(count: number): Directory {
    return new Directory(count, this.#ids.slice());
  }

  #grow(): void {
    const ids = new Uint32Array(2 * this.#ids.length);
    ids.set(this.#ids);
    this.#ids = ids;
    this.#slots = this.#indexed();
  }

  #indexed(): Int32Array {
    const slots = new Int32Array((2 * this.#ids.length) / WORDS);
    for (let number = 0; number < this.used; number++) this.#place(slots, number);
    return slots;
  }

  #place(slots: Int32Array, number: number): void {
    let slot = (this.#ids[number * WORDS] ?? 0) % slots.length;
    while (slots[slot] !== 0) slot = (slot + 1) % slots.length;
    slots[slot] = number + 1;
  }

  #firstSlot(word: number): number {
    return word % this.#slots.length;
  }

  #hasWords(number: number): boolean {
    const at = number * WORDS;
    for (let i = 0; i < WORDS; i++) if (this.#ids[at + i] !== words[i]) return false;
    return true;
  }
}

/** Some members, in columns: to move a mark copies one column of them. */
interface Chunk {
  readonly marks: readonly number[];
  readonly froms: readonly number[];
  readonly joinedAt: readonly number[];
  /** 0 of somebody who has left, else the role's place in `GROUP_ROLES` plus 1; 4 is added once they have written. */
  readonly flags: readonly number[];
  /** Undefined as long as nobody has left. */
  readonly closed: ReadonlyMap<number, readonly Window[]> | undefined;
}

interface Counts {
  readonly members: number;
  readonly owners: number;
  /** The windows that have ended, of all together. */
  readonly ended: number;
}

/** Of one member: 24 to 48 in the directory, 32 in the columns. */
const MEMBER_BYTES = 64;
/** Of a window that has ended, with its place in a map. */
const WINDOW_BYTES = 96;
const CHUNK = 32;
const ROLE_BITS = 3;
const HAS_WRITTEN = 4;
const EMPTY_CHUNK: Chunk = { marks: [], froms: [], joinedAt: [], flags: [], closed: undefined };

const roleIn = (flags: number): GroupRole | undefined => GROUP_ROLES[(flags & ROLE_BITS) - 1];
const flagsOf = ({ role, hasWritten }: GroupMember): number =>
  (role === undefined ? 0 : GROUP_ROLES.indexOf(role) + 1) + (hasWritten ? HAS_WRITTEN : 0);

/**
 * Everybody who is or was a member of a group. It never changes: `with` returns another one, and shares with it what is
 * the same. A thousand members take about 64 KiB.
 */
export class GroupMembers {
  static readonly none = new GroupMembers(new Directory(), 0, [], { members: 0, owners: 0, ended: 0 });

  private constructor(
    private readonly directory: Directory,
    /** Members and those who have left. */
    private readonly size: number,
    private readonly chunks: readonly Chunk[],
    private readonly counts: Counts,
  ) {}

  /** The number of present members. */
  get count(): number {
    return this.counts.members;
  }

  get owners(): number {
    return this.counts.owners;
  }

  /** About how many bytes this takes. */
  get bytes(): number {
    return this.size * MEMBER_BYTES + this.counts.ended * WINDOW_BYTES;
  }

  /** Undefined of somebody who never was a member. */
  get(user: UserId): GroupMember | undefined {
    const number = this.#find(user);
    return number < 0 ? undefined : this.#at(number);
  }

  /** The present role; undefined of anybody who is no member. */
  roleOf(user: UserId): GroupRole | undefined {
    const number = this.#find(user);
    return number < 0 ? undefined : roleIn(this.chunks[number >> 5]?.flags[number & 31] ?? 0);
  }

  /** Everybody, in the order of their first joining. */
  *all(): Generator<GroupMember & { readonly userId: UserId }> {
    for (let number = 0; number < this.size; number++)
      yield { userId: this.directory.idAt(number), ...this.#at(number) };
  }

  /** The members with one of these roles who came first. */
  oldest(role: GroupRole, but: UserId): UserId | undefined {
    let [found, joinedAt] = [-1, Number.POSITIVE_INFINITY];
    const left = this.#find(but);
    for (let number = 0; number < this.size; number++) {
      const chunk = this.chunks[number >> 5];
      if (number === left || roleIn(chunk?.flags[number & 31] ?? 0) !== role) continue;
      const at = chunk?.joinedAt[number & 31] ?? 0;
      if (at < joinedAt) [found, joinedAt] = [number, at];
    }
    return found < 0 ? undefined : this.directory.idAt(found);
  }

  /** The same with a member changed or added. */
  with(user: UserId, change: Partial<GroupMember>): GroupMembers {
    const found = this.#find(user);
    const before = found < 0 ? ABSENT : this.#at(found);
    const after = { ...before, ...change };
    const counts = {
      members: this.count - Number(before.role !== undefined) + Number(after.role !== undefined),
      owners: this.owners - Number(before.role === 'owner') + Number(after.role === 'owner'),
      ended: this.counts.ended - before.closed.length + after.closed.length,
    };
    let { directory, size } = this;
    const number = found < 0 ? size : found;
    if (found < 0) {
      // Another version has added somebody else behind this one's end.
      if (directory.used !== size) directory = directory.first(size);
      directory.add(user);
      size++;
    }
    const chunks = this.chunks.slice();
    chunks[number >> 5] = withMember(chunks[number >> 5] ?? EMPTY_CHUNK, number & 31, after);
    return new GroupMembers(directory, size, chunks, counts);
  }

  /** The same with a member's mark moved by a message of theirs: what nearly all events do. */
  withMessage(user: UserId, seq: number): GroupMembers {
    const number = this.#find(user);
    const chunk = this.chunks[number >> 5];
    if (number < 0 || !chunk) return this;
    const at = number & 31;
    const flags = chunk.flags[at] ?? 0;
    const chunks = this.chunks.slice();
    const isFirst = (flags & HAS_WRITTEN) === 0;
    chunks[number >> 5] = {
      marks: chunk.marks.with(at, seq),
      froms: chunk.froms,
      joinedAt: chunk.joinedAt,
      flags: isFirst ? chunk.flags.with(at, flags + HAS_WRITTEN) : chunk.flags,
      closed: chunk.closed,
    };
    return new GroupMembers(this.directory, this.size, chunks, this.counts);
  }

  #find(user: UserId): number {
    const number = this.directory.find(user);
    return number < this.size ? number : -1;
  }

  #at(number: number): GroupMember {
    const chunk = this.chunks[Math.floor(number / CHUNK)] ?? EMPTY_CHUNK;
    const at = number % CHUNK;
    const flags = chunk.flags[at] ?? 0;
    return {
      role: roleIn(flags),
      from: chunk.froms[at] ?? 0,
      joinedAt: chunk.joinedAt[at] ?? 0,
      mark: chunk.marks[at] ?? 0,
      hasWritten: (flags & HAS_WRITTEN) !== 0,
      closed: chunk.closed?.get(at) ?? NO_WINDOWS,
    };
  }
}

function closedWith({ closed }: Chunk, at: number, windows: readonly Window[]): Chunk['closed'] {
  if (windows.length === 0 && !closed?.has(at)) return closed;
  return new Map(closed).set(at, windows);
}

function withMember(chunk: Chunk, at: number, member: GroupMember): Chunk {
  // An array that grows by an assignment or by `push` reserves places to spare.
  const put = <T>(column: readonly T[], value: T): readonly T[] =>
    at < column.length ? column.with(at, value) : column.concat([value]);
  return {
    marks: put(chunk.marks, member.mark),
    froms: put(chunk.froms, member.from),
    joinedAt: put(chunk.joinedAt, member.joinedAt),
    flags: put(chunk.flags, flagsOf(member)),
    closed: closedWith(chunk, at, member.closed),
  };
}
