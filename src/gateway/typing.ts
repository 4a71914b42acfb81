import type { RoomId, UserId } from '../domain/ids.js';
import { TYPING_MS } from '../domain/limits.js';

/** People typing at once on one node; more are not shown. */
const MAX_TYPING = 100_000;

/** That a user types in a room, or does so no more: for the people in `to`. */
export interface TypingNote {
  readonly to: readonly UserId[];
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly isTyping: boolean;
}

export interface TypingDeps {
  /** Tells those of them who are connected here. */
  readonly push: (note: TypingNote) => void;
  /** Tells the other nodes. */
  readonly tell: (note: TypingNote) => void;
  /** Whether any of them is connected here. */
  readonly isHere: (users: readonly UserId[]) => boolean;
}

/**
 * Who types where: never in the log, forgotten after 6 s. Nodes tell each other what they are told by clients; each
 * ends by its own timer, and by the message, which reaches it as it reaches the members: so nobody is told twice.
 */
export class Typing {
  readonly #deps: TypingDeps;
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(deps: TypingDeps) {
    this.#deps = deps;
  }

  /** Somebody who is connected here types, or stops. */
  notify(to: readonly UserId[], roomId: RoomId, userId: UserId, isTyping: boolean): void {
    const note = { to, roomId, userId, isTyping };
    this.#deps.tell(note);
    this.hear(note);
  }

  /** The same of somebody who is connected elsewhere. */
  hear(note: TypingNote): void {
    if (!this.#deps.isHere(note.to)) return;
    const key = keyOf(note.roomId, note.userId);
    this.#forget(key);
    if (note.isTyping) {
      if (this.#timers.size >= MAX_TYPING) return;
      const timer = setTimeout(() => {
        this.#timers.delete(key);
        this.#deps.push({ ...note, isTyping: false });
      }, TYPING_MS);
      this.#timers.set(key, timer);
    }
    this.#deps.push(note);
  }

  /** A message has come, which says the same. */
  sent(room: RoomId, user: UserId): void {
    if (this.#timers.size > 0) this.#forget(keyOf(room, user));
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #forget(key: string): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
  }
}

const keyOf = (room: RoomId, user: UserId): string => `${room}/${user}`;
