import type { After, Client, PushData, User } from '../types.js';
import { applyUser } from './chatFolds.js';
import { applyTyping } from './messageFolds.js';
import { otherOf } from './snapshot.js';
import { type Observable, roomOf, type State } from './storeState.js';

/** Asks for what is not pushed: the presence of people just met, and who somebody is that no list names. */
export class People {
  /** Users who were asked for, so that each is asked for once. */
  readonly #asked = new Set<string>();
  /** One is asked for at a time. */
  #last: Promise<void> = Promise.resolve();

  constructor(
    private readonly client: Pick<Client, 'request'>,
    private readonly store: Observable<State>,
    private readonly fetchUser: (userId: string) => Promise<User>,
  ) {}

  /** Asks for the presence of a room's other member, unless it is known; for people just met. */
  lookUpPresence(roomId: string): void {
    const { state } = this.store;
    const other = otherOf(state, roomOf(state, roomId));
    if (other === undefined || other.erased || state.presence.has(other.userId)) return;
    // Before the first message they are no contact: it stays unknown.
    this.client.request('get online info', { recipientId: other.userId }).catch(() => {});
  }

  /** Asks for the senders of a room's messages, unless they are known. */
  lookUpSenders(roomId: string): void {
    const { state } = this.store;
    for (const { senderId } of roomOf(state, roomId).known) {
      if (state.users.has(senderId) || this.#asked.has(senderId)) continue;
      this.#asked.add(senderId);
      this.#last = this.#last.then(() => this.#fetch(senderId));
    }
  }

  async #fetch(userId: string): Promise<void> {
    try {
      const user = await this.fetchUser(userId);
      this.store.apply((state) => applyUser(state, user));
    } catch {
      this.#asked.delete(userId);
    }
  }
}

/** The server ends typing 6 s after the last request; this is for a push that was lost. */
const TYPING_ENDS_MS = 8000;
const TYPING_REPEAT_MS = 3000;

/** Shows who is typing, and tells the server when this user is. */
export class Typing {
  /** Cancels timers, by room and user. */
  readonly #ends = new Map<string, () => void>();
  readonly #sentAt = new Map<string, number>();

  constructor(
    private readonly client: Pick<Client, 'request'>,
    private readonly store: Observable<State>,
    private readonly options: { readonly after: After; readonly now: () => number },
  ) {}

  receive({ roomId, userId, isTyping }: PushData<'notify typing'>): void {
    const key = `${roomId} ${userId}`;
    this.#ends.get(key)?.();
    this.#ends.delete(key);
    this.store.apply((state) => applyTyping(state, roomId, userId, isTyping));
    if (!isTyping) return;
    const end = this.options.after(TYPING_ENDS_MS, () => {
      this.#ends.delete(key);
      this.store.apply((state) => applyTyping(state, roomId, userId, false));
    });
    this.#ends.set(key, end);
  }

  /** Called as often as the user types; sends at most every 3 s. */
  send(roomId: string, isTyping: boolean): void {
    const now = this.options.now();
    const saidAt = this.#sentAt.get(roomId);
    if (isTyping ? saidAt !== undefined && now - saidAt < TYPING_REPEAT_MS : saidAt === undefined) return;
    const { connection } = this.store.state;
    if (connection.state !== 'live' && connection.state !== 'replaying') return;
    if (isTyping) this.#sentAt.set(roomId, now);
    else this.#sentAt.delete(roomId);
    // Sent now or never, as it would not be true later; that it may fail does not matter.
    this.client
      .request('notify typing', { roomId, isTyping }, { timeoutMs: TYPING_REPEAT_MS })
      .catch(() => {});
  }

  /** To be called when this user sends a message, which ends typing at the server too. */
  forget(roomId: string): void {
    this.#sentAt.delete(roomId);
  }

  close(): void {
    for (const end of this.#ends.values()) end();
    this.#ends.clear();
  }
}

/** Tells the server whether this device is in use; every connection begins as active. */
export class Activity {
  #wanted = true;
  /** The activity that was last reported on the present connection. */
  #reported = true;
  #isIdentified = false;
  #isBusy = false;

  constructor(private readonly client: Pick<Client, 'request'>) {}

  set(isActive: boolean): void {
    this.#wanted = isActive;
    void this.#send();
  }

  /** A new connection begins as active. A request under way is repeated on it, and then sets `#reported`. */
  onIdentified(): void {
    this.#isIdentified = true;
    this.#reported = true;
    void this.#send();
  }

  onLost(): void {
    this.#isIdentified = false;
  }

  async #send(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.#isIdentified && this.#reported !== this.#wanted) {
        const isActive = this.#wanted;
        await this.client.request(isActive ? 'active app' : 'background app', {}, { timeoutMs: Infinity });
        this.#reported = isActive;
      }
    } catch {
      // The client has ended.
    } finally {
      this.#isBusy = false;
    }
  }
}
