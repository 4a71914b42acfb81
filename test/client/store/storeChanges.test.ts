import { expect } from 'chai';
import type { OutboxEntry } from '../../../packages/client/src/outbox.js';
import { Rest } from '../../../packages/client/src/rest.js';
import type { Entry, Room, Store, StoreOptions } from '../../../packages/client/src/store/storeTypes.js';
import type { Chat, ClientError, Message, User } from '../../../packages/client/src/types.js';
import { eventually } from '../../support/eventually.js';
import { type RequestFrame, type Scripted, ScriptedServer, someone } from '../scripted.js';
import { MemoryOutbox } from './people.js';
import { answersOf, preferences, type Script, ScriptedStores } from './scriptedStores.js';
import { chatOf, messageOf, person, time } from './story.js';

const ada = person('ada');
const ben = person('ben');
const room = 'with ada';
const group = 'the group';
const groupOf = (participants: User[], all: readonly Message[], more: Partial<Chat> = {}): Chat => ({
  ...chatOf(group, participants, all),
  ...{
    roomType: 'GROUP',
    name: 'Friends',
    role: 'owner',
    members: participants.length,
    windows: [[1, null]],
  },
  ...more,
});

describe('what a store shows of changes', () => {
  let server: ScriptedServer;
  let chats: Chat[];
  let history: Message[];
  const stores = new ScriptedStores();
  const asked: string[] = [];

  const answers: Script = {
    ...answersOf(() => chats),
    'get friends': (c, frame) => c.answer(frame, { friends: [ben] }),
    'fetch messages': (c, frame) => c.answer(frame, { messages: history, hasMore: false }),
  };
  const done = (c: Scripted, frame: RequestFrame, answer: object = {}): void =>
    c.answer(frame, { revision: 'r', ...answer });

  const rest = new Rest('http://nowhere', {
    fetch: async (url) => {
      asked.push(url);
      const user = person(url.split('/').at(-1) ?? '');
      return { ok: true, status: 200, text: async () => JSON.stringify({ user, revision: 'r' }) };
    },
  });
  function open(script: Script = {}, options?: Partial<StoreOptions>): Promise<Store> {
    server.on({ ...answers, ...script });
    return stores.open(server, rest, options);
  }

  async function openRoom(store: Store, roomId = room): Promise<Room> {
    const opened = store.openRoom(roomId);
    await eventually('the room has loaded', () => opened.get().history.state === 'complete');
    return opened;
  }

  const stored = (shown: Room, seq: number): Extract<Entry, { state: 'stored' }> => {
    const entry = shown.get().entries[seq - 1];
    if (entry?.state !== 'stored') throw new Error(`message ${seq} is not stored`);
    return entry;
  };

  beforeEach(async () => {
    server = await ScriptedServer.start();
    history = [1, 2, 3].map((seq) => messageOf(room, seq === 2 ? someone : ada, seq));
    chats = [chatOf(room, [someone, ada], history)];
    asked.length = 0;
  });

  afterEach(async () => {
    stores.closeAll();
    await server.stop();
  });

  it('shows an edit, a reaction and a deletion at once, and as the server has them when it has', async () => {
    const held: [Scripted, RequestFrame][] = [];
    const hold = (c: Scripted, frame: RequestFrame): void => void held.push([c, frame]);
    const store = await open({ 'edit message': hold, react: hold, 'delete message': hold });
    const shown = await openRoom(store);
    const { messageId } = stored(shown, 2).message;
    const other = stored(shown, 3).message;
    const before = shown.get();
    const all = [
      shown.edit(messageId, 'better'),
      shown.react(messageId, '👍', true),
      shown.delete(other.messageId),
    ];
    const after = shown.get();
    expect(stored(shown, 2))
      .to.deep.include({ isChanging: true })
      .and.have.nested.property('message.message', 'better');
    expect(stored(shown, 2).message.reactions).to.deep.equal([
      { emoji: '👍', userIds: [someone.userId], count: 1 },
    ]);
    expect(stored(shown, 3).message).to.deep.include({ message: null, deleted: { by: someone.userId } });
    expect(store.get().chats[0]?.lastMessage).to.equal(stored(shown, 3).message);
    expect(after.entries[0]).to.equal(before.entries[0]);
    expect(shown.get()).to.equal(after);
    const message = { ...messageOf(room, someone, 2), message: 'better', rev: 1, editedAt: time(9) };
    for (const [n, answer] of [{ message }, { reactions: [] }, {}].entries()) {
      await eventually(`request ${n} is sent`, () => held.length === n + 1);
      const [c, frame] = held[n] ?? [];
      if (c && frame) done(c, frame, answer);
    }
    await Promise.all(all);
    expect(held.map(([, { event }]) => event)).to.deep.equal(['edit message', 'react', 'delete message']);
    expect(held[0]?.[1].data).to.include({ messageId, message: 'better' }).and.have.property('editId');
    expect(stored(shown, 2).isChanging).to.equal(undefined);
    expect(stored(shown, 2).message).to.deep.equal({
      ...message,
      reactions: [{ emoji: '👍', userIds: [someone.userId], count: 1 }],
    });
    expect(stored(shown, 3).message).to.deep.include({ message: null, deleted: { by: someone.userId } });
  });

  it('takes back what the server refuses, and says why to who asked and to onRefused', async () => {
    const refused: [OutboxEntry, ClientError][] = [];
    const onRefused = (...all: [OutboxEntry, ClientError]): void => void refused.push(all);
    const refuse = (c: Scripted, frame: RequestFrame): void =>
      c.refuse(frame, { code: 'conflict', reason: 'gone' });
    const store = await open(
      { 'edit message': refuse, react: refuse, 'delete message': refuse },
      { onRefused },
    );
    const shown = await openRoom(store);
    const before = stored(shown, 2);
    const { messageId } = before.message;
    // Nobody waits for the others.
    void shown.edit(messageId, 'better');
    void shown.react(messageId, '👍', true);
    const error = await shown.delete(messageId).catch((cause: unknown) => cause);
    expect(error).to.include({ name: 'ClientError', code: 'conflict', reason: 'gone' });
    expect(stored(shown, 2)).to.deep.equal(before);
    expect(refused.map(([{ request }, { reason }]) => [request, reason])).to.deep.equal([
      ['edit message', 'gone'],
      ['react', 'gone'],
      ['delete message', 'gone'],
    ]);
  });

  it('shows what an earlier run left unsent, and sends it', async () => {
    const outbox = new MemoryOutbox();
    const hold = (): void => {};
    const first = await open({ 'edit message': hold }, { outbox });
    const shown = await openRoom(first);
    const { messageId } = stored(shown, 2).message;
    const unsent = shown.edit(messageId, 'better').catch(({ code }: ClientError) => code);
    await eventually('it is kept', () => outbox.entries.size === 1);
    first.close();
    expect(await unsent).to.equal('closed');
    const again = await open({ 'edit message': hold }, { outbox });
    const later = await openRoom(again);
    expect(stored(later, 2)).to.have.nested.property('message.message', 'better');
    await eventually('it is sent again', () => server.sent('edit message').length === 2);
    const [one, two] = server.sent('edit message').map(({ data }) => data);
    expect(one).to.deep.equal(two);
  });

  it('lists requests and archived chats apart, and pinned ones first', async () => {
    const withBen = chatOf('with ben', [someone, ben], [messageOf('with ben', ben, 1)]);
    const old = chatOf('with cat', [someone, person('cat')], [messageOf('with cat', person('cat'), 1)]);
    chats = [...chats, { ...withBen, request: true }, { ...old, pinned: true }];
    const dan = { ...chatOf('with dan', [someone, person('dan')], []), archived: true as const };
    const store = await open({
      'get active chats': (c, frame) =>
        c.answer(frame, { chats: frame.data.filter === 'archived' ? [dan] : chats, presence: {} }),
      'accept chat': (c, frame) => done(c, frame),
      'change chat': (c, frame) => done(c, frame, { chat: { ...chats[0], archived: true } }),
    });
    const listed = (list: 'chats' | 'requests' | 'archived') => store.get()[list].map(({ roomId }) => roomId);
    expect([listed('chats'), listed('requests'), listed('archived')]).to.deep.equal([
      ['with cat', room],
      ['with ben'],
      [],
    ]);
    // Not counted: what somebody says who is no contact.
    expect(store.get().unread).to.equal(4);
    await store.request('accept chat', { roomId: 'with ben' });
    expect(listed('requests')).to.deep.equal([]);
    expect(store.get().hasMoreArchived).to.equal(true);
    await store.moreArchived();
    await store.request('change chat', { roomId: room, archived: true });
    expect(listed('archived')).to.deep.equal([room, 'with dan']);
    expect(store.get().hasMoreArchived).to.equal(false);
    const message = messageOf(room, ada, 4);
    server.last.push('send message', { message }, 'c1');
    await eventually('it is back', () => listed('chats').includes(room));
    server.last.push('change chat', {
      chat: { ...chats[0], lastMessage: message, archived: true, mutedUntil: time(99) },
    });
    server.last.push('send message', { message: messageOf(room, ada, 5) }, 'c2');
    await eventually('the message is here', () => store.get().archived[0]?.lastMessage?.seq === 5);
  });

  it('marks messages of users whom this one has blocked, on this device and on others', async () => {
    chats = [
      groupOf(
        [someone, ada, ben],
        history.map((one) => ({ ...one, roomId: group })),
      ),
    ];
    history = history.map((one) => ({ ...one, roomId: group }));
    const store = await open({ 'block user': (c, frame) => done(c, frame) });
    const shown = await openRoom(store, group);
    const blocked = () =>
      shown.get().entries.map((entry) => entry.state === 'stored' && entry.blocked === true);
    expect(blocked()).to.deep.equal([false, false, false]);
    await store.request('block user', { userId: 'ada', block: true });
    expect(blocked()).to.deep.equal([true, false, true]);
    expect(store.get().chats[0]?.lastIsBlocked, 'the last message of the list').to.equal(true);
    expect(store.get().blocked).to.deep.equal([ada]);
    server.last.push('block user', { userId: 'ada', block: false }, 'c1');
    await eventually('it is taken back', () => store.get().blocked.length === 0);
    server.last.push('block user', { userId: 'ben', block: true }, 'c2');
    await eventually('the friendship ends', () => store.get().friends.length === 0);
    expect(blocked()).to.deep.equal([false, false, false]);
  });

  it('refuses at once to send to a group that this user has left, which can still be read', async () => {
    history = history.map((one) => ({ ...one, roomId: group }));
    chats = [groupOf([someone, ada], history)];
    const left = { windows: [[1, 3]] as [number, number][], members: 1 };
    const { role: _, ...rest } = groupOf([ada], history, left);
    const store = await open({
      'leave group': (c, frame) => done(c, frame),
      'get chat': (c, frame) => c.answer(frame, { chat: rest }),
    });
    const shown = await openRoom(store, group);
    expect(shown.get()).to.include({ isMember: true, otherMark: 3 });
    await store.request('leave group', { roomId: group });
    expect(shown.get().isMember).to.equal(false);
    expect(store.get().chats[0]).to.include({ isMember: false, members: 1, name: 'Friends' });
    const entry = shown.send('too late');
    expect(entry).to.have.nested.property('error.reason', 'not_member');
    expect(shown.get().entries.at(-1)).to.equal(entry);
    const error = await shown
      .react(stored(shown, 1).message.messageId, '👍', true)
      .catch((cause: unknown) => cause);
    expect(error).to.include({ code: 'forbidden', reason: 'not_member' });
    expect(shown.get().entries).to.have.length(4);
    expect(server.sent('send message').concat(server.sent('react'))).to.deep.equal([]);
  });

  it('fetches whoever wrote in a group and is not named, each once', async () => {
    const [eve, fay] = [person('eve'), person('fay')];
    history = [messageOf(group, eve, 1), messageOf(group, fay, 2), messageOf(group, eve, 3)];
    chats = [groupOf([someone, ada], history, { members: 40 })];
    const store = await open();
    const shown = await openRoom(store, group);
    const senders = () =>
      shown.get().entries.map((entry) => entry.state === 'stored' && entry.sender?.userId);
    await eventually('they are known', () => !senders().includes(undefined));
    expect(senders()).to.deep.equal(['eve', 'fay', 'eve']);
    expect(store.get().chats[0]?.sender).to.deep.equal(eve);
    expect(asked.toSorted()).to.deep.equal(['http://nowhere/user/eve', 'http://nowhere/user/fay']);
  });

  it('fetches a chat again whose request an added or removed friend may have changed', async () => {
    chats = chats.map((chat) => ({ ...chat, request: true }));
    const store = await open({
      'get chat': (c, frame) => c.answer(frame, { chat: chatOf(room, [someone, ada], history) }),
      'add friend': (c, frame) => done(c, frame, { friend: ada }),
    });
    expect(store.get().requests).to.have.length(1);
    server.last.push('add friend', { friend: ada }, 'c1');
    await eventually('it is fetched', () => store.get().requests.length === 0);
    server.last.push('remove friend', { userId: 'ada' }, 'c2');
    await eventually('it is fetched again', () => server.sent('get chat').length === 2);
    expect(store.get().friends).to.deep.equal([ben]);
  });

  it('changes preferences, profiles and names where they are shown', async () => {
    const store = await open({
      'change preferences': (c, frame) =>
        done(c, frame, { preferences: { ...preferences, receipts: false } }),
    });
    await eventually('they are here', () => store.get().preferences !== undefined);
    expect(store.get().preferences).to.deep.equal(preferences);
    await store.request('change preferences', { receipts: false });
    expect(store.get().preferences?.receipts).to.equal(false);
    server.last.push('change preferences', { preferences }, 'c1');
    await eventually('another device has changed them', () => store.get().preferences?.receipts === true);
    server.last.push('change user', { user: { ...ada, displayName: 'Ada L.' } });
    await eventually('it is shown', () => store.get().chats[0]?.other?.displayName === 'Ada L.');
    await store.changeProfile({ status: 'away' });
    expect(asked).to.deep.equal(['http://nowhere/user/me']);
  });
});
