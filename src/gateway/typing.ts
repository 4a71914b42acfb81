import type { Timer } from '../base/clock.js';
import type { RoomId, UserId } from '../domain/ids.js';
import { SHOWN_TYPING } from '../domain/limits.js';

/** Without a further note from the client, typing ends after this time. A number of the contract. */
const TYPING_MS = 6000;
/** Users typing at once on one node; more are not shown. */
const MAX_TYPING_USERS = 100_000;

/** The users whom a note is for, or all other members of a group. */
export type TypingAudience = readonly UserId[] | { readonly group: RoomId };

/** A user starts or stops typing in a room; for the users in `to`. */
export interface TypingNote {
  readonly to: TypingAudience;
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly isTyping: boolean;
}

export interface TypingDeps {
  /** Pushes to the users of `to` who are connected here. */
  readonly push: (note: TypingNote) => void;
  /** Sends the note to the other nodes. */
  readonly tell: (note: TypingNote) => void;
  /** Whether any of the users is connected here. */
  readonly isAnyHere: (users: TypingAudience) => boolean;
  readonly setTimer: Timer;
}

/**
 * Shows the members of a room who is typing there. Typing is not in the log and ends after `TYPING_MS`. Each node
 * forwards the notes of its clients to the other nodes. Each node ends typing by its own timer or by the message, so
 * that no client gets the end twice. Of more than 8 who type in a group the others are not shown.
 */
export class Typing {
  readonly #deps: TypingDeps;
  /** Of those who are typing, by room and user: the function that cancels the timer. */
  readonly timers = new Map<string, () => void>();
  /** By room, how many of these are typing there. */
  readonly #counts = new Map<RoomId, number>();

  constructor(deps: TypingDeps) {
    this.#deps = deps;
  }

  /** Shows and forwards that a user who is connected here starts or stops typing. */
  notify(to: TypingAudience, roomId: RoomId, userId: UserId, isTyping: boolean): void {
    const note = { to, roomId, userId, isTyping };
    this.#deps.tell(note);
    this.receive(note);
  }

  /** Shows that a user on any node starts or stops typing. */
  receive(note: TypingNote): void {
    if (!this.#deps.isAnyHere(note.to)) return;
    const { roomId, userId } = note;
    const wasShown = this.#forget(roomId, userId);
    const isGroup = 'group' in note.to;
    if (isGroup && !note.isTyping && !wasShown) return; // They were too many, or it has ended already.
    if (note.isTyping) {
      const count = this.#counts.get(roomId) ?? 0;
      if (this.timers.size >= MAX_TYPING_USERS || count >= SHOWN_TYPING) return;
      const cancel = this.#deps.setTimer(() => {
        this.#forget(roomId, userId);
        this.#deps.push({ ...note, isTyping: false });
      }, TYPING_MS);
      this.timers.set(keyOf(roomId, userId), cancel);
      this.#counts.set(roomId, count + 1);
    }
    this.#deps.push(note);
  }

  /** The user's message has come, which says that they stopped. */
  endByMessage(room: RoomId, user: UserId): void {
    this.#forget(room, user);
  }

  stop(): void {
    for (const cancel of this.timers.values()) cancel();
    this.timers.clear();
    this.#counts.clear();
  }

  /** Returns whether the user was typing there. */
  #forget(room: RoomId, user: UserId): boolean {
    const key = keyOf(room, user);
    const cancel = this.timers.get(key);
    if (!cancel) return false;
    cancel();
    this.timers.delete(key);
    const count = (this.#counts.get(room) ?? 1) - 1;
    if (count === 0) this.#counts.delete(room);
    else this.#counts.set(room, count);
    return true;
  }
}

const keyOf = (room: RoomId, user: UserId): string => `${room}/${user}`;
