import { expect } from 'chai';
import type { Entry, Room, Store } from '../../../packages/client/src/store/storeTypes.js';
import type { ClientError, Message } from '../../../packages/client/src/types.js';
import { MemoryOutbox, OpenedStores, onlyChat, shown, toShow } from '../../client/store/people.js';
import { hasEngine, kindsWith, type Running, startFresh } from '../../support/engines.js';
import { eventually } from '../../support/eventually.js';
import { type Person, signUp } from '../../support/people.js';
import { TcpProxy } from '../../support/proxy.js';

for (const kind of kindsWith('nodes'))
  describe(`people with stores who change what was said, and with whom, on ${kind}`, () => {
    let system: Running;
    let people: Person[];
    const stores = new OpenedStores();
    const { open } = stores;
    let n = 0;

    /** Ada and Ben in a chat of three messages, the second Ben's. */
    async function talking() {
      const [ada, ben] = people as [Person, Person];
      const talk = await stores.talking(system, [ada, ben], 'one');
      const { mine, theirs } = talk;
      await toShow(theirs, ['one']);
      theirs.send('two');
      await toShow(mine, ['one', 'two']);
      mine.send('three');
      await toShow(theirs, ['one', 'two', 'three']);
      await toShow(mine, ['one', 'two', 'three']);
      return talk;
    }

    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      system = await startFresh(kind, { env: { RATE_LIMIT: 'off', AUTH_RATE_LIMIT: 'off' } });
    });

    beforeEach(async () => {
      n++;
      people = await Promise.all(['ada', 'ben', 'cat'].map((name) => signUp(system, `${name}${kind}${n}`)));
    });

    afterEach(() => stores.closeAll());

    after(() => system?.stop());

    it('shows edits, reactions, deletions and pins to both, and on a device that was away', async () => {
      const { of, to, mine, theirs, roomId } = await talking();
      const address = new URL(system.wsUrl);
      const proxy = await TcpProxy.to(address.hostname, Number(address.port));
      const [ada] = people as [Person];
      const away = await open(system, ada, { url: `http://127.0.0.1:${proxy.port}` });
      const absent = away.openRoom(roomId);
      await toShow(absent, ['one', 'two', 'three']);
      proxy.cut();
      await eventually('it is away', () => away.get().connection.state === 'waiting');
      const [one, two, three] = mine.get().entries.map(messageOf) as [Message, Message, Message];
      await mine.edit(one.messageId, 'one, or more');
      await theirs.react(one.messageId, '👍', true);
      await mine.react(two.messageId, '🎉', true);
      await mine.react(one.messageId, '👍', true);
      await theirs.react(one.messageId, '👍', false);
      await mine.delete(three.messageId);
      proxy.restore();
      for (const room of [mine, theirs, absent]) {
        await toShow(room, ['one, or more', 'two', '(erased)']);
        await eventually('both have reactions', () => reactions(room).join() === '👍1,🎉1,');
        const [first, , last] = room.get().entries.map(messageOf);
        expect(first).to.include({ rev: 1 }).and.have.property('editedAt');
        expect(last?.deleted).to.deep.equal({ by: of.get().me?.userId });
      }
      expect(away.get().connection).to.include({ state: 'live', resumed: true });
      expect(to.get().chats[0]?.lastMessage?.deleted).to.deep.equal({ by: of.get().me?.userId });
      // Only admins pin, and this is no group.
      const refused = await of
        .request('pin message', { roomId, messageId: two.messageId, on: true })
        .catch(({ code }: ClientError) => code);
      expect(refused === 'forbidden' || typeof refused === 'object').to.equal(true);
      const error = await theirs.edit(one.messageId, 'not mine').catch((cause: unknown) => cause);
      expect(error).to.have.property('code', 'forbidden');
      expect(shown(theirs)[0]).to.equal('one, or more');
      await proxy.close();
    });

    it('keeps edits, deletions and reactions over a killed server and a device that starts anew', async () => {
      const { of, mine, theirs, roomId } = await talking();
      const [ada] = people as [Person];
      const outbox = new MemoryOutbox();
      const device = await open(system, ada, { outbox });
      const room = device.openRoom(roomId);
      await toShow(room, ['one', 'two', 'three']);
      const [one, two, three] = room.get().entries.map(messageOf) as [Message, Message, Message];
      await system.kill();
      void room.edit(one.messageId, 'first');
      void room.edit(one.messageId, 'first of all');
      void room.react(two.messageId, '👍', true);
      void room.react(two.messageId, '🎉', true);
      void room.react(two.messageId, '🎉', false);
      void room.delete(three.messageId);
      room.send('four');
      const changed = ['first of all', 'two', '(erased)', 'four (sending)'];
      await toShow(room, changed);
      await eventually('all are kept', () => outbox.entries.size === 6);
      device.close();
      await system.start();
      const again = await open(system, ada, { outbox });
      const later = again.openRoom(roomId);
      const stored = ['first of all', 'two', '(erased)', 'four'];
      for (const each of [later, mine, theirs]) {
        await toShow(each, stored);
        await eventually('the reaction is there', () => reactions(each).join() === ',👍1,,');
        expect(messageOf(each.get().entries[0])).to.include({ rev: 2 });
      }
      await eventually('nothing is unsent', () => outbox.entries.size === 0);
      expect(later.get().entries.every((entry) => entry.state === 'stored' && !entry.isChanging)).to.equal(
        true,
      );
      expect(of.get().connection).to.include({ state: 'live', resumed: true });
    });

    it('shows a group to its members: names, roles, windows, mentions, and who has left', async () => {
      const [ada, ben, cat] = people as [Person, Person, Person];
      const [of, to] = [await open(system, ada), await open(system, ben)];
      const roomId = crypto.randomUUID();
      const memberIds = [ben.user.userId];
      await of.request('create group', { roomId, name: 'Friends', memberIds });
      const mine = of.openRoom(roomId);
      const line = await onlyChat(to);
      expect(line).to.include({ name: 'Friends', members: 2, role: 'member', isMember: true });
      const theirs = to.openRoom(roomId);
      mine.send('one');
      mine.send('two', { mentions: [ben.user.userId] });
      await toShow(theirs, ['one', 'two']);
      await eventually('it mentions Ben', () => to.get().chats[0]?.mentions.join() === '2');
      expect(to.get().unread).to.equal(2);
      const third = await open(system, cat);
      await of.request('add members', { roomId, userIds: [cat.user.userId] });
      await eventually('three are shown', () => theirs.get().participants.length === 3);
      expect(of.get().chats[0]?.members).to.equal(3);
      const line3 = await onlyChat(third);
      expect(line3).to.deep.include({ windows: [[3, null]], unread: 0, members: 3 });
      const hers = third.openRoom(roomId);
      theirs.send('three');
      await toShow(hers, ['three']);
      expect(hers.get().history).to.deep.equal({ state: 'complete' });
      expect(third.get().unread).to.equal(1);
      await of.request('change group', { roomId, name: 'Old friends' });
      await of.request('change role', { roomId, userId: ben.user.userId, role: 'admin' });
      await eventually('Ben is admin', () => to.get().chats[0]?.role === 'admin');
      await eventually('it is renamed', () => third.get().chats[0]?.name === 'Old friends');
      const [, two] = theirs.get().entries.map(messageOf);
      await to.request('pin message', { roomId, messageId: two?.messageId ?? '', on: true });
      await eventually('it is pinned', () => messageOf(mine.get().entries[1])?.pinned === true);
      expect(of.get().chats[0]?.pinnedMessages).to.deep.equal([two?.messageId]);
      await to.request('remove member', { roomId, userId: cat.user.userId });
      await eventually('she has left', () => third.get().chats[0]?.isMember === false);
      mine.send('four');
      await toShow(theirs, ['one', 'two', 'three', 'four']);
      expect(hers.send('still here?')).to.have.nested.property('error.reason', 'not_member');
      expect(shown(hers)).to.deep.equal(['three', 'still here? (refused)']);
      await of.request('add members', { roomId, userIds: [cat.user.userId] });
      mine.send('five');
      await toShow(hers, ['three', 'five', 'still here? (refused)']);
      expect(third.get().chats[0]).to.deep.include({
        isMember: true,
        windows: [
          [3, 3],
          [5, null],
        ],
      });
      await of.request('leave group', { roomId });
      await eventually('Ben is the owner', () => to.get().chats[0]?.role === 'owner');
      expect(of.get().chats[0]).to.include({ isMember: false });
      expect(shown(mine)).to.deep.equal(['one', 'two', 'three', 'four', 'five']);
    });

    it('shows archived, muted and pinned chats and profiles on all devices', async () => {
      const { of, to, mine, theirs, roomId } = await talking();
      const [ada] = people as [Person];
      const second = await open(system, ada);
      await of.request('change chat', { roomId, archived: true });
      await eventually('it is archived', () => second.get().archived.length === 1);
      expect(of.get().chats).to.deep.equal([]);
      theirs.send('four');
      for (const store of [of, second]) await eventually('it is back', () => store.get().chats.length === 1);
      const mutedUntil = new Date(Date.now() + 3_600_000).toISOString();
      await of.request('change chat', { roomId, archived: true, mutedUntil, pinned: true });
      await toShow(mine, ['one', 'two', 'three', 'four']);
      theirs.send('five');
      await toShow(mine, ['one', 'two', 'three', 'four', 'five']);
      const later = await open(system, ada);
      expect(later.get().chats).to.deep.equal([]);
      await later.moreArchived();
      for (const store of [of, second, later]) {
        // The other device is told on its own connection.
        await eventually('it is archived again', () => store.get().archived.length === 1);
        expect(store.get().archived[0]).to.include({ roomId, mutedUntil, pinned: true });
      }
      await to.changeProfile({ displayName: 'Ben the second' });
      const name = (): unknown => of.get().archived[0]?.other?.displayName;
      await eventually('the name is shown', () => name() === 'Ben the second');
    });

    it('shows blocks, preferences and ended friendships on all devices', async () => {
      const { of, to, mine, theirs, roomId } = await talking();
      const [ada, ben] = people as [Person, Person];
      const second = await open(system, ada);
      for (const store of [of, second])
        await eventually('preferences are here', () => store.get().preferences?.whoInvites === 'everyone');
      await of.request('change preferences', { whoInvites: 'nobody' });
      await eventually('they are changed', () => second.get().preferences?.whoInvites === 'nobody');
      await of.request('block user', { userId: ben.user.userId, block: true });
      await eventually('he is blocked', () => second.get().blocked.length === 1);
      expect(
        mine.get().entries.map((entry) => entry.state === 'stored' && entry.blocked === true),
      ).to.deep.equal([false, true, false]);
      expect(to.get().blocked).to.deep.equal([]);
      theirs.send('are you there?');
      await eventually('it is refused', () => theirs.get().entries.at(-1)?.state === 'refused');
      expect(theirs.get().entries.at(-1)).to.have.nested.property('error.reason', 'not_taken');
      expect(mine.send('no')).to.include({ state: 'sending' });
      await eventually('mine too', () => mine.get().entries.at(-1)?.state === 'refused');
      expect(mine.get().entries.at(-1)).to.have.nested.property('error.reason', 'blocked');
      await of.request('block user', { userId: ben.user.userId, block: false });
      await eventually('he is not', () => second.get().blocked.length === 0);
      await of.addFriend(ben.user.userId);
      await eventually(
        'they are friends',
        () => to.get().friends.length === 1 && second.get().friends.length === 1,
      );
      await to.request('remove friend', { friendId: ada.user.userId });
      for (const store of [of, to, second])
        await eventually('they are not', () => store.get().friends.length === 0);
      expect(of.get().chats.map((chat) => chat.roomId)).to.deep.equal([roomId]);
    });
  });

