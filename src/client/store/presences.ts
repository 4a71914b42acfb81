import type { Client, RequestAnswer } from '../types.js';
import type { Observable } from './observable.js';
import { presence, presenceOf } from './passing.js';
import { otherOf } from './snapshot.js';
import { roomOf, type State } from './state.js';

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
