import { expect } from 'chai';
import { Rest } from '../../packages/client/src/rest.js';
import { ClientError } from '../../packages/client/src/types.js';
import { hasEngine, kindsWith, type Running, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { type Device, newDevice, type Person, signUp } from '../support/people.js';

for (const engine of kindsWith('sqlite')) {
  describe(`a conversation, from sign-up to sign-out (${engine})`, function () {
    this.timeout(120_000);
    let server: Running;
    let ada: Person;
    let ben: Person;
    let phone: Device;
    let laptop: Device;
    let tablet: Device;
    let roomId: string;

    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine);
      [ada, ben] = [await signUp(server, 'Ada'), await signUp(server, 'Ben')];
      [phone, laptop] = [await newDevice(server, ada), await newDevice(server, ada)];
      tablet = await newDevice(server, ben);
      await Promise.all([phone, laptop, tablet].map(({ client }) => client.ready));
    });

    after(async () => {
      for (const device of [phone, laptop, tablet]) device?.close();
      await server?.stop();
    });

    it('finds people by any part of their name, and not oneself', async () => {
      const users = await new Rest(server.url).search(phone.token, 'EN');
      expect(users.map(({ username }) => username)).to.deep.equal(['Ben']);
      expect(await new Rest(server.url).search(phone.token, 'ada')).to.deep.equal([]);
    });

    it('makes friends of two at once, and tells the other', async () => {
      const told: (string | null)[] = [];
      tablet.client.on('add friend', ({ friend }) => void told.push(friend.username));
      const { friend } = await phone.client.request('add friend', { friendId: ben.user.userId });
      expect(friend).to.deep.equal(ben.user);
      await eventually('the friend is told', () => told.length === 1);
      expect(told).to.deep.equal(['Ada']);
    });

    it('opens one chat for the two, whoever asks', async () => {
      roomId = await phone.chatWith(ben);
      expect(await tablet.chatWith(ada)).to.equal(roomId);
    });

    it('delivers a message to all other devices of both', async () => {
      const message = await phone.say(roomId, 'Hello, Ben. 👋');
      expect(message).to.include({ roomId, seq: 1, senderId: ada.user.userId, message: 'Hello, Ben. 👋' });
      await eventually('both have it', () => laptop.pushed.length === 1 && tablet.pushed.length === 1);
      expect([laptop.pushed, tablet.pushed]).to.deep.equal([[message], [message]]);
      expect(phone.pushed).to.deep.equal([]);
    });

    it('counts what is unread, until it is read', async () => {
      const chats = async (): Promise<number[]> => {
        const answer = await tablet.client.request('get active chats', {});
        return answer.chats.map(({ unread }) => unread);
      };
      expect(await chats()).to.deep.equal([1]);
      const marks: number[] = [];
      phone.client.on('read messages', ({ upTo }) => void marks.push(upTo));
      const { upTo, unread } = await tablet.client.request('read messages', { roomId });
      expect({ upTo, unread }).to.deep.equal({ upTo: 1, unread: 0 });
      expect(await chats()).to.deep.equal([0]);
      await eventually('the sender sees the mark', () => marks.length === 1);
    });

    it('gives a device that was away what it missed, in order and once', async () => {
      tablet.close();
      for (const text of ['one', 'two', 'three']) await phone.say(roomId, text);
      await tablet.reopen();
      await tablet.client.ready;
      expect(tablet.pushed.map(({ message }) => message)).to.deep.equal([
        'Hello, Ben. 👋',
        'one',
        'two',
        'three',
      ]);
      expect(await tablet.history(roomId)).to.deep.equal(tablet.timeline(roomId).messages);
    });

    it('ends the sockets of a session that signs out, and no others', async () => {
      await new Rest(server.url).signOut(laptop.token);
      await eventually('the device knows', () => laptop.client.state.state === 'ended');
      expect(laptop.client.state).to.deep.equal({ state: 'ended', why: 'signed_out' });
      const error = await new Rest(server.url).search(laptop.token, 'ben').catch((e: unknown) => e);
      expect(error).to.be.instanceOf(ClientError).with.property('code', 'unauthenticated');
      expect(phone.client.state.state).to.equal('live');
    });
  });
}
