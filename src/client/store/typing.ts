import type { After, Client, PushData } from '../types.js';
import type { Observable } from './observable.js';
import { typing } from './passing.js';
import type { State } from './state.js';

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
