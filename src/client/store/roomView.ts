import type { Message } from '../types.js';
import { unbroken } from './history.js';
import { myMark, otherOf } from './snapshot.js';
import { kept, type RoomState, roomOf, type State } from './state.js';
import type { Entry, HistoryState, RoomView } from './types.js';

const LOADING: HistoryState = { state: 'loading' };
const MORE: HistoryState = { state: 'more' };
const WHOLE: HistoryState = { state: 'whole' };

/** Makes views of one room; whatever is as in the last one is the same object. */
export class RoomViews {
  readonly #roomId: string;
  readonly #read = new Stored(true);
  readonly #unread = new Stored(false);
  #state: State | undefined;
  #last: RoomView | undefined;

  constructor(roomId: string) {
    this.#roomId = roomId;
  }

  of(state: State): RoomView {
    if (this.#last === undefined || state !== this.#state) this.#last = this.#next(state, this.#last);
    this.#state = state;
    return this.#last;
  }

  #next(state: State, last: RoomView | undefined): RoomView {
    const room = roomOf(state, this.#roomId);
    const other = otherOf(state, room);
    const otherMark = room.marks.get(other?.userId ?? '') ?? 0;
    const messages = unbroken(room.known);
    const stored = messages.map((message) =>
      (message.seq <= otherMark ? this.#read : this.#unread).entry(message),
    );
    const unsent = [...state.unsent.values()].flatMap(({ roomId, entry }) =>
      roomId === room.roomId ? [entry] : [],
    );
    const history = historyOf(room, messages[0]);
    return kept(last, {
      roomId: room.roomId,
      other,
      entries: kept(last?.entries, [...stored, ...unsent]),
      history: kept(last?.history, history),
      myMark: myMark(state, room),
      otherMark,
    });
  }
}

function historyOf({ pages }: RoomState, oldest: Message | undefined): HistoryState {
  if (oldest?.seq === 1) return WHOLE;
  if (pages === 'none' || pages === 'loading') return LOADING;
  if (pages !== 'some') return { state: 'failed', error: pages };
  return oldest === undefined ? WHOLE : MORE;
}

/** Entries of stored messages, one for each message. */
class Stored {
  readonly #entries = new WeakMap<Message, Entry>();
  readonly #isRead: boolean;

  constructor(isRead: boolean) {
    this.#isRead = isRead;
  }

  entry(message: Message): Entry {
    const known = this.#entries.get(message);
    if (known) return known;
    const entry: Entry = { state: 'stored', message, isRead: this.#isRead };
    this.#entries.set(message, entry);
    return entry;
  }
}
