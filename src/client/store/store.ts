import { createClient } from '../client.js';
import { ClientError } from '../clientErrors.js';
import { withDefaults } from '../options.js';
import type { Client, ClientState, Message, User } from '../types.js';
import { anew, connection, pushed } from './applyPush.js';
import { chat, erased, friend, mark } from './folds.js';
import { Lists } from './lists.js';
import { Activity, Presences, Typing } from './livePresence.js';
import { Observable } from './observable.js';
import { OpenRoom } from './roomStore.js';
import { Marks, Sending } from './sending.js';
import { Snapshots } from './snapshot.js';
import { nothing, roomOf, type State } from './storeState.js';
import type { ChatView, Room, Snapshot, Store, StoreOptions } from './storeTypes.js';

/**
 * A store for one signed-in device; nothing happens before its `start`. Throws a `TypeError` where
 * there is no WebSocket to be had.
 */
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
  /** Of the newest friendship made here: a search from that moment on leaves them out. */
  #revision: string | undefined;

  constructor(options: StoreOptions) {
    this.#options = options;
    const { onError, after, random, backoff } = withDefaults(options);
    const { rest, token, outbox, newId, now = Date.now } = options;
    const client = createClient(options);
    const store = new Observable(nothing, onError);
    const snapshots = new Snapshots();
    this.#client = client;
    this.#store = store;
    this.#snapshot = store.watch((state) => snapshots.of(state));
    this.#lists = new Lists({ client, rest, token, store, after, random, backoff, onError });
    this.#presences = new Presences(client, store);
    const onStored = ({ roomId }: Message): void => this.#presences.look(roomId);
    this.#sending = new Sending({ client, store, outbox, newId, now, onError, onStored });
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

  retry(): void {
    this.#client.retry();
  }

  close(): void {
    this.#client.close();
    this.#lists.close();
    this.#typing.close();
  }

  openRoom(roomId: string): Room {
    const known = this.#rooms.get(roomId);
    if (known) return known;
    const room = new OpenRoom(roomId, {
      client: this.#client,
      store: this.#store,
      sending: this.#sending,
      marks: this.#marks,
      typing: this.#typing,
      onClose: () => this.#rooms.delete(roomId),
    });
    this.#rooms.set(roomId, room);
    this.#presences.look(roomId);
    return room;
  }

  async addFriend(userId: string): Promise<User> {
    const answer = await this.#client.request('add friend', { friendId: userId });
    this.#revision = answer.revision;
    this.#store.apply((state) => friend(state, answer.friend));
    return answer.friend;
  }

  async openChat(userId: string): Promise<ChatView> {
    const { room } = await this.#client.request('init chat', { friendId: userId });
    this.#store.apply((state) => chat(state, room));
    this.#presences.look(room.roomId);
    const view = this.get().chats.find(({ roomId }) => roomId === room.roomId);
    if (!view) throw new ClientError({ code: 'internal', message: 'a chat without its other member' });
    return view;
  }

  async searchPeople(q: string): Promise<readonly User[]> {
    const { rest, token } = this.#options;
    const revision = this.#revision === undefined ? {} : { revision: this.#revision };
    const found = await rest.search(token, q, revision);
    // A revision is a moment of one part of the log: friends made before may be in another.
    return found.filter(({ userId }) => !this.#store.state.friends.has(userId));
  }

  moreChats(): Promise<void> {
    return this.#lists.older();
  }

  setActive(isActive: boolean): void {
    this.#activity.set(isActive);
  }

  #listen(): void {
    const client = this.#client;
    const store = this.#store;
    client.onState((state) => this.#connection(state));
    client.on('add friend', (told) => store.apply((state) => friend(state, told.friend)));
    client.on('init chat', ({ room }) => {
      store.apply((state) => chat(state, room));
      this.#presences.look(room.roomId);
    });
    client.on('send message', ({ message }) => {
      store.apply((state) => pushed(state, message));
      this.#rooms.get(message.roomId)?.pushed();
      // An older chat than those fetched: it is the newest now.
      const { hasChats } = store.state;
      if (hasChats && roomOf(store.state, message.roomId).chat === undefined) void this.#lists.refresh();
    });
    client.on('read messages', ({ roomId, userId, upTo }) =>
      store.apply((state) => mark(state, roomId, userId, upTo)),
    );
    client.on('notify typing', (told) => this.#typing.heard(told));
    client.on('get online info', (told) => this.#presences.heard(told));
    client.on('erase user', ({ userId }) => store.apply((state) => erased(state, userId)));
  }

  #connection(state: ClientState): void {
    const before = this.#store.state.connection.state;
    this.#store.apply((known) => connection(known, state));
    if (state.state === 'waiting') this.#activity.lost();
    if (state.state === 'replaying' || (state.state === 'live' && before !== 'replaying')) {
      this.#activity.identified();
    }
    if (state.state !== 'live') return;
    if (!state.resumed) {
      this.#store.apply(anew);
      this.#revision = undefined;
      for (const room of this.#rooms.values()) room.begun();
    }
    for (const room of this.#rooms.values()) room.connected();
    // Presence is not stored: who came and went meanwhile was not pushed.
    void this.#lists.refresh();
  }
}
