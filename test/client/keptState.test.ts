import 'fake-indexeddb/auto';
import { expect } from 'chai';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import {
  type DeviceStore,
  deleteDeviceStore,
  deleteKeptState,
  openDeviceStore,
  type StateKeeper,
} from '../../packages/client/src/browser.js';
import { asKeptState } from '../../packages/client/src/kept/checkState.js';
import { LIMITS, trimState } from '../../packages/client/src/kept/trimState.js';
import { Rest } from '../../packages/client/src/rest.js';
import { applyChat, applyFriend } from '../../packages/client/src/store/chatFolds.js';
import { applyPage } from '../../packages/client/src/store/messageFolds.js';
import { applyOpening } from '../../packages/client/src/store/roomStore.js';
import { createStore } from '../../packages/client/src/store/store.js';
import { EMPTY_STATE, type State } from '../../packages/client/src/store/storeState.js';
import type { Store } from '../../packages/client/src/store/storeTypes.js';
import type { Chat, Message } from '../../packages/client/src/types.js';
import { eventually } from '../support/eventually.js';
import { ScriptedServer, someone } from './scripted.js';
import { answersOf, preferences } from './store/scriptedStores.js';
import { chatOf, messageOf, person, time } from './store/story.js';

const other = person('other');
const room = 'room';
const said = (seq: number): Message => messageOf(room, other, seq);
const upTo = (n: number): Message[] => Array.from({ length: n }, (_, i) => said(i + 1));
const chat = (n: number): Chat => chatOf(room, [someone, other], upTo(n));

