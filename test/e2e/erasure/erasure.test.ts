import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { hasEngine, kindsWith, type Running, startFresh } from '../../support/engines.js';
import { eventually } from '../../support/eventually.js';
import { ask, type Reply } from '../../support/http.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { chatOf, hear, Newcomer, say } from '../newcomer.js';

const HERS = 'what Ada said';
const HIS = 'what Ben said';

for (const engine of kindsWith('nodes')) {
  describe(`erasing a user (${engine})`, function () {
    this.timeout(120_000);
    let server: Running;
    let ada: Newcomer;
    let ben: Newcomer;
    let cem: Newcomer;
    let phone: RawSocket;
    let tablet: RawSocket;
    let roomId: string;
    let past: string;
    const hers = { messageId: randomUUID() };
    const his = { messageId: randomUUID() };

    const erase = (who: Newcomer, options: Parameters<typeof ask>[2] = {}): Promise<Reply> =>
      ask(server.url, `DELETE /user/${who.userId}`, {
        token: who.token,
        json: { password: who.password },
        ...options,
      });
    const get = async (who: Newcomer, path: string) => (await ask(server.url, `GET ${path}`, who)).body;
    const erasedAda = () => {
      const { userId, backgroundColor, createdAt } = ada.user;
      return { userId, username: null, backgroundColor, createdAt, erased: true };
    };

    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env: { RATE_LIMIT: 'off' } });
      [ada, ben, cem] = [await Newcomer.at(server), await Newcomer.at(server), await Newcomer.at(server)];
      [phone, tablet] = [await ada.device(), await ben.device()];
      past = tablet.cursor;
      await phone.request('add friend', { friendId: ben.userId });
      roomId = await chatOf(phone, ben);
      await phone.request('send message', { roomId, ...hers, message: HERS });
      await hear(tablet, HERS);
      await tablet.request('send message', { roomId, ...his, message: HIS });
      await hear(phone, HIS);
    });
    after(async () => {
      await tablet?.close();
      await server?.stop();
    });

    it('is for themselves only, with their password', async () => {
      const codeOf = ({ body, status }: Reply) => [status, body.code];
      expect(codeOf(await erase(ada, { json: { password: 'a wrong one' } }))).to.deep.equal([
        403,
        'forbidden',
      ]);
      expect(codeOf(await erase(ada, { token: ben.token }))).to.deep.equal([403, 'forbidden']);
      expect((await erase(ada, { token: undefined })).status).to.equal(401);
      for (const json of [{}, { password: 1 }, { password: 'x', more: 1 }])
        expect(codeOf(await erase(ada, { json }))).to.deep.equal([400, 'bad_request']);
      expect((await get(ben, `/user/${ada.userId}`)).user).to.deep.equal(ada.user);
    });

    it('is answered when it is done, and ends all sessions and sockets', async () => {
      expect((await erase(ada)).status).to.equal(204);
      expect(await phone.closed).to.equal(4401);
      const repeated = await erase(ada);
      expect([repeated.status, repeated.body.code]).to.deep.equal([401, 'unauthenticated']);
      const json = { username: ada.user.username, password: ada.password };
      expect((await ask(server.url, 'POST /user/signin', { json })).status).to.equal(401);
    });

    it('gives the name to nobody any more, however it is written', async () => {
      const { password } = ada;
      const name = ada.user.username ?? '';
      for (const username of [name, name.toUpperCase()]) {
        const reply = await ask(server.url, 'POST /user/', { json: { username, password } });
        expect([reply.status, reply.body.code]).to.deep.equal([409, 'conflict']);
      }
    });

    it('leaves a user without a name, whom no search finds and who is nobody’s friend', async () => {
      expect(await get(ben, `/user/${ada.userId}`)).to.deep.equal({ user: erasedAda() });
      const name = encodeURIComponent(ada.user.username ?? '');
      expect(await get(cem, `/user/search?q=${name}`)).to.deep.equal({ users: [] });
      expect((await get(ben, `/user/${ben.userId}`)).friends).to.deep.equal([]);
    });

    it('leaves the chat, and their messages without a text', async () => {
      const { chats } = await tablet.request('get active chats', {});
      expect(chats.map(({ roomId: id }) => id)).to.deep.equal([roomId]);
      expect(chats[0]?.participants).to.have.deep.members([erasedAda(), ben.user]);
      expect(chats[0]?.lastMessage).to.include({ message: HIS });
      const { messages } = await tablet.request('fetch messages', { roomId });
      expect(messages.map(({ message, erased }) => [message, erased])).to.deep.equal([
        [null, true],
        [HIS, undefined],
      ]);
    });

    it('is pushed to the other member, and stored', async () => {
      const { data, cursor } = await tablet.push('erase user');
      expect(data).to.deep.equal({ roomId, userId: ada.userId });
      expect(cursor).to.be.a('string');
      const later = await ben.device(past);
      await later.push('identity', ({ caughtUp }) => caughtUp);
      // Its node may hear of it only now.
      await later.push('erase user');
      expect(later.pushed('erase user')).to.deep.equal([{ roomId, userId: ada.userId }]);
      const texts = later.pushed('send message').map(({ message }) => message.message);
      expect(texts).to.deep.equal([null, HIS]);
      expect(JSON.stringify(later.frames)).not.to.include(ada.user.username);
      await later.close();
    });

    it('forbids sending and typing there, not reading, nor the repeat of what was sent', async () => {
      const send = { roomId, messageId: randomUUID(), message: 'are you there?' };
      expect(await tablet.refusal('send message', send)).to.include({ code: 'forbidden' });
      expect(await tablet.refusal('notify typing', { roomId, isTyping: true })).to.include({
        code: 'forbidden',
      });
      const repeat = await tablet.request('send message', { roomId, ...his, message: HIS });
      expect(repeat.message).to.include({ seq: 2, message: HIS });
      expect((await tablet.request('read messages', { roomId })).unread).to.equal(0);
    });

    it('makes them not_found for whoever asks for their presence, friendship or a chat', async () => {
      const { userId } = ada;
      expect(await tablet.refusal('get online info', { recipientId: userId })).to.include({
        code: 'not_found',
      });
      const device = await cem.device();
      for (const event of ['add friend', 'init chat'])
        expect(await device.refusal(event, { friendId: userId })).to.include({ code: 'not_found' });
      await device.close();
    });

    it('takes their name and texts out of what others export', async () => {
      const { text, status } = await ask(server.url, `GET /user/${ben.userId}/export`, ben);
      expect(status).to.equal(200);
      expect(text).to.include(HIS).and.not.include(HERS).and.not.include(ada.user.username);
    });

    it('is remembered after a restart', async () => {
      await tablet.close();
      await server.restart();
      tablet = await ben.device(past);
      await tablet.push('identity', ({ caughtUp }) => caughtUp);
      expect(tablet.pushed('erase user')).to.deep.equal([{ roomId, userId: ada.userId }]);
      expect(JSON.stringify(tablet.frames)).not.to.include(ada.user.username).and.not.include(HERS);
      const send = { roomId, messageId: randomUUID(), message: 'still there?' };
      expect(await tablet.refusal('send message', send)).to.include({ code: 'forbidden' });
      const { messages } = await tablet.request('fetch messages', { roomId });
      expect(messages[0]?.message).to.equal(null);
    });

    it('of somebody without a room takes as little as that', async () => {
      const dan = await Newcomer.at(server);
      await say(await dan.device(), await chatOf(await dan.device(), cem), 'hello, Cem');
      expect((await erase(dan)).status).to.equal(204);
      const eve = await Newcomer.at(server);
      expect((await erase(eve)).status).to.equal(204);
      await eventually('her token is no good', async () => (await erase(eve)).status === 401);
    });
  });
}
