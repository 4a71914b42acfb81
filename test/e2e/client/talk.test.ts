import { expect } from 'chai';
import { Rest } from '../../../packages/client/src/rest.js';
import type { Room } from '../../../packages/client/src/store/storeTypes.js';
import { MemoryOutbox, OpenedStores, onlyChat, shown, toShow } from '../../client/store/people.js';
import { eventually } from '../../support/eventually.js';
import { newDevice, type Person, signUp } from '../../support/people.js';
import { TcpProxy } from '../../support/proxy.js';
import { type ServerProcess, startServer } from '../../support/server.js';

describe('two people with stores, over real sockets', () => {
  let server: ServerProcess;
  let ada: Person;
  let ben: Person;
  const stores = new OpenedStores();
  const { open } = stores;
  let n = 0;

  /** A chat of the two, each with a store and the room open. */
  const talking = () => stores.talking(server, [ada, ben], 'hello');

  before(async () => {
    server = await startServer({ engine: 'sqlite', env: { PRESENCE_GRACE: '1s' } });
  });

  beforeEach(async () => {
    n++;
    ada = await signUp(server, `ada${n}`);
    ben = await signUp(server, `ben${n}`);
  });

  afterEach(() => {
    stores.closeAll();
  });

  after(() => server.stop());

  it('shows a message at once, as stored when it is, and to the other with its chat', async () => {
    const of = await open(server, ada);
    const to = await open(server, ben);
    const chat = await of.openChat(ben.user.userId);
    expect(chat).to.deep.include({ lastMessage: null, unread: 0, isTyping: false });
    expect(chat.other).to.deep.equal(ben.user);
    expect(to.get().chats).to.deep.equal([]);
    const mine = of.openRoom(chat.roomId);
    const entry = mine.send('hello');
    expect(entry).to.include({ state: 'sending', message: 'hello' });
    expect(mine.get().entries).to.deep.equal([entry]);
    await toShow(mine, ['hello']);
    const theirs = await onlyChat(to);
    expect(theirs.other).to.deep.equal(ada.user);
    await eventually('it is unread', () => to.get().unread === 1);
    const room = to.openRoom(theirs.roomId);
    room.send('hi', entry.state === 'stored' ? {} : { replyTo: entry.messageId });
    await toShow(mine, ['hello', 'hi']);
    await toShow(room, ['hello', 'hi']);
    expect(mine.get().history).to.deep.equal({ state: 'complete' });
    expect(of.get().chats[0]?.lastMessage).to.include({ message: 'hi', senderId: ben.user.userId });
  });

  it('counts what is unread, and shows marks to both and to other devices', async () => {
    const { of, to, mine, theirs } = await talking();
    const second = await open(server, ben);
    mine.send('and more');
    await eventually('two are unread', () => to.get().unread === 2 && second.get().unread === 2);
    theirs.read(1);
    expect(theirs.get().myMark).to.equal(1);
    theirs.read(99);
    expect(to.get().unread).to.equal(0);
    await eventually('the other sees it', () => mine.get().otherMark === 2);
    expect(mine.get().entries.map((entry) => entry.state === 'stored' && entry.isRead)).to.deep.equal([
      true,
      true,
    ]);
    await eventually('the other device too', () => second.get().unread === 0);
    expect(of.get().unread).to.equal(0);
  });

  it('shows who types, until they stop or send', async () => {
    const { of, mine, theirs } = await talking();
    const isTyping = (): boolean => of.get().chats[0]?.isTyping === true;
    theirs.typing(true);
    theirs.typing(true);
    await eventually('they type', isTyping);
    theirs.typing(false);
    await eventually('they stopped', () => !isTyping());
    theirs.typing(true);
    await eventually('they type again', isTyping);
    theirs.send('done');
    await toShow(mine, ['hello', 'done']);
    expect(isTyping()).to.equal(false);
  });

  it('shows who is there, who looks away and who has gone', async () => {
    const { of, to } = await talking();
    const presence = (): string | undefined => of.get().chats[0]?.presence.state;
    await eventually('they are there', () => presence() === 'online');
    to.setActive(false);
    await eventually('they look away', () => presence() === 'offline');
    to.setActive(true);
    await eventually('they are back', () => presence() === 'online');
    to.close();
    await eventually('they have gone', () => presence() === 'offline');
    expect(of.get().chats[0]?.presence).to.have.property('lastSeen').that.matches(/Z$/);
  });

  it('says again that nobody looks, after a reconnect', async () => {
    const address = new URL(server.url);
    const proxy = await TcpProxy.to(address.hostname, Number(address.port));
    const { of, to } = await talking();
    const device = await open(server, ben, { url: `http://127.0.0.1:${proxy.port}` });
    to.close();
    device.setActive(false);
    const presence = (): string | undefined => of.get().chats[0]?.presence.state;
    await eventually('they look away', () => presence() === 'offline');
    proxy.cut();
    await eventually('it is cut', () => device.get().connection.state !== 'live');
    proxy.restore();
    await eventually('it is back', () => device.get().connection.state === 'live');
    await eventually('they are away still', () => presence() === 'offline');
    device.setActive(true);
    await eventually('they are there', () => presence() === 'online');
    await proxy.close();
  });

  it('makes friends of two, who still find each other in a search', async () => {
    const of = await open(server, ada);
    const to = await open(server, ben);
    const found = await of.searchPeople(ben.username);
    expect(found.map(({ userId }) => userId)).to.deep.equal([ben.user.userId]);
    await of.addFriend(ben.user.userId);
    expect(of.get().friends).to.deep.equal([ben.user]);
    expect(await of.searchPeople(ben.username.slice(1))).to.deep.equal([ben.user]);
    await eventually('the other knows', () => to.get().friends.length === 1);
    expect((await open(server, ada)).get().friends).to.deep.equal([ben.user]);
  });

  it('goes on where it was after the network was away, with what was written meanwhile', async () => {
    const address = new URL(server.url);
    const proxy = await TcpProxy.to(address.hostname, Number(address.port));
    const { mine, roomId } = await talking();
    const device = await open(server, ben, { url: `http://127.0.0.1:${proxy.port}` });
    const room = device.openRoom(roomId);
    await toShow(room, ['hello']);
    proxy.cut();
    await eventually('it is away', () => device.get().connection.state === 'waiting');
    mine.send('are you there?');
    room.send('I am away');
    room.send('and write');
    room.read(1);
    await toShow(mine, ['hello', 'are you there?']);
    expect(shown(room)).to.deep.equal(['hello', 'I am away (sending)', 'and write (sending)']);
    proxy.restore();
    const both = ['hello', 'are you there?', 'I am away', 'and write'];
    await toShow(room, both);
    await toShow(mine, both);
    expect(device.get().connection).to.include({ state: 'live', resumed: true });
    await proxy.close();
  });

  it('keeps what is unsent over a killed server and a device that starts anew', async () => {
    const { of, mine, theirs, roomId } = await talking();
    const outbox = new MemoryOutbox();
    const device = await open(server, ada, { outbox });
    const room = device.openRoom(roomId);
    await toShow(room, ['hello']);
    await server.kill();
    room.send('one');
    room.send('two');
    mine.send('three');
    await eventually('both are kept', () => outbox.entries.size === 2);
    device.close();
    await server.start();
    await toShow(theirs, ['hello', 'three']);
    const again = await open(server, ada, { outbox });
    const later = again.openRoom(roomId);
    await toShow(later, ['hello', 'three', 'one', 'two']);
    await toShow(theirs, ['hello', 'three', 'one', 'two']);
    expect(outbox.entries.size).to.equal(0);
    expect(of.get().connection).to.include({ state: 'live', resumed: true });
  });

  it('shows what is refused, as a message to somebody erased, until it is given up', async () => {
    const { mine, theirs } = await talking();
    const { user, username, password } = ben;
    const device = await newDevice(server, ben);
    await toShow(theirs, ['hello']);
    theirs.send('bye');
    await toShow(mine, ['hello', 'bye']);
    await new Rest(server.url).erase(device.token, user.userId, password);
    await toShow(mine, ['hello', '(erased)']);
    const { messageId } = refusable(mine.send(`where are you, ${username}?`));
    const refused = `where are you, ${username}? (refused)`;
    await toShow(mine, ['hello', '(erased)', refused]);
    const last = mine.get().entries.at(-1);
    expect(last).to.have.nested.property('error.code', 'forbidden');
    expect(mine.get().other).to.include({ username: null, erased: true });
    mine.retry(messageId);
    await eventually('it is refused again', () => mine.get().entries.at(-1) !== last);
    await toShow(mine, ['hello', '(erased)', refused]);
    mine.discard(messageId);
    await toShow(mine, ['hello', '(erased)']);
    device.close();
  });

  it('fetches pages of the past, one for calls that come together, until it is whole', async () => {
    const { to, mine, theirs, roomId } = await talking();
    const texts = Array.from({ length: 199 }, (_, i) => `line ${i}`);
    for (const text of texts) mine.send(text);
    await eventually('all are there', () => shown(theirs).at(-1) === 'line 198');
    theirs.close();
    const room = to.openRoom(roomId);
    expect(room).to.not.equal(theirs);
    // A closed room keeps the newest.
    expect(shown(room)).to.deep.equal(texts.slice(-50));
    expect(room.get().history).to.deep.equal({ state: 'loading' });
    await eventually('a page is there', () => room.get().history.state === 'more');
    const first = room.get().entries;
    expect(first.length).to.be.lessThan(150);
    await Promise.all([room.earlier(), room.earlier()]);
    expect(room.get().entries.length).to.equal(first.length + 50);
    expect(room.get().entries.slice(-first.length)).to.deep.equal(first);
    while (room.get().history.state === 'more') await room.earlier();
    expect(room.get().history).to.deep.equal({ state: 'complete' });
    expect(shown(room)).to.deep.equal(['hello', ...texts]);
    expect(to.openRoom(roomId)).to.equal(room);
  });
});

function refusable(entry: ReturnType<Room['send']>): { messageId: string } {
  if (entry.state === 'stored') throw new Error('it is stored already');
  return entry;
}
