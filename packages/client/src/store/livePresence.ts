import { FOREVER } from '../options.js';
import type { After, Client, PushData, User } from '../types.js';
import { applyUser } from './chatFolds.js';
import { applyTyping } from './messageFolds.js';
import { namedBy, otherOf } from './snapshot.js';
import { type Observable, roomOf, type State } from './storeState.js';

type Asker = Pick<Client, 'request'>;

/** Asks for what is not pushed: the presence of people just met, and who somebody is that no list names. */
export interface People {
  /** Asks for the presence of a room's other member, unless it is known; for people just met. */
  lookUpPresence(roomId: string): void;
  /** Asks for the senders of a room's messages and for whom its happenings name, unless they are known. */
  lookUpSenders(roomId: string): void;
}

export function createPeople(
  client: Asker,
  store: Observable<State>,
  fetchUser: (userId: string) => Promise<User>,
): People {
  /** Users who were asked for, so that each is asked for once. */
  const asked = new Set<string>();
  /** One is asked for at a time. */
  let last = Promise.resolve();
  const fetch = async (userId: string): Promise<void> => {
    try {
      const user = await fetchUser(userId);
      store.apply((state) => applyUser(state, user));
    } catch {
      asked.delete(userId);
    }
  };
  return {
    lookUpPresence(roomId) {
      const { state } = store;
      const other = otherOf(state, roomOf(state, roomId));
      // Before the first message they are no contact: it stays unknown.
      if (other && !other.erased && !state.presence.has(other.userId))
        client.request('get online info', { recipientId: other.userId }).catch(() => {});
    },
    lookUpSenders(roomId) {
      const { state } = store;
      const { known, happenings } = roomOf(state, roomId);
      for (const userId of new Set([
        ...known.map(({ senderId }) => senderId),
        ...happenings.flatMap(namedBy),
      ])) {
        if (state.users.has(userId) || asked.has(userId)) continue;
        asked.add(userId);
        last = last.then(() => fetch(userId));
      }
    },
  };
}

/** The server ends typing 6 s after the last request; this is for a push that was lost. */
const TYPING_ENDS_MS = 8000;
const TYPING_REPEAT_MS = 3000;

/** Shows who is typing, and tells the server when this user is. */
export interface Typing {
  receive(push: PushData<'notify typing'>): void;
  /** Called as often as the user types; sends at most every 3 s. */
  send(roomId: string, isTyping: boolean): void;
  /** To be called when this user sends a message, which ends typing at the server too. */
  forget(roomId: string): void;
  close(): void;
}

export function createTyping(
  client: Asker,
  store: Observable<State>,
  { after, now }: { readonly after: After; readonly now: () => number },
): Typing {
  /** Cancels timers, by room and user. */
  const ends = new Map<string, () => void>();
  const sentAt = new Map<string, number>();
  const receive: Typing['receive'] = (push) => {
    const { roomId, userId, isTyping } = push;
    const key = roomId + userId;
    ends.get(key)?.();
    ends.delete(key);
    store.apply((state) => applyTyping(state, roomId, userId, isTyping));
    const end = (): void => receive({ ...push, isTyping: false });
    if (isTyping) ends.set(key, after(TYPING_ENDS_MS, end));
  };
  return {
    receive,
    send(roomId, isTyping) {
      const saidAt = sentAt.get(roomId);
      if (isTyping ? saidAt !== undefined && now() - saidAt < TYPING_REPEAT_MS : saidAt === undefined) return;
      if (!('user' in store.state.connection)) return;
      if (isTyping) sentAt.set(roomId, now());
      else sentAt.delete(roomId);
      // Sent now or never, as it would not be true later; that it may fail does not matter.
      client.request('notify typing', { roomId, isTyping }, { timeoutMs: TYPING_REPEAT_MS }).catch(() => {});
    },
    forget: (roomId) => sentAt.delete(roomId),
    close() {
      for (const end of ends.values()) end();
      ends.clear();
    },
  };
}

/** Tells the server whether this device is in use; every connection begins as active. */
export interface Activity {
  set(isActive: boolean): void;
  /** A new connection begins as active. */
  onIdentified(): void;
  onLost(): void;
}

export function createActivity(client: Asker): Activity {
  let wanted = true;
  /** The activity that was last reported on the present connection; undefined: there is none. */
  let reported: boolean | undefined;
  let isBusy = false;
  const send = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    try {
      while (reported === !wanted) {
        const isActive = wanted;
        await client.request(isActive ? 'active app' : 'background app', {}, FOREVER);
        reported = isActive;
      }
    } catch {
      // The client has ended.
    }
    isBusy = false;
  };
  return {
    set(isActive) {
      wanted = isActive;
      void send();
    },
    // A request under way is repeated on the new connection, and then sets `reported`.
    onIdentified() {
      reported = true;
      void send();
    },
    onLost() {
      reported = undefined;
    },
  };
}
