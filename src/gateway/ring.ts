import { Deque } from '../base/collections.js';
import type { Recorded } from '../domain/events.js';
import type { RoomId, UserId } from '../domain/ids.js';
import type { Vector } from './cursor.js';
import { FrameArena } from './frameArena.js';

/** A push of the ring for a client that has missed it. */
export interface MissedPush {
  readonly partition: number;
  readonly offset: number;
  /** Pushes of a higher place were fanned out later. */
  readonly place: number;
  /** The WebSocket frame, with the live cursor of its moment. */
  readonly frame: Buffer;
  /** Only of a read mark: its reader. */
  readonly readBy: UserId | undefined;
}

/** Bytes of a push besides its frame: its fields, and its place in the lists of two users. */
const ENTRY_BYTES = 96;
/** The part of the ring's bytes for frames. A frame of 288 bytes or more uses up this part first. */
const FRAMES_PART = 3 / 4;
/** Pushes are kept for a disconnected user for this time. */
const GONE_USERS_KEPT_MS = 600_000;
/** The limit of disconnected users. Beyond it, the first to leave are forgotten first. */
const MAX_GONE_USERS = 50_000;

interface Hosted {
  /** By partition: pushes below it are not kept. They are from before the user came, or showed an erased user. */
  readonly since: number[];
  /** The places of the user's pushes, ascending. Made by the first, because most users have none. */
  places: Deque<number> | undefined;
  /** By partition: a push below it is replayed in another form. Made by the first such push. */
  liveOnly: number[] | undefined;
  /** By mark, the place of the newest entry. Made by the first mark. */
  newest: Map<string, number> | undefined;
}

/** A part of what a user has missed, and whether there is nothing behind it. */
export interface RingSlice {
  readonly entries: readonly MissedPush[];
  readonly isLast: boolean;
}

/** What the ring reads of a push, with its receivers on this node. */
interface KeptPush {
  readonly to: readonly UserId[];
  readonly onlyNewest?: string | undefined;
  /** A replay sends another push instead. */
  readonly onlyLive?: true | undefined;
  /** The users whose profiles it shows. */
  readonly shows?: readonly UserId[] | undefined;
}

const nobody: readonly UserId[] = [];

/**
 * Keeps the recent stored pushes of a node to its hosted users. A user is hosted while connected here and for 10 min
 * more. The order is that of the fan-out, so that a connection that gets all of them can resume from each cursor. The
 * ring is bounded by bytes: older pushes are dropped, and must be read from the read models.
 *
 * No object is kept of a push: thousands come in a second and stay for seconds, and a scavenge copies each object that
 * stays. A push is its frame in the arena, and its fields in arrays at the index of the frame's slot.
 */
export class Ring {
  readonly #frames: FrameArena;
  readonly #partitions: Uint16Array;
  readonly #offsets: Float64Array;
  /** Whom the pushes are to: the arrays that they came with, most of which their rooms hold anyway. */
  readonly #to: (readonly UserId[])[] = [];
  /** Only of read marks: the room and user. A replay sends only the newest of each. */
  readonly #marks: (string | undefined)[] = [];
  /** By place, the users whose profiles the push shows. Few pushes show any. */
  readonly #shown = new Map<number, readonly UserId[]>();
  /** By user, the places of the pushes that show their profile. */
  readonly #showing = new Map<UserId, Set<number>>();
  /** By partition: pushes below it are kept for no user. */
  readonly #floor: number[];
  readonly #hosted = new Map<UserId, Hosted>();
  /** Hosted users who are not connected, and when they left, in the order of leaving. */
  readonly #gone = new Map<UserId, number>();

  /** `start`: the vector at which the fan-out begins. `onForget` is told of each user who is hosted no more. */
  constructor(
    maxBytes: number,
    start: Vector,
    private readonly onForget: (user: UserId) => void = () => {},
  ) {
    const maxEntries = Math.max(1, Math.floor((maxBytes * (1 - FRAMES_PART)) / ENTRY_BYTES));
    // The system gives memory to a page of the buffer when it is first written.
    const bytes = Buffer.allocUnsafeSlow(Math.floor(maxBytes * FRAMES_PART));
    this.#frames = new FrameArena(bytes, maxEntries);
    this.#partitions = new Uint16Array(maxEntries);
    this.#offsets = new Float64Array(maxEntries);
    this.#floor = [...start];
  }

