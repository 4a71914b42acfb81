import { createClient } from '../client.js';
import { currentToken, withDefaults } from '../options.js';
import {
  type Client,
  ClientError,
  type ClientState,
  type Message,
  toClientError,
  type User,
} from '../types.js';
import {
  applyChat,
  applyConnection,
  applyDeletion,
  applyErasure,
  applyFriend,
  applyMark,
  applyPushedMessage,
  resetToPresent,
} from './folds.js';
import { Activity, Presences, Typing } from './livePresence.js';
import { Lists, OpenRoom } from './roomStore.js';
import { Marks, Sending } from './sending.js';
import { Snapshots } from './snapshot.js';
import { EMPTY_STATE, Observable, roomOf, type State } from './storeState.js';
import type { ChatView, Room, Snapshot, Store, StoreOptions } from './storeTypes.js';

/** Makes a store for one signed-in device; it connects on `start`. Throws a `TypeError` if there is no WebSocket. */
export function createStore(options: StoreOptions): Store {
  return new ClientStore(options);
}

class ClientStore implements Store {
  readonly #options: StoreOptions;
  readonly #client: Client;
  readonly #store: Observable<State>;
  readonly #snapshot;
  readonly #lists: Lists;
  readonly #sending: Sending;
  readonly #marks: Marks;
  readonly #typing: Typing;
  readonly #presences: Presences;
  readonly #activity: Activity;
  readonly #rooms = new Map<string, OpenRoom>();

  constructor(options: StoreOptions) {
    this.#options = options;
    const { onError, after } = withDefaults(options);
    const { outbox, newId, now = Date.now } = options;
    const client = createClient(options);
    const store = new Observable(EMPTY_STATE, onError);
    const snapshots = new Snapshots();
    this.#client = client;
    this.#store = store;
    this.#snapshot = store.watch((state) => snapshots.of(state));
    this.#lists = new Lists({ client, store, onError });
    this.#presences = new Presences(client, store);
    const onStored = ({ roomId }: Message): void => this.#presences.lookUp(roomId);
    this.#sending = new Sending({
      ...{ client, store, onError, onStored },
      outbox: { now, ...(outbox ? { store: outbox } : {}), ...(newId ? { newId } : {}) },
    });
    this.#marks = new Marks(client, store);
    this.#typing = new Typing(client, store, { after, now });
    this.#activity = new Activity(client);
    this.#listen();
  }

  get = (): Snapshot => this.#snapshot.get();
  subscribe = (listener: () => void): (() => void) => this.#snapshot.subscribe(listener);

  start(): void {
    if (this.#client.state.state !== 'new') return;
    this.#sending.start();
    this.#client.start();
  }

  loaded(): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const { isLoaded, connection } = this.get();
        if (isLoaded) resolve();
        else if (connection.state === 'ended') reject(new ClientError({ code: connection.why }));
        else return;
        stop();
      };
      const stop = this.subscribe(look);
      look();
    });
  }

  retry(): void {
    this.#client.retry();
  }

  close(): void {
    this.#client.close();
    this.#typing.close();
  }

  openRoom(roomId: string): Room {
    const known = this.#rooms.get(roomId);
    if (known) return known;
    const parts = {
      client: this.#client,
      store: this.#store,
      sending: this.#sending,
      marks: this.#marks,
      typing: this.#typing,
    };
    const room = new OpenRoom(roomId, parts, () => this.#rooms.delete(roomId));
    this.#rooms.set(roomId, room);
    this.#presences.lookUp(roomId);
    return room;
  }

  async addFriend(userId: string): Promise<User> {
    const answer = await this.#client.request('add friend', { friendId: userId });
    this.#store.apply((state) => applyFriend(state, answer.friend));
    return answer.friend;
  }

  async openChat(userId: string): Promise<ChatView> {
    const { room } = await this.#client.request('init chat', { friendId: userId });
    this.#store.apply((state) => applyChat(state, room));
    this.#presences.lookUp(room.roomId);
    const view = this.get().chats.find(({ roomId }) => roomId === room.roomId);
    if (!view)
      throw new ClientError({
        code: 'internal',
        message: 'the server answered with a chat that has no other member',
      });
    return view;
  }

  async searchPeople(q: string): Promise<readonly User[]> {
    const { rest, token } = this.#options;
    // The server leaves friends out, and may not know the newest of them yet.
    const present = await currentToken(token).catch((error: unknown) => {
      throw toClientError(error, 'disconnected');
    });
    const found = await rest.search(present, q);
    const { friends, users } = this.#store.state;
    const others = found.filter(({ userId }) => !friends.has(userId));
    return matching([...[...friends].flatMap((userId) => users.get(userId) ?? []), ...others], q);
  }

  moreChats(): Promise<void> {
    return this.#lists.fetchOlder();
  }

  setActive(isActive: boolean): void {
    this.#activity.set(isActive);
  }

  #listen(): void {
    const client = this.#client;
    const store = this.#store;
    client.onState((state) => this.#followConnection(state));
    client.on('add friend', ({ friend }) => store.apply((state) => applyFriend(state, friend)));
    client.on('init chat', ({ room }) => {
      store.apply((state) => applyChat(state, room));
      this.#presences.lookUp(room.roomId);
    });
    client.on('send message', ({ message }) => {
      store.apply((state) => applyPushedMessage(state, message));
      this.#rooms.get(message.roomId)?.fillGap();
      // The chat is not in the fetched pages, but is now the newest. Fetch the first page again.
      const { hasChats } = store.state;
      if (hasChats && roomOf(store.state, message.roomId).chat === undefined) void this.#lists.refresh();
    });
    client.on('delete message', (push) => store.apply((state) => applyDeletion(state, push)));
    client.on('read messages', ({ roomId, userId, upTo }) =>
      store.apply((state) => applyMark(state, roomId, userId, upTo)),
    );
    client.on('notify typing', (push) => this.#typing.receive(push));
    client.on('get online info', (push) => this.#presences.receive(push));
    client.on('erase user', ({ userId }) => store.apply((state) => applyErasure(state, userId)));
  }

  #followConnection(state: ClientState): void {
    const before = this.#store.state.connection.state;
    this.#store.apply((known) => applyConnection(known, state));
    if (state.state === 'waiting') this.#activity.onLost();
    if (state.state === 'replaying' || (state.state === 'live' && before !== 'replaying')) {
      this.#activity.onIdentified();
    }
    if (state.state !== 'live') return;
    if (!state.resumed) {
      this.#store.apply(resetToPresent);
      for (const room of this.#rooms.values()) room.reload();
    }
    for (const room of this.#rooms.values()) room.retryFailedPage();
    // Presence is not replayed: changes while disconnected were not pushed.
    void this.#lists.refresh().then(() => {
      for (const room of this.#rooms.values()) void room.fetchChat();
    });
  }
}

/** The users whose name contains the text: exact matches, then those that begin with it, then the rest. */
function matching(users: readonly User[], q: string): User[] {
  const wanted = q.toLowerCase();
  const placeOf = ({ username }: User): number => username?.toLowerCase().indexOf(wanted) ?? -1;
  const rankOf = (user: User): number =>
    user.username?.length === wanted.length ? 0 : placeOf(user) === 0 ? 1 : 2;
  return users.filter((user) => placeOf(user) >= 0).sort((a, b) => rankOf(a) - rankOf(b));
}
