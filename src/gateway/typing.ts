import type { Timer } from '../base/clock.js';
import type { RoomId, UserId } from '../domain/ids.js';

/** Without a further note from the client, typing ends after this time. A number of the contract. */
const TYPING_MS = 6000;
/** Users typing at once on one node; more are not shown. */
const MAX_TYPING_USERS = 100_000;

/** A user starts or stops typing in a room; for the users in `to`. */
export interface TypingNote {
  readonly to: readonly UserId[];
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
  readonly isAnyHere: (users: readonly UserId[]) => boolean;
  readonly setTimer: Timer;
}

/**
 * Shows the members of a room who is typing there. Typing is not in the log and ends after `TYPING_MS`. Each node
 * forwards the notes of its clients to the other nodes. Each node ends typing by its own timer or by the message, so
 * that no client gets the end twice.
 */
export class Typing {
  readonly #deps: TypingDeps;
  /** Of those who are typing, by room and user: the function that cancels the timer. */
  readonly timers = new Map<string, () => void>();

  constructor(deps: TypingDeps) {
    this.#deps = deps;
  }

  /** Shows and forwards that a user who is connected here starts or stops typing. */
  notify(to: readonly UserId[], roomId: RoomId, userId: UserId, isTyping: boolean): void {
    const note = { to, roomId, userId, isTyping };
    this.#deps.tell(note);
    this.receive(note);
  }

  /** Shows that a user on any node starts or stops typing. */
  receive(note: TypingNote): void {
    if (!this.#deps.isAnyHere(note.to)) return;
    const key = keyOf(note.roomId, note.userId);
    this.#forget(key);
    if (note.isTyping) {
      if (this.timers.size >= MAX_TYPING_USERS) return;
      const cancel = this.#deps.setTimer(() => {
        this.timers.delete(key);
        this.#deps.push({ ...note, isTyping: false });
      }, TYPING_MS);
      this.timers.set(key, cancel);
    }
    this.#deps.push(note);
  }

  /** The user's message has come, which says that they stopped. */
  endByMessage(room: RoomId, user: UserId): void {
    this.#forget(keyOf(room, user));
  }

  stop(): void {
    for (const cancel of this.timers.values()) cancel();
    this.timers.clear();
  }

  #forget(key: string): void {
    this.timers.get(key)?.();
    this.timers.delete(key);
  }
}

const keyOf = (room: RoomId, user: UserId): string => `${room}/${user}`;
