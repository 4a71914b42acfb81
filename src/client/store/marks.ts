import type { Client } from '../types.js';
import { mark } from './folds.js';
import type { Observable } from './observable.js';
import { roomOf, type State, withRoom } from './state.js';

/**
 * Tells the server how far this user has read: shown at once, said in the background, one word a room
 * at a time, so that reading fast says the last mark and not each. A reconnect says it again.
 */
export class Marks {
  readonly #busy = new Set<string>();

  constructor(
    private readonly client: Pick<Client, 'request'>,
    private readonly store: Observable<State>,
  ) {}

  /** A wish beyond the newest message is one for the newest: the server would refuse it. */
  wish(roomId: string, upTo: number): void {
    const { known, wish } = roomOf(this.store.state, roomId);
    const reachable = Math.max(wish, Math.min(upTo, known.at(-1)?.seq ?? 0));
    this.store.apply((state) => withRoom(state, roomId, { wish: reachable }));
    if (!this.#busy.has(roomId)) void this.#say(roomId);
  }

  async #say(roomId: string): Promise<void> {
    this.#busy.add(roomId);
    try {
      for (let wish = this.#unsaid(roomId); wish !== undefined; wish = this.#unsaid(roomId)) {
        const asked = { roomId, upTo: wish };
        // Only one of a room waits for a connection, however long that takes.
        const answer = await this.client.request('read messages', asked, { timeoutMs: Infinity });
        this.store.apply((state) => mark(state, answer.roomId, answer.userId, answer.upTo));
      }
    } catch {
      // Refused, as in a room that is no more, or the client has ended: what the server knows is shown.
      this.store.apply((state) => withRoom(state, roomId, { wish: 0 }));
    } finally {
      this.#busy.delete(roomId);
    }
  }

  #unsaid(roomId: string): number | undefined {
    const { me } = this.store.state;
    const { marks, wish } = roomOf(this.store.state, roomId);
    return wish > (marks.get(me?.userId ?? '') ?? 0) ? wish : undefined;
  }
}