describe('a store that begins with what an earlier one has kept', () => {
  let server: ScriptedServer;
  let device: DeviceStore;
  let name: string;
  let n = 0;
  let messages: Message[];
  const stores: Store[] = [];

  beforeEach(async () => {
    name = `kept-${n++}`;
    messages = upTo(3);
    server = await ScriptedServer.start();
    server.on({
      ...answersOf(() => [{ ...chat(0), lastMessage: messages.at(-1) ?? null }]),
      'fetch messages': (c, frame) => c.answer(frame, { messages, hasMore: false }),
    });
    device = await openDeviceStore(name);
  });

  afterEach(async () => {
    for (const store of stores.splice(0)) store.close();
    device.close();
    await server.stop();
  });

  function begin(keeper: StateKeeper): Store {
    const store = createStore({
      ...{ url: server.url, getToken: () => 't', webSocket: WebSocket, rest: new Rest(server.url) },
      ...{ begin: keeper.begin, cursors: keeper.cursors, backoff: { baseMs: 2, capMs: 10 } },
    });
    stores.push(store);
    keeper.keep(store);
    return store;
  }

  const keeperOf = (userId = someone.userId): Promise<StateKeeper> => device.keeper(userId);

  /** What is stored, read without a keeper. */
  const stored = (): Promise<State | undefined> =>
    new Promise((resolve, reject) => {
      const opening = indexedDB.open(name);
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const reading = opening.result.transaction('device').objectStore('device').get('state');
        reading.onsuccess = () => resolve(reading.result?.state);
        opening.result.close();
      };
    });
  const textsIn = (state: State | undefined): unknown[] =>
    state?.rooms.get(room)?.known.map(({ message }) => message) ?? [];
  const isKept = (texts: readonly unknown[]): Promise<void> =>
    eventually('it is kept', async () => textsIn(await stored()).join() === texts.join());

  /** A first run, which has kept the three messages of an open room. */
  async function keepThree(): Promise<void> {
    const store = begin(await keeperOf());
    store.start();
    await store.ready;
    const open = store.openRoom(room);
    await eventually('the page is here', () => open.get().entries.length === 3);
    server.last.push('read messages', { roomId: room, userId: other.userId, upTo: 3 }, 'c3');
    await isKept(['text 1', 'text 2', 'text 3']);
    store.close();
  }

  const textsOf = (store: Store): unknown[] =>
    store
      .openRoom(room)
      .get()
      .entries.map((entry) => (entry.state === 'stored' ? entry.message.message : entry.message));

  it('shows it before it is started, and resumes from its cursor', async () => {
    await keepThree();
    const store = begin(await keeperOf());
    expect(store.get()).to.deep.include({ isKept: true, isLoaded: false, me: someone, preferences });
    expect(store.get().chats.map(({ lastMessage }) => lastMessage?.message)).to.deep.equal(['text 3']);
    expect(textsOf(store)).to.deep.equal(['text 1', 'text 2', 'text 3']);
    server.on({
      ...answersOf(() => [{ ...chat(4), lastMessage: said(4) }]),
      identity: (c, frame) => {
        expect(frame.data).to.deep.equal({ token: 't', cursor: 'c3' });
        c.answer(frame, { user: someone, cursor: 'c3' });
        c.push('delete message', { roomId: room, messageId: said(2).messageId, seq: 2, by: 'other' }, 'c4');
        c.push('send message', { message: said(4) }, 'c5');
        c.push('identity', { caughtUp: true }, 'c5');
      },
    });
    store.start();
    await store.ready;
    expect(textsOf(store)).to.deep.equal(['text 1', null, 'text 3', 'text 4']);
    expect(server.sent('get friends'), 'friends are fetched again').to.have.length(2);
    expect(server.sent('get blocked')).to.have.length(2);
    await eventually('preferences too', () => server.sent('get preferences').length === 2);
    await isKept(['text 1', null, 'text 3', 'text 4']);
  });

  it('forgets all of it when the server refuses the cursor', async () => {
    await keepThree();
    const store = begin(await keeperOf());
    const open = store.openRoom(room);
    messages = [{ ...said(1), message: 'another history' }];
    let refusals = 0;
    server.on({
      ...answersOf(() => [{ ...chat(0), lastMessage: messages[0] ?? null }]),
      'fetch messages': (c, frame) => c.answer(frame, { messages, hasMore: false }),
      identity: (c, frame) => {
        const isDeleted = eventually('it is deleted', async () => (await stored()) === undefined);
        if (frame.data.cursor === undefined)
          return void isDeleted.then(() => c.answer(frame, { user: someone, cursor: 'new' }));
        refusals++;
        c.refuse(frame, { code: 'bad_request' });
      },
    });
    store.start();
    await store.ready;
    await eventually('the page is here', () => open.get().entries.length === 1);
    expect(textsOf(store)).to.deep.equal(['another history']);
    expect(store.get().isKept).to.equal(false);
    expect(refusals).to.equal(1);
    await isKept(['another history']);
  });

  it('leaves nothing when its user is signed out', async () => {
    await keepThree();
    const store = begin(await keeperOf());
    server.on({ identity: (c, frame) => c.refuse(frame, { code: 'unauthenticated' }) });
    store.start();
    await eventually('it has ended', () => store.get().connection.state === 'ended');
    await eventually('nothing is kept', async () => (await stored()) === undefined);
  });

  it('is not read by another user, nor after the stores were deleted, which no open tab writes again', async () => {
    await keepThree();
    const tab = begin(await keeperOf());
    tab.start();
    await tab.ready;
    await deleteDeviceStore(name);
    server.last.push('send message', { message: said(4) }, 'c9');
    await eventually('it is shown', () => textsOf(tab).includes('text 4'));
    tab.close();
    device = await openDeviceStore(name);
    expect(await stored()).to.equal(undefined);
    await keepThree();
    expect((await keeperOf(other.userId)).begin).to.equal(undefined);
    expect(await stored(), 'it is deleted').to.equal(undefined);
  });

  it('is deleted apart from what is unsent, and its database is not created for that', async () => {
    await keepThree();
    const data = { messageId: 'a', message: 'unsent', roomId: room };
    await device.outbox.put({ id: 'a', request: 'send message', data, queuedAt: time(0) });
    await deleteKeptState(name);
    expect(await stored()).to.equal(undefined);
    expect(await device.outbox.load()).to.have.length(1);
    await deleteKeptState('nobody');
    expect((await indexedDB.databases()).map((one) => one.name)).not.to.include('nobody');
  });

  it('is not read for ever by pages that never write it again', async () => {
    await keepThree();
    for (let reading = 1; reading <= 10; reading++)
      expect((await keeperOf()).begin, `${reading}`).not.to.equal(undefined);
    expect((await keeperOf()).begin).to.equal(undefined);
    expect(await stored()).to.equal(undefined);
  });

  it('is replaced at the first connection after a week, and deleted after a month', async () => {
    await keepThree();
    const setAge = (days: number): Promise<void> =>
      new Promise((resolve) => {
        const opening = indexedDB.open(name);
        opening.onsuccess = () => {
          const transaction = opening.result.transaction('device', 'readwrite');
          const values = transaction.objectStore('device');
          const reading = values.get('state');
          reading.onsuccess = () => {
            const heardAt = new Date(Date.now() - days * 24 * 60 * 60_000).toISOString();
            values.put({ ...reading.result, heardAt }, 'state');
          };
          transaction.oncomplete = () => resolve();
          opening.result.close();
        };
      });
    await setAge(6);
    expect(await (await keeperOf()).cursors.load()).to.equal('c3');
    await setAge(8);
    const keeper = await keeperOf();
    expect(await keeper.cursors.load()).to.equal(undefined);
    expect(textsOf(begin(keeper))).to.deep.equal(['text 1', 'text 2', 'text 3']);
    await setAge(31);
    expect((await keeperOf()).begin).to.equal(undefined);
    expect(await stored()).to.equal(undefined);
  });

  it('fetches a room again of which less than a page is kept', async () => {
    await keepThree();
    const store = begin(await keeperOf());
    const before = server.sent('fetch messages').length;
    store.start();
    await store.ready;
    expect(textsOf(store)).to.deep.equal(['text 1', 'text 2', 'text 3']);
    await eventually('it is asked for', () => server.sent('fetch messages').length === before + 1);
  });
});