  hosts(user: UserId): boolean {
    return this.#hosted.has(user);
  }

  /** Pushes of before this vector were not kept for the user, whose groups were not known yet. */
  restart(user: UserId, vector: Vector): void {
    const hosted = this.#hosted.get(user);
    if (hosted) hosted.since.splice(0, vector.length, ...vector);
  }

  /** Keeps pushes for the user, who has connected, from now on. `vector`: the node's present one. */
  host(user: UserId, vector: Vector): void {
    this.#gone.delete(user);
    if (this.#hosted.has(user)) return;
    const none = { places: undefined, liveOnly: undefined, newest: undefined };
    this.#hosted.set(user, { since: [...vector], ...none });
  }

  /** The last connection of the user has gone. */
  leave(user: UserId, now: number): void {
    this.#gone.set(user, now);
    if (this.#gone.size > MAX_GONE_USERS) this.forget(now);
  }

  /** Forgets users who left too long ago, and the first to leave beyond the limit. */
  forget(now: number): void {
    for (const [user, at] of this.#gone) {
      if (now - at < GONE_USERS_KEPT_MS && this.#gone.size <= MAX_GONE_USERS) return;
      this.#gone.delete(user);
      this.#hosted.delete(user);
      this.onForget(user);
    }
  }

  /** Keeps the event's push for those of its users who are hosted. Copies the frame. */
  add(
    { partition, offset }: Pick<Recorded, 'partition' | 'offset'>,
    { to, onlyNewest, onlyLive, shows }: KeptPush,
    frame: Buffer,
  ): void {
    if (onlyLive) this.#noteLiveOnly(partition, offset, to);
    if (frame.length > this.#frames.maxBytes) {
      if (to.some((user) => this.#hosted.has(user))) this.#raiseFloor(partition, offset + 1);
      return;
    }
    const place = this.#frames.last + 1;
    let mark = onlyNewest;
    let isKept = false;
    for (const user of to) {
      const hosted = this.#hosted.get(user);
      if (!hosted) continue;
      isKept = true;
      hosted.places ??= new Deque();
      hosted.places.push(place);
      if (mark === undefined) continue;
      hosted.newest ??= new Map();
      const older = hosted.newest.get(mark);
      // The older push has the same text: keep no other copy of it.
      if (older !== undefined) mark = this.#marks[this.#frames.slotOf(older)] ?? mark;
      hosted.newest.set(mark, place);
    }
    if (!isKept) return;
    while (!this.#frames.push(frame)) this.#evict();
    const slot = this.#frames.slotOf(place);
    this.#partitions[slot] = partition;
    this.#offsets[slot] = offset;
    this.#to[slot] = to;
    this.#marks[slot] = mark;
    if (shows !== undefined) this.#noteShown(place, shows);
  }

  #noteShown(place: number, users: readonly UserId[]): void {
    this.#shown.set(place, users);
    for (const user of users) {
      const places = this.#showing.get(user);
      if (places) places.add(place);
      else this.#showing.set(user, new Set([place]));
    }
  }

  /** A user's profile has changed. Clients that missed a push that shows it read that push from the read models. */
  outdate(user: UserId): void {
    for (const place of this.#showing.get(user) ?? []) this.#passBy(place);
    this.#showing.delete(user);
  }

  #noteLiveOnly(partition: number, offset: number, to: readonly UserId[]): void {
    for (const user of to) {
      const hosted = this.#hosted.get(user);
      if (!hosted) continue;
      hosted.liveOnly ??= [];
      hosted.liveOnly[partition] = offset + 1;
    }
  }

  /** Whether the user was sent a push since the vector that a replay gives in another form. */
  hasLiveOnly(user: UserId, at: Vector): boolean {
    const bound = this.#hosted.get(user)?.liveOnly;
    return bound !== undefined && isBehind(at, bound);
  }

  /**
   * The next pushes to the user since the vector: at most `maxBytes` of frames, or one that is larger. `behind` is the
   * place of the last entry of the slice before, 0 at first; the vector is then that entry's. Of read marks only the
   * newest are given. Undefined when the vector is older than the ring, or than the time from which the user is hosted.
   */
  since(user: UserId, at: Vector, behind: number, maxBytes: number): RingSlice | undefined {
    const hosted = this.#hosted.get(user);
    if (!hosted || isBehind(at, hosted.since) || isBehind(at, this.#floor)) return undefined;
    const entries: MissedPush[] = [];
    let bytes = 0;
    for (let i = indexBehind(hosted.places, behind); ; i++) {
      const place = hosted.places?.at(i);
      if (place === undefined) return { entries, isLast: true };
      const slot = this.#frames.slotOf(place);
      const [partition, offset] = [this.#partitions[slot] ?? 0, this.#offsets[slot] ?? 0];
      const mark = this.#marks[slot];
      if (offset < (at[partition] ?? 0)) continue;
      if (mark !== undefined && hosted.newest?.get(mark) !== place) continue;
      bytes += this.#frames.lengthAt(place);
      if (bytes > maxBytes && entries.length > 0) return { entries, isLast: false };
      const readBy = mark?.slice(mark.lastIndexOf('/') + 1);
      entries.push({ partition, offset, place, frame: this.#frames.copyAt(place), readBy });
    }
  }

  /** Drops all pushes that show an erased user. Clients that missed one of them read it from the read models. */
  forgetUser(user: UserId): void {
    this.#forgetWith(user);
  }

  /** Drops all pushes that show the name of a group that has ended, as `forgetUser` does. */
  forgetRoom(roomId: RoomId): void {
    this.#forgetWith(roomId);
  }

  /** Drops all pushes that show a deleted message, as `forgetUser` does. */
  forgetMessage(messageId: string): void {
    this.#forgetWith(messageId);
  }

  /**
   * Drops all pushes with the id in their frames. A push that shows a user's name has the user's id (`User`), and one
   * that shows a text has the ids of the message and its sender (`Message`). Of the pushes found some show neither, as
   * a read mark of the user: they too are then read from the read models.
   */
  #forgetWith(id: string): void {
    for (const place of this.#frames.eraseWith(id)) this.#passBy(place);
  }

  /** From now on only vectors behind the push get an answer. The place stays in the lists of its users. */
  #passBy(place: number): void {
    const slot = this.#frames.slotOf(place);
    const [partition, offset] = [this.#partitions[slot] ?? 0, this.#offsets[slot] ?? 0];
    for (const user of this.#to[slot] ?? nobody) {
      const hosted = this.#hosted.get(user);
      if (hosted) hosted.since[partition] = Math.max(offset + 1, hosted.since[partition] ?? 0);
    }
  }

  #evict(): void {
    const place = this.#frames.first;
    const slot = this.#frames.slotOf(place);
    const mark = this.#marks[slot];
    this.#raiseFloor(this.#partitions[slot] ?? 0, (this.#offsets[slot] ?? 0) + 1);
    for (const user of this.#to[slot] ?? nobody) {
      // The user may not have been hosted then. If they have the push, it is their first.
      const hosted = this.#hosted.get(user);
      if (hosted?.places?.first !== place) continue;
      hosted.places.shift();
      if (hosted.places.length === 0) hosted.places = undefined;
      if (mark !== undefined && hosted.newest?.get(mark) === place) hosted.newest.delete(mark);
    }
    this.#to[slot] = nobody;
    this.#marks[slot] = undefined;
    if (this.#shown.size > 0) this.#forgetShown(place);
    this.#frames.shift();
  }

  #forgetShown(place: number): void {
    for (const user of this.#shown.get(place) ?? nobody) {
      const places = this.#showing.get(user);
      places?.delete(place);
      if (places?.size === 0) this.#showing.delete(user);
    }
    this.#shown.delete(place);
  }

  #raiseFloor(partition: number, offset: number): void {
    this.#floor[partition] = Math.max(offset, this.#floor[partition] ?? 0);
  }
}

/** The index of the first place above `place`. */
function indexBehind(places: Deque<number> | undefined, place: number): number {
  if (!places) return 0;
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((places.at(middle) ?? 0) > place) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Whether the vector lacks something that the bound has. */
export const isBehind = (at: Vector, bound: Vector): boolean =>
  bound.some((size, partition) => (at[partition] ?? 0) < size);
