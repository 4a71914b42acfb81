import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Place } from '../../support/people.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, heard, Newcomer, say, two } from '../newcomer.js';

/** `init chat`, and when a chat becomes active for whom. */
export function chats(place: Place): void {
  let ada: Newcomer;
  let ben: Newcomer;
  let phone: RawSocket;
  let laptop: RawSocket;
  let tablet: RawSocket;
  beforeEach(async () => {
    [ada, ben] = await two(place);
    [phone, laptop, tablet] = [await ada.device(), await ada.device(), await ben.device()];
  });
  afterEach(() => Promise.all([phone, laptop, tablet].map((device) => device.close())));

  const chatIds = async (device: RawSocket, revision: string): Promise<string[]> =>
    (await device.request('get active chats', { revision })).chats.map(({ roomId }) => roomId);

  it('is not pushed to the connection that asked, with somebody whom nobody here has seen yet either', async () => {
    const stranger = await Newcomer.at(place);
    const { revision } = await phone.request('init chat', { friendId: stranger.userId });
    // The laptop gets it in its place; whatever the phone was to get has then been sent, before this answer.
    await laptop.push('init chat');
    await phone.request('get active chats', { revision });
    expect(phone.pushes('init chat')).to.deep.equal([]);
  });

  it('opens one room for the pair for ever, whoever asks', async () => {
    const { room, isNewActive, friendId } = await phone.request('init chat', { friendId: ben.userId });
    expect(room).to.have.all.keys(
      'roomId',
      'roomType',
      'participants',
      'lastMessage',
      'unread',
      'readUpTo',
      'createdAt',
    );
    expect(room).to.include({ roomType: 'PRIVATE', lastMessage: null, unread: 0 });
    expect(room.participants).to.have.deep.members([ada.user, ben.user]);
    expect(room.readUpTo).to.deep.equal({ [ada.userId]: 0, [ben.userId]: 0 });
    expect(new Date(room.createdAt).toISOString()).to.equal(room.createdAt);
    expect({ isNewActive, friendId }).to.deep.equal({ isNewActive: true, friendId: ben.userId });
    const again = await phone.request('init chat', { friendId: ben.userId });
    expect(again).to.deep.include({ room, isNewActive: false });
    const theirs = await tablet.request('init chat', { friendId: ada.userId });
    expect(theirs.room.roomId).to.equal(room.roomId);
    expect(theirs.isNewActive).to.equal(true);
  });

  it('is one of mine that get chat shows, with the presence of the other who is a contact', async () => {
    const { room, revision } = await phone.request('init chat', { friendId: ben.userId });
    const { roomId } = room;
    expect(await phone.request('get chat', { roomId, revision })).to.deep.equal({ chat: room });
    const message = await say(phone, roomId, 'hello');
    await hear(tablet, 'hello');
    const { chat, presence } = await tablet.request('get chat', { roomId });
    expect(chat).to.deep.include({ lastMessage: message, unread: 1 });
    expect(presence).to.have.all.keys(ada.userId);
    const stranger = await (await Newcomer.at(place)).device();
    for (const asked of [roomId, randomUUID()])
      expect(await stranger.refusal('get chat', { roomId: asked })).to.include({ code: 'not_found' });
    await stranger.close();
  });

  it('opens one room for two who ask at once', async () => {
    const [one, other] = await Promise.all([chatOf(phone, ben), chatOf(tablet, ada)]);
    expect(one).to.equal(other);
  });

  it('is active for its initiator at once, and not yet for the other', async () => {
    const { room, revision } = await phone.request('init chat', { friendId: ben.userId });
    expect(await chatIds(phone, revision)).to.deep.equal([room.roomId]);
    expect(await chatIds(tablet, revision)).to.deep.equal([]);
    expect(tablet.pushes('init chat')).to.deep.equal([]);
  });

  it('is pushed to my other devices when it became active, and not for a repeat', async () => {
    const { room } = await phone.request('init chat', { friendId: ben.userId });
    await phone.request('init chat', { friendId: ben.userId });
    const { data, cursor } = await laptop.push('init chat');
    expect(data).to.deep.equal({ room });
    expect(cursor).to.be.a('string');
    await say(phone, room.roomId, 'hello');
    await hear(laptop, 'hello');
    expect(laptop.pushes('init chat')).to.have.length(1);
    expect(phone.pushes('init chat')).to.deep.equal([]);
  });

  it('becomes active for the other with its first message: pushed before it, and they are joined', async () => {
    const second = await ben.device();
    const roomId = await chatOf(phone, ben);
    await say(phone, roomId, 'hello');
    for (const device of [tablet, second]) {
      await hear(device, 'hello');
      const stored = device.frames.filter(({ cursor, id }) => cursor !== undefined && id === undefined);
      expect(stored.map(({ event }) => event)).to.deep.equal(['init chat', 'send message']);
      const [opened] = device.pushed('init chat');
      expect(opened?.room).to.include({ roomId, roomType: 'PRIVATE' });
      expect(opened?.room.participants).to.have.deep.members([ada.user, ben.user]);
    }
    const { chats } = await tablet.request('get active chats', {});
    expect(chats.map((chat) => chat.roomId)).to.deep.equal([roomId]);
    await say(phone, roomId, 'and again');
    await hear(tablet, 'and again');
    expect(tablet.pushes('init chat')).to.have.length(1);
    await second.close();
  });

  it('is not pushed with the first message to whom it is active already', async () => {
    const roomId = await chatOf(phone, ben);
    await tablet.request('init chat', { friendId: ada.userId });
    await say(phone, roomId, 'hello');
    await hear(tablet, 'hello');
    expect(tablet.pushes('init chat')).to.deep.equal([]);
  });

  it('becomes active for the other when they speak first: pushed to their devices but the one that sends', async () => {
    const second = await ben.device();
    const roomId = await chatOf(phone, ben);
    await say(tablet, roomId, 'I was first');
    await Promise.all([hear(second, 'I was first'), hear(phone, 'I was first')]);
    expect(second.pushed('init chat').map(({ room }) => room.roomId)).to.deep.equal([roomId]);
    await say(phone, roomId, 'you were');
    await hear(tablet, 'you were');
    expect(tablet.pushes('init chat')).to.deep.equal([]);
    expect(heard(tablet)).to.deep.equal(['you were']);
    await second.close();
  });

  it('refuses oneself, and somebody there is not', async () => {
    expect(await phone.refusal('init chat', { friendId: ada.userId })).to.include({ code: 'bad_request' });
    expect(await phone.refusal('init chat', { friendId: randomUUID() })).to.include({ code: 'not_found' });
  });
}

