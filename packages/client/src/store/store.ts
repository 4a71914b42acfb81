import { createClient } from '../client.js';
import { currentToken, when, withDefaults } from '../options.js';
import { newUuid } from '../outbox.js';
import { type ProfileChanges, Rest } from '../rest.js';
import {
  type Client,
  ClientError,
  type ClientState,
  type PushName,
  type RequestAnswer,
  type RequestInput,
  type RequestName,
  type RequestOptions,
  toClientError,
  type User,
} from '../types.js';
import { applyConnection, applyUser, resetToPresent } from './chatFolds.js';
import { foldAnswer, pushFolds } from './contractFolds.js';
import {
  type Activity,
  createActivity,
  createPeople,
  createTyping,
  type People,
  type Typing,
} from './livePresence.js';
import { createLists, type Lists, type OpenRoom, openRoom } from './roomStore.js';
import { createMarks, Sending } from './sending.js';
import { usersOf, viewSnapshot } from './snapshot.js';
import { EMPTY_STATE, Observable, roomOf, type State } from './storeState.js';
import type { ChatView, ReportInput, Room, Snapshot, Store, StoreOptions } from './storeTypes.js';

/** Makes a store for one signed-in device; it connects on `start`. Throws a `TypeError` if there is no WebSocket. */
export function createStore(options: StoreOptions): Store {
  return new ClientStore(options);
}

