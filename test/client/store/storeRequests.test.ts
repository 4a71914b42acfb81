import { expect } from 'chai';
import { Rest } from '../../../packages/client/src/rest.js';
import type { Store, StoreOptions } from '../../../packages/client/src/store/storeTypes.js';
import type { After, Chat, User } from '../../../packages/client/src/types.js';
import { eventually } from '../../support/eventually.js';
import { identify, type RequestFrame, type Scripted, ScriptedServer, someone } from '../scripted.js';
import { MemoryOutbox, shown as shownIn } from './people.js';
import { answersOf, ScriptedStores } from './scriptedStores.js';
import { chatOf, messageOf, person, time } from './story.js';

const ada = person('ada');
const room = 'with ada';

/** What a server says of one who has no friends. */
const rest = new Rest('http://nowhere', {
  fetch: async () => ({
    ...{ ok: true, status: 200 },
    text: async () => JSON.stringify({ user: someone, friends: [], activeChats: [] }),
  }),
});

describe('what a store sends and fetches', () => {
  let server: ScriptedServer;
  let chats: Chat[];
  const stores = new ScriptedStores();
  const answers = answersOf(() => chats);

  const create = (options?: Partial<StoreOptions>): Store => stores.create(server, rest, options);
  const open = (options?: Partial<StoreOptions>): Promise<Store> => stores.open(server, rest, options);

  beforeEach(async () => {
    server = await ScriptedServer.start();
    chats = [
      chatOf(
        room,
        [someone, ada],
        [1, 2, 3, 4, 5].map((seq) => messageOf(room, ada, seq)),
      ),
    ];
    server.on(answers);
  });

  afterEach(async () => {
    stores.closeAll();
    await server.stop();
  });

  it('says by a promise that chats and friends are here', async () => {
    const held: [Scripted, RequestFrame][] = [];
    server.on({ ...answers, 'get friends': (c, frame) => void held.push([c, frame]) });
    const store = create();
    let isLoaded = false;
    const loaded = store.ready.then(() => {
      isLoaded = true;
    });
    store.start();
    await eventually('the chats are here', () => store.get().chats.length === 1 && held.length === 1);
    expect(isLoaded).to.equal(false);
    for (const [c, frame] of held) c.answer(frame, { friends: [ada] });
    await loaded;
    expect(store.get().friends).to.deep.equal([ada]);
    await store.ready;
  });

  it('reports, and asks for the texts and the readers of a message', async () => {
    const edits = [{ rev: 0, message: 'hello', at: time(1) }];
    const readers = { readers: [{ userId: ada.userId, upTo: 5 }], next: 'more' };
    server.on({
      ...answers,
      report: (c, frame) => c.answer(frame, { revision: 'r' }),
      'get edits': (c, frame) => c.answer(frame, { edits }),
      'get readers': (c, frame) => c.answer(frame, readers),
    });
    const store = await open({ newId: () => 'an id' });
    const shown = store.openRoom(room);
    expect(await shown.edits('m1')).to.deep.equal(edits);
    expect(await shown.readers(3)).to.deep.equal(readers);
    await shown.readers(3, 'more');
    await store.report({ roomId: room, messageIds: ['m1'], category: 'spam', note: 'again' });
    expect(
      ['get edits', 'get readers', 'report'].flatMap((name) => server.sent(name).map(({ data }) => data)),
    ).to.deep.equal([
      { roomId: room, messageId: 'm1' },
      { roomId: room, seq: 3 },
      { roomId: room, seq: 3, next: 'more' },
      { reportId: 'an id', roomId: room, messageIds: ['m1'], category: 'spam', note: 'again' },
    ]);
  });

  it('says by that promise that it has ended before', async () => {
    server.on({ ...answers, 'get friends': () => {} });
    const codeOf = (promise: Promise<unknown>) => promise.catch(({ name, code }) => [name, code]);
    const closed = create();
    const waiting = codeOf(closed.ready);
    closed.start();
    closed.close();
    expect(await waiting).to.deep.equal(['ClientError', 'closed']);
    expect(await codeOf(closed.ready)).to.deep.equal(['ClientError', 'closed']);
    server.on({ ...answers, identity: (c, frame) => c.refuse(frame, { code: 'unauthenticated' }) });
    const refused = create();
    refused.start();
    expect(await codeOf(refused.ready)).to.deep.equal(['ClientError', 'signed_out']);
  });

  it('finds friends too, the best matches first, with the token of now', async () => {
    const named = (name: string): User => ({ ...person(name), username: name });
    const friends = ['Joanna', 'ann', 'ben'].map(named);
    // The server may not know yet that ann is a friend.
    const others = ['ann', 'annabel', 'diann'].map(named);
    const asked: string[] = [];
    const rest = new Rest('http://nowhere', {
      fetch: async (url, { headers }) => {
        asked.push(`${url} ${headers.authorization}`);
        return { ok: true, status: 200, text: async () => JSON.stringify({ users: others }) };
      },
    });
    server.on({ ...answers, 'get friends': (c, frame) => c.answer(frame, { friends }) });
    let token = 'old';
    const store = await open({ rest, getToken: () => token });
    token = 'new';
    const found = await store.searchPeople('ANN');
    expect(found.map(({ username }) => username)).to.deep.equal(['ann', 'annabel', 'Joanna', 'diann']);
    expect(asked).to.deep.equal(['http://nowhere/user/search?q=ANN Bearer new']);
  });

  it('finds users by their display names too', async () => {
    const shown: User = { ...person('kim-1'), username: 'kim-1', displayName: 'Ann Lee' };
    const rest = new Rest('http://nowhere', {
      fetch: async () => ({ ok: true, status: 200, text: async () => JSON.stringify({ users: [shown] }) }),
    });
    server.on({ ...answers });
    const store = await open({ rest });
    expect((await store.searchPeople('ann l')).map(({ userId }) => userId)).to.deep.equal([shown.userId]);
    expect(await store.searchPeople('bob')).to.deep.equal([]);
  });

  it('rejects a search with a ClientError where there is no token', async () => {
    let fails = false;
    const token = async () => {
      if (fails) throw new Error('no network');
      return 't';
    };
    const store = await open({ getToken: token });
    fails = true;
    const error = await store.searchPeople('ann').catch((cause: unknown) => cause);
    expect(error).to.include({ name: 'ClientError', code: 'disconnected' });
    expect(error).to.have.nested.property('cause.message', 'no network');
  });

  it('sends typing at most every 3 s, and its end at once', async () => {
    let now = 0;
    server.on({ ...answers, 'notify typing': (c, frame) => c.answer(frame, {}) });
    const shown = (await open({ now: () => now })).openRoom(room);
    const said = (): unknown[] => server.sent('notify typing').map(({ data }) => data.isTyping);
    for (const at of [0, 1000, 2999, 3000, 4000]) {
      now = at;
      shown.typing(true);
    }
    shown.typing(false);
    shown.typing(false);
    await eventually('all is said', () => said().length === 3);
    expect(said()).to.deep.equal([true, true, false]);
  });

  it('shows typing for at most 8 s after the last push', async () => {
    const timers: { ms: number; run: () => void }[] = [];
    const after: After = (ms, run) => {
      if (ms !== 8000) return realAfter(ms, run);
      const timer = { ms, run };
      timers.push(timer);
      return () => timers.splice(timers.indexOf(timer), 1);
    };
    const store = await open({ after });
    const isTyping = (): boolean => store.get().chats[0]?.isTyping === true;
    for (const _ of [1, 2])
      server.last.push('notify typing', { roomId: room, userId: 'ada', isTyping: true });
    await eventually('they type', isTyping);
    await eventually('the second word has come', () => timers.length === 1);
    for (const { run } of timers) run();
    expect(isTyping()).to.equal(false);
  });

  it('sends the last of many marks, one at a time, and again after a reconnect', async () => {
    const held: [Scripted, RequestFrame][] = [];
    server.on({ ...answers, 'read messages': (c, frame) => void held.push([c, frame]) });
    const answer = (): void => {
      const [c, frame] = held.shift() ?? [];
      const upTo = frame?.data.upTo;
      if (c && frame)
        c.answer(frame, { roomId: room, userId: someone.userId, upTo, unread: 0, revision: 'r' });
    };
    const store = await open();
    const shown = store.openRoom(room);
    for (const upTo of [1, 2, 3, 2]) shown.read(upTo);
    expect(shown.get().myMark).to.equal(3);
    await eventually('one is said', () => held.length === 1);
    answer();
    await eventually('the last is said', () => held.length === 1);
    held.length = 0;
    server.last.drop();
    await eventually('it is said again', () => held.length === 1);
    answer();
    await eventually('it counts', () => store.get().unread === 2);
    expect(server.sent('read messages').map(({ data }) => data.upTo)).to.deep.equal([1, 3, 3]);
  });

  it('takes a mark back that the server refuses', async () => {
    server.on({ ...answers, 'read messages': (c, frame) => c.refuse(frame, { code: 'bad_request' }) });
    const store = await open();
    const shown = store.openRoom(room);
    shown.read(5);
    expect(store.get().unread).to.equal(0);
    await eventually('it is taken back', () => store.get().unread === 5);
    expect(shown.get().myMark).to.equal(0);
  });

  it('fetches the chat when a message of an unknown one arrives', async () => {
    const other = person('ben');
    const message = messageOf('with ben', other, 8);
    const chat = chatOf('with ben', [someone, other], [message]);
    server.on({ ...answers, 'get chat': (c, frame) => c.answer(frame, { chat }) });
    const store = await open();
    server.last.push('send message', { message }, 'c1');
    await eventually('it is there', () => store.get().chats.length === 2);
    expect(store.get().chats.map(({ other }) => other?.userId)).to.include('ben');
  });

  it('fetches the chat of a room that is not in the list, such as an old one', async () => {
    const ben = person('ben');
    const chat = chatOf('with ben', [someone, ben], [messageOf('with ben', ben, 1)]);
    const lastSeen = time(5);
    server.on({
      ...answers,
      'get chat': (c, frame) => {
        if (frame.data.roomId !== 'with ben') c.refuse(frame, { code: 'not_found' });
        else c.answer(frame, { chat, presence: { ben: { isOnline: false, lastSeen } } });
      },
    });
    const store = await open();
    const shown = store.openRoom('with ben');
    await eventually('the other is known', () => shown.get().other?.userId === 'ben');
    const line = store.get().chats.find(({ roomId }) => roomId === 'with ben');
    expect(line?.presence).to.deep.equal({ state: 'offline', lastSeen });
    store.openRoom(room);
    const unknown = store.openRoom('of others');
    await eventually('it is asked for', () => server.sent('get chat').length === 2);
    server.last.drop();
    await eventually('it is asked for again', () => server.sent('get chat').length === 3);
    expect(server.sent('get chat').map(({ data }) => data.roomId)).to.deep.equal([
      'with ben',
      'of others',
      'of others',
    ]);
    expect(unknown.get().other).to.equal(undefined);
  });

  it('shows why a page failed, and retries on request or with a new connection', async () => {
    let fails = true;
    server.on({
      ...answers,
      'fetch messages': (c, frame) => {
        if (fails) c.refuse(frame, { code: 'internal', incident: 'i' });
        else
          c.answer(frame, { messages: [1, 2, 3, 4].map((seq) => messageOf(room, ada, seq)), hasMore: false });
      },
    });
    const shown = (await open()).openRoom(room);
    const isFailed = (): boolean => shown.get().history.state === 'failed';
    await eventually('it has failed', isFailed);
    await shown.earlier();
    expect(shown.get().history).to.have.nested.property('error.incident', 'i');
    fails = false;
    server.last.drop();
    await eventually('it is here', () => shown.get().history.state === 'complete');
    expect(server.sent('fetch messages').every(({ data }) => data.before === 5)).to.equal(true);
  });

  it('fetches messages missing before a pushed one', async () => {
    const at = (seq: number) => messageOf(room, ada, seq);
    server.on({
      ...answers,
      'fetch messages': (c, frame) => {
        const before = Number(frame.data.before);
        const messages = [before - 3, before - 2, before - 1].filter((seq) => seq > 0).map(at);
        c.answer(frame, { messages, hasMore: before > 4 });
      },
    });
    const shown = (await open()).openRoom(room);
    await eventually('the room has loaded', () => shown.get().history.state === 'more');
    server.last.push('send message', { message: at(9) }, 'c1');
    await eventually('all are here', () => shown.get().entries.length === 8);
    expect(shown.get().history).to.deep.equal({ state: 'more' });
  });

  it('begins anew when its cursor is refused', async () => {
    const store = await open();
    const shown = store.openRoom(room);
    await eventually('the room has loaded', () => shown.get().history.state !== 'loading');
    chats = [chatOf('with ben', [someone, person('ben')], [])];
    server.on({
      ...answers,
      identity: (c, frame) => {
        if (frame.data.cursor === undefined) identify(c, frame);
        else c.refuse(frame, { code: 'bad_request', fields: [] });
      },
    });
    server.last.drop();
    await eventually('it knows what is now', () => store.get().chats[0]?.roomId === 'with ben');
    expect(store.get().chats).to.have.length(1);
    await eventually('the room too', () => shown.get().history.state === 'complete');
    expect(shown.get().entries).to.deep.equal([]);
  });

  it('shows messages of an earlier run, and sends them before new ones', async () => {
    const outbox = new MemoryOutbox();
    const data = { messageId: 'left', roomId: room, message: 'left' };
    outbox.put({ id: 'left', request: 'send message', data, queuedAt: time(0) });
    let read = (): void => {};
    const slow = new Promise<void>((resolve) => (read = resolve));
    outbox.load = async () => {
      const entries = [...outbox.entries.values()];
      await slow;
      return entries;
    };
    const store = await open({ outbox });
    const shown = store.openRoom(room);
    shown.send('now');
    expect(shownIn(shown).at(-1)).to.equal('now (sending)');
    read();
    await eventually('both wait, in order', () =>
      shownIn(shown).join().endsWith('left (sending),now (sending)'),
    );
    await eventually('the first is on its way', () => server.sent('send message').length === 1);
    expect(server.sent('send message')[0]?.data).to.include({ messageId: 'left', message: 'left' });
  });

  it('shows a message that could not be stored as refused, and retries it under its id', async () => {
    const outbox = new MemoryOutbox();
    const { put } = outbox;
    outbox.put = () => {
      throw new Error('the disk is full');
    };
    const shown = (await open({ outbox })).openRoom(room);
    shown.send('hello', { replyTo: 'an earlier one' });
    const last = () => shown.get().entries.at(-1);
    await eventually('it is refused', () => last()?.state === 'refused');
    const refused = last();
    expect(refused).to.have.nested.property('error.code', 'not_kept');
    expect(refused).to.have.nested.property('error.cause.message', 'the disk is full');
    outbox.put = put;
    if (refused?.state === 'refused') shown.retry(refused.messageId);
    expect(last()).to.include({ state: 'sending', message: 'hello', replyTo: 'an earlier one' });
    await eventually('it is on its way', () => server.sent('send message').length === 1);
    expect(server.sent('send message')[0]?.data).to.include({ message: 'hello', replyTo: 'an earlier one' });
  });

  it('fetches older chats once for simultaneous calls, until there are none', async () => {
    const older = chatOf('with ben', [someone, person('ben')], []);
    server.on({
      ...answers,
      'get active chats': (c, frame) => {
        if (frame.data.next === undefined) c.answer(frame, { chats, presence: {}, next: 'further' });
        else c.answer(frame, { chats: [older], presence: {} });
      },
    });
    const store = await open();
    expect(store.get().hasMoreChats).to.equal(true);
    await Promise.all([store.moreChats(), store.moreChats()]);
    expect(store.get()).to.have.property('hasMoreChats', false);
    expect(store.get().chats.map(({ roomId }) => roomId)).to.deep.equal([room, 'with ben']);
    expect(server.sent('get active chats')).to.have.length(2);
  });

  it('calls listeners once for all changes of one turn, and not without a change', async () => {
    const store = await open();
    const shown = store.openRoom(room);
    await eventually('the room has loaded', () => shown.get().history.state === 'more');
    let told = 0;
    let seen = 0;
    store.subscribe(() => told++);
    const stop = shown.subscribe(() => seen++);
    const entries = ['a', 'b', 'c'].map((text) => shown.send(text));
    expect(shown.get().entries.slice(-3)).to.deep.equal(entries);
    expect(seen).to.equal(0);
    await eventually('it is told', () => seen > 0);
    // The list of chats shows nothing of what is unsent.
    expect([seen, told]).to.deep.equal([1, 0]);
    stop();
    shown.send('d');
    await eventually('it is on its way', () => server.sent('send message').length > 0);
    expect(seen).to.equal(1);
  });
});

const realAfter: After = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};