describe('what is kept of a state', () => {
  const loaded: State = {
    ...EMPTY_STATE,
    ...{ me: someone, preferences, hasChats: true, hasFriends: true, nextArchived: undefined },
    users: new Map([[someone.userId, someone]]),
  };
  const kept = (state: State, limits = LIMITS): State => {
    const trimmed = trimState(state, limits);
    if (!trimmed) throw new Error('nothing is kept');
    expect(asKeptState(structuredClone(trimmed), someone.userId)).to.deep.equal(trimmed);
    return trimmed;
  };
  const withChats = (count: number, of: (id: string, i: number) => Chat): State =>
    Array.from({ length: count }, (_, i) => i).reduce(
      (state, i) => applyChat(state, of(`room ${i}`, i)),
      loaded,
    );

  it('is bounded, and the newest', () => {
    const state = withChats(5, (id, i) => ({
      ...chatOf(id, [someone, person(`user ${i}`)], []),
      createdAt: time(i),
    }));
    const trimmed = kept(
      { ...state, friends: new Set(['user 0', 'user 1']) },
      { ...LIMITS, chats: 2, users: 1 },
    );
    expect([...trimmed.rooms.keys()]).to.deep.equal(['room 4', 'room 3']);
    expect([...trimmed.users.keys()]).to.have.members([someone.userId, 'user 0', 'user 3', 'user 4']);
    const opened = applyPage(applyOpening(applyChat(loaded, chat(9)), room), room, upTo(9));
    const known = (limits: Partial<typeof LIMITS>): unknown =>
      kept(opened, { ...LIMITS, ...limits })
        .rooms.get(room)
        ?.known.map(({ seq }) => seq);
    expect(known({ messages: 4 })).to.deep.equal([6, 7, 8, 9]);
    expect(known({ characters: 20 })).to.deep.equal([9]);
  });

  it('is nothing before the lists are here', () => {
    expect(trimState({ ...loaded, hasChats: false })).to.equal(undefined);
    expect(trimState({ ...loaded, hasFriends: false })).to.equal(undefined);
    expect(trimState({ ...loaded, me: undefined })).to.equal(undefined);
  });

  it('is no group that this user has left: nobody tells what is deleted there', () => {
    const windows: NonNullable<Chat['windows']>[] = [[[1, null]], [[1, 3]]];
    const state = withChats(2, (id, i) => ({
      ...chatOf(id, [someone, other], []),
      ...{ roomType: 'GROUP', name: id, members: 2, windows: windows[i] ?? [] },
    }));
    expect([...kept(state).rooms.keys()]).to.deep.equal(['room 0']);
  });

  it('is when others were last seen, and not that they are online', () => {
    const friends = ['a', 'b'].map(person).reduce(applyFriend, loaded);
    const presence = new Map([
      ['a', { state: 'online' as const }],
      ['b', { state: 'offline' as const, lastSeen: time(1) }],
    ]);
    const trimmed = kept({ ...friends, presence });
    expect([...trimmed.presence.keys()]).to.deep.equal(['b']);
    expect([...trimmed.stale]).to.deep.equal(['b']);
  });

  it('is refused when any part of it is of another type', () => {
    const state = kept(applyPage(applyOpening(applyChat(loaded, chat(2)), room), room, upTo(2)));
    /** Every place of the state, as the way to it. */
    const places = (value: unknown, way: readonly PropertyKey[] = []): (readonly PropertyKey[])[] => {
      if (value instanceof Map)
        return [way, ...[...value].flatMap(([key, one]) => places(one, [...way, key]))];
      if (value instanceof Set || typeof value !== 'object' || value === null) return [way];
      return [way, ...Object.entries(value).flatMap(([key, one]) => places(one, [...way, key]))];
    };
    /** A copy with something else in one place. */
    const damage = (value: unknown, [first, ...rest]: readonly PropertyKey[], by: unknown): unknown => {
      if (first === undefined) return by;
      if (value instanceof Map) return new Map(value).set(first, damage(value.get(first), rest, by));
      if (Array.isArray(value))
        return value.map((one, i) => (String(i) === first ? damage(one, rest, by) : one));
      // It is an object, as it has this place.
      const fields = value as Readonly<Record<PropertyKey, unknown>>;
      return { ...fields, [first]: damage(fields[first], rest, by) };
    };
    const all = places(state);
    expect(all.length).to.be.greaterThan(50);
    fc.assert(
      fc.property(
        fc.constantFrom(...all),
        fc.constantFrom(Symbol('other'), -1, () => {}),
        (way, by) => {
          expect(asKeptState(damage(state, way, by), someone.userId), way.join('.')).to.equal(undefined);
        },
      ),
      { numRuns: 500 },
    );
  });
});
