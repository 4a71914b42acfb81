import type { RoomId, UserId } from '../events/ids.js';

/** Without another word from them, somebody who types has stopped after this. */
const TYPING_MS = 6000;
/** People typing at once on one node; more are not shown. */
const MAX_TYPING = 100_000;

/** Tells the people in `to` that the user types in the room, or does so no more. */
type PushTyping = (to: readonly UserId[], room: RoomId, user: UserId, isTyping: boolean) => void;

/** Who types where: never in the log, forgotten after 6 s. */
export class Typing {
  readonly #push: PushTyping;
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(push: PushTyping) {
    this.#push = push;
  }

  notify(to: readonly UserId[], room: RoomId, user: UserId, isTyping: boolean): void {
    const key = `${room}/${user}`;
    this.#forget(key);
    if (isTyping) {
      if (this.#timers.size >= MAX_TYPING) return;
      const timer = setTimeout(() => {
        this.#timers.delete(key);
        this.#push(to, room, user, false);
      }, TYPING_MS);
      this.#timers.set(key, timer);
    }
    this.#push(to, room, user, isTyping);
  }

  /** A message has come, which says the same. */
  sent(room: RoomId, user: UserId): void {
    if (this.#timers.size > 0) this.#forget(`${room}/${user}`);
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