/** `get active chats`. */
export function activeChats(place: Place): void {
  let ada: Newcomer;
  let phone: RawSocket;
  const rooms: string[] = [];
  const others: Newcomer[] = [];
  const devices: RawSocket[] = [];
  before(async () => {
    ada = await Newcomer.at(place);
    phone = await ada.device();
    for (let n = 0; n < 5; n++) {
      const other = await Newcomer.at(place);
      const device = await other.device();
      const roomId = await chatOf(phone, other);
      others.push(other);
      devices.push(device);
      rooms.push(roomId);
      if (n !== 3) await say(phone, roomId, `hello ${n}`);
    }
    await say(phone, rooms[1] ?? '', 'newest');
  });
  after(() => Promise.all([phone, ...devices].map((device) => device?.close())));

  it('lists them by newest activity, page by page', async () => {
    const { chats, next } = await phone.request('get active chats', {});
    expect(next).to.equal(undefined);
    const order = [1, 4, 3, 2, 0].map((n) => rooms[n]);
    expect(chats.map(({ roomId }) => roomId)).to.deep.equal(order);
    const pages: string[][] = [];
    for (let from = {}; pages.length < 4; ) {
      const page = await phone.request('get active chats', { limit: 2, ...from });
      pages.push(page.chats.map(({ roomId }) => roomId));
      if (page.next === undefined) break;
      from = { next: page.next };
    }
    expect(pages).to.deep.equal([order.slice(0, 2), order.slice(2, 4), order.slice(4)]);
  });

  it('has the last message, what is unread, and both marks', async () => {
    const device = devices[1];
    await hear(device as RawSocket, 'newest');
    const { chats } = await (device as RawSocket).request('get active chats', {});
    const [chat] = chats;
    expect(chat).to.deep.include({ roomId: rooms[1], unread: 2 });
    expect(chat?.lastMessage).to.include({ message: 'newest', seq: 2, senderId: ada.userId });
    expect(chat?.readUpTo).to.deep.equal({ [ada.userId]: 2, [others[1]?.userId ?? '']: 0 });
  });

  it('has the presence of those other members who are contacts', async () => {
    const { presence } = await phone.request('get active chats', {});
    // To the one at 3 nothing was said.
    const contacts = others.filter((_, n) => n !== 3).map(({ userId }) => userId);
    expect(presence).to.have.all.keys(contacts);
    for (const level of Object.values(presence)) expect(level).to.have.all.keys('isOnline', 'lastSeen');
  });

  it('refuses a next that it did not give', async () => {
    const { next = '' } = await phone.request('get active chats', { limit: 1 });
    for (const bad of ['x', `${next}x`, next.replace(/^./, (c) => (c === 'a' ? 'b' : 'a'))])
      expect(await phone.refusal('get active chats', { next: bad })).to.include({ code: 'bad_request' });
  });
}
