import type { After, Client, PushData, RequestAnswer } from '../types.js';
import { presence, presenceOf, typing } from './applyPush.js';
import type { Observable } from './observable.js';
import { otherOf } from './snapshot.js';
import { roomOf, type State } from './storeState.js';

/** Who is there: what is pushed, and what has to be asked for because nobody pushed it. */
export class Presences {
  constructor(
    private readonly client: Pick<Client, 'request'>,
    private readonly store: Observable<State>,
  ) {}

  /** What the server says of somebody. */
  heard({ recipientId, isOnline, lastSeen }: RequestAnswer<'get online info'>): void {
    this.store.apply((state) => presence(state, recipientId, presenceOf(isOnline, lastSeen)));
  }

  /** Asks for the other member of a room, of whom nothing was told yet: as of one just met. */
  look(roomId: string): void {
    const { state } = this.store;
    const other = otherOf(state, roomOf(state, roomId));
    if (other === undefined || other.erased || state.presence.has(other.userId)) return;
    this.client.request('get online info', { recipientId: other.userId }).then(
      (answer) => this.heard(answer),
      // No contact before the first message: it stays unknown.
      () => {},
    );
  }
}

/** The server ends it 6 s after it was last said; that word may be lost. */
const ENDS_AFTER_MS = 8000;
const SAY_EVERY_MS = 3000;

/** Who types: others, until they stop or are heard of no more, and this user, told now and then. */
export class Typing {
  /** By room: a room has one other member. */
  readonly #ends = new Map<string, () => void>();
  readonly #saidAt = new Map<string, number>();

  constructor(
    private readonly client: Pick<Client, 'request'>,
    private readonly store: Observable<State>,
    private readonly options: { readonly after: After; readonly now: () => number },
  ) {}

  /** Another's word. */
  heard({ roomId, userId, isTyping }: PushData<'notify typing'>): void {
    this.#ends.get(roomId)?.();
    this.#ends.delete(roomId);
    this.store.apply((state) => typing(state, roomId, userId, isTyping));
    if (!isTyping) return;
    const end = this.options.after(ENDS_AFTER_MS, () => {
      this.#ends.delete(roomId);
      this.store.apply((state) => typing(state, roomId, userId, false));
    });
    this.#ends.set(roomId, end);
  }

  /** This user's own. */
  say(roomId: string, isTyping: boolean): void {
    const now = this.options.now();
    const saidAt = this.#saidAt.get(roomId);
    if (isTyping ? saidAt !== undefined && now - saidAt < SAY_EVERY_MS : saidAt === undefined) return;
    const { connection } = this.store.state;
    if (connection.state !== 'live' && connection.state !== 'replaying') return;
    if (isTyping) this.#saidAt.set(roomId, now);
    else this.#saidAt.delete(roomId);
    // Later it would not be true: it is said now or never, and to whom it cannot be said does not matter.
    this.client.request('notify typing', { roomId, isTyping }, { timeoutMs: SAY_EVERY_MS }).catch(() => {});
  }

  /** A message of this user's ends it, at the server too. */
  sent(roomId: string): void {
    this.#saidAt.delete(roomId);
  }

  /** Ends what runs. */
  close(): void {
    for (const end of this.#ends.values()) end();
    this.#ends.clear();
  }
}

/** Tells the server whether somebody looks at this device; every connection begins as active. */
export class Activity {
  #wish = true;
  /** What the present connection counts as. */
  #said = true;
  #isIdentified = false;
  #isBusy = false;

  constructor(private readonly client: Pick<Client, 'request'>) {}

  set(isActive: boolean): void {
    this.#wish = isActive;
    void this.#say();
  }

  /** A connection has identified. What is under way is said to it by the client, and settles what was said. */
  identified(): void {
    this.#isIdentified = true;
    this.#said = true;
    void this.#say();
  }

  /** There is no connection to say it to. */
  lost(): void {
    this.#isIdentified = false;
  }

  async #say(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.#isIdentified && this.#said !== this.#wish) {
        const wish = this.#wish;
        await this.client.request(wish ? 'active app' : 'background app', {}, { timeoutMs: Infinity });
        this.#said = wish;
      }
    } catch {
      // The client has ended, and its presence with it.
    } finally {
      this.#isBusy = false;
    }
  }
}