describe('people with stores on a public service', () => {
  let system: Running;
  const stores = new OpenedStores();

  before(async () => {
    system = await startFresh('sqlite', { env: { RATE_LIMIT: 'off', CONTACTS: 'consent' } });
  });

  after(async () => {
    stores.closeAll();
    await system?.stop();
  });

  it('have chats of strangers in a list of their own, until they accept, write or add', async () => {
    const [ada, ben, cat] = await Promise.all(['ada', 'ben', 'cat'].map((name) => signUp(system, name)));
    if (!ada || !ben || !cat) throw new Error('nobody has signed up');
    const opened: Store[] = [];
    for (const person of [ada, ben, ben, cat]) opened.push(await stores.open(system, person));
    const [of, to, second, third] = opened as [Store, Store, Store, Store];
    for (const store of [of, third]) {
      const { roomId } = await store.openChat(ben.user.userId);
      store.openRoom(roomId).send('who are you?');
    }
    for (const store of [to, second]) {
      await eventually('both ask', () => store.get().requests.length === 2);
      expect(store.get()).to.deep.include({ chats: [], unread: 0 });
    }
    expect(of.get().requests).to.deep.equal([]);
    const roomWith = ({ user }: Person): string =>
      to.get().requests.find(({ other }) => other?.userId === user.userId)?.roomId ?? '';
    await to.request('accept chat', { roomId: roomWith(ada) });
    expect(to.get().chats[0]?.other?.userId).to.equal(ada.user.userId);
    await eventually('on both devices', () => second.get().requests.length === 1);
    to.openRoom(roomWith(cat)).send('I am Ben');
    for (const store of [to, second]) await eventually('none asks', () => store.get().requests.length === 0);
    expect(second.get().chats).to.have.length(2);
  });
});

function messageOf(entry: Entry | undefined): Message | undefined {
  return entry?.state === 'stored' ? entry.message : undefined;
}

/** The reactions of each message: an emoji and how many. */
const reactions = (room: Room): string[] =>
  room
    .get()
    .entries.map((entry) =>
      (messageOf(entry)?.reactions ?? []).map(({ emoji, count }) => `${emoji}${count}`).join(' '),
    );