class ClientStore implements Store {
  readonly #options: StoreOptions;
  readonly #rest: Rest;
  readonly #client: Client;
  readonly #store: Observable<State>;
  readonly #snapshot;
  readonly #lists: Lists;
  readonly #sending: Sending;
  readonly #setMark: ReturnType<typeof createMarks>;
  readonly #typing: Typing;
  readonly #people: People;
  readonly #activity: Activity;
  readonly #rooms = new Map<string, OpenRoom>();
  /** Rooms whose chat is being fetched. */
  readonly #fetching = new Map<string, Promise<void>>();

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#rest = options.rest ?? new Rest(options.url, options);
    const { onError, after } = withDefaults(options);
    const client = createClient(options);
    const store = new Observable(EMPTY_STATE, onError);
    this.#client = client;
    this.#store = store;
    this.#snapshot = store.watch(viewSnapshot());
    this.#lists = createLists({ client: this, store, onError });
    this.#people = createPeople(this, store, async (userId) => {
      const { user } = await this.#rest.user(await this.#token(), userId);
      return user;
    });
    this.#sending = new Sending({
      ...{ client, store, onError, options },
      onStored: ({ roomId }) => this.#people.lookUpPresence(roomId),
      onRefusal: () => void this.#lists.refresh(),
    });
    this.#setMark = createMarks(client, store);
    this.#typing = createTyping(client, store, { after, now: options.now ?? Date.now });
    this.#activity = createActivity(client);
    this.#listen();
  }

  get = (): Snapshot => this.#snapshot.get();
  subscribe = (listener: () => void): (() => void) => this.#snapshot.subscribe(listener);

  start(): void {
    if (this.#client.state.state !== 'new') return;
    this.#sending.start();
    this.#client.start();
  }

  get ready(): Promise<Snapshot> {
    return when(this.subscribe, () => {
      const snapshot = this.get();
      const { isLoaded, connection } = snapshot;
      if (isLoaded) return snapshot;
      if (connection.state === 'ended') throw new ClientError({ code: connection.why });
      return undefined;
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
      ...{ client: this, store: this.#store, sending: this.#sending },
      ...{ setMark: this.#setMark, typing: this.#typing },
    };
    const room = openRoom(roomId, parts, () => this.#rooms.delete(roomId));
    this.#rooms.set(roomId, room);
    this.#people.lookUpPresence(roomId);
    if (this.#store.state.hasChats) this.#fetchMissingChat(roomId);
    return room;
  }

  request = async <N extends RequestName>(
    name: N,
    data: RequestInput<N>,
    options?: RequestOptions,
  ): Promise<RequestAnswer<N>> => {
    const ask = () => this.#client.request(name, data, options);
    const fold = foldAnswer(this.#store.state, name, data);
    const isQuery = /^(get|fetch) /.test(name);
    const answer = await (isQuery ? this.#store.query(ask, fold) : ask());
    if (!isQuery) this.#store.receive((state) => fold(state, answer));
    for (const room of this.#rooms.values()) room.resume();
    if ('roomId' in data) {
      this.#people.lookUpSenders(data.roomId);
      // What these change of the group is not in their answers.
      if (CHANGES_OF_MEMBERS.includes(name)) await this.#fetchChat(data.roomId);
    }
    return answer;
  };

  on: Client['on'] = (name, handler) => this.#client.on(name, handler);

  async addFriend(userId: string): Promise<User> {
    const { friend } = await this.request('add friend', { friendId: userId });
    return friend;
  }

  async openChat(userId: string): Promise<ChatView> {
    const { room } = await this.request('init chat', { friendId: userId });
    this.#people.lookUpPresence(room.roomId);
    const { chats, requests, archived } = this.get();
    const view = [...chats, ...requests, ...archived].find(({ roomId }) => roomId === room.roomId);
    // The server answers with a chat of two.
    if (!view) throw new ClientError({ code: 'internal' });
    return view;
  }

  async changeProfile(changes: ProfileChanges): Promise<User> {
    const { user } = await this.#rest.changeProfile(await this.#token(), changes);
    this.#store.apply((state) => applyUser(state, user));
    return user;
  }

  async report(about: ReportInput): Promise<void> {
    const { newId = newUuid } = this.#options;
    await this.request('report', { reportId: newId(), ...about });
  }

  async searchPeople(q: string): Promise<readonly User[]> {
    const found = await this.#rest.search(await this.#token(), q);
    // The server leaves friends out, and may not know the newest of them yet.
    const { state } = this.#store;
    const others = found.filter(({ userId }) => !state.friends.has(userId));
    return matching([...usersOf(state, state.friends), ...others], q);
  }

  moreChats(): Promise<void> {
    return this.#lists.fetchOlder();
  }

  moreArchived(): Promise<void> {
    return this.#lists.fetchArchived();
  }

  setActive(isActive: boolean): void {
    this.#activity.set(isActive);
  }

  async #token(): Promise<string> {
    try {
      return (await currentToken(this.#options.getToken)).token;
    } catch (error) {
      throw toClientError(error, 'disconnected');
    }
  }

  #listen(): void {
    const client = this.#client;
    client.onState((state) => this.#followConnection(state));
    // The table has folds of pushes only.
    for (const name of Object.keys(pushFolds) as PushName[]) this.#follow(name);
    client.on('notify typing', (push) => this.#typing.receive(push));
    client.on('init chat', ({ room: { roomId } }) => {
      this.#people.lookUpPresence(roomId);
      void this.#rooms.get(roomId)?.fetchPage();
    });
    client.on('send message', ({ message: { roomId } }) => {
      this.#rooms.get(roomId)?.fillGap();
      this.#people.lookUpSenders(roomId);
      // The chat is not in the fetched pages, but is now the newest.
      if (this.#store.state.hasChats) this.#fetchMissingChat(roomId);
    });
    client.on('add friend', ({ friend: { userId } }) => this.#fetchChatsWith(userId));
    client.on('remove friend', ({ userId }) => this.#fetchChatsWith(userId));
  }

  #follow<N extends PushName>(name: N): void {
    const fold = pushFolds[name];
    this.#client.on(name, (data) => {
      this.#store.receive((state) => fold?.(state, data) ?? state);
      if ('roomId' in data) this.#people.lookUpSenders(data.roomId);
    });
  }

  /** Fetches the private chat with a user again: whether it is a request may have changed. */
  #fetchChatsWith(userId: string): void {
    for (const { roomId, chat, participants } of this.#store.state.rooms.values())
      if (chat?.roomType === 'PRIVATE' && participants.includes(userId)) void this.#fetchChat(roomId);
  }

  #fetchMissingChat(roomId: string): void {
    if (roomOf(this.#store.state, roomId).chat === undefined) void this.#fetchChat(roomId);
  }

  /** Fetches a chat, such as one that is not in the fetched pages of the list. Never rejects. */
  #fetchChat(roomId: string): Promise<void> {
    const before = this.#fetching.get(roomId);
    if (before) return before;
    const fetch = async (): Promise<void> => {
      try {
        await this.request('get chat', { roomId });
      } catch {
        // If it is open, its history has the error: it is refused for the same reason.
      } finally {
        this.#fetching.delete(roomId);
      }
    };
    const fetching = fetch();
    this.#fetching.set(roomId, fetching);
    return fetching;
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
      for (const room of this.#rooms.values()) void room.fetchPage();
    }
    for (const room of this.#rooms.values()) room.resume(true);
    // Presence is not replayed: changes while disconnected were not pushed.
    void this.#lists.refresh().then(() => {
      for (const { roomId } of this.#store.state.rooms.values()) this.#people.lookUpSenders(roomId);
      for (const roomId of this.#rooms.keys()) this.#fetchMissingChat(roomId);
    });
  }
}

/** Requests whose answers do not say what they changed of the group. */
const CHANGES_OF_MEMBERS: readonly RequestName[] = ['add members', 'leave group'];

/** The users one of whose names contains the text: exact matches, then those that begin with it, then the rest. */
function matching(users: readonly User[], q: string): User[] {
  const wanted = q.toLowerCase();
  const found = (form: string): User[] =>
    users.filter(({ username, displayName }) =>
      [username, displayName].some((name) => `\n${name?.toLowerCase() ?? ''}\n`.includes(form)),
    );
  // A name is one line: at its start and its end is a break.
  return [...new Set([`\n${wanted}\n`, `\n${wanted}`, wanted].flatMap(found))];
}
