import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { allKinds, hasEngine, type Running, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import type { RawSocket } from '../support/rawSocket.js';
import { hear, heard, Newcomer, say } from './newcomer.js';

for (const kind of allKinds) {
  describe(`groups, their erasure and their audit (${kind})`, function () {
    this.timeout(180_000);
    let server: Running;
    const devices: RawSocket[] = [];

    before(async function () {
      if (!(await hasEngine(kind))) this.skip();
      server = await startFresh(kind, { env: { RATE_LIMIT: 'off', GROUP_SIZE: '40' } });
    });
    after(() => server?.stop());
    afterEach(() => Promise.all(devices.splice(0).map((device) => device.close())));

    const person = async () => {
      const who = await Newcomer.at(server);
      const device = await who.device();
      devices.push(device);
      return { who, device, id: who.userId };
    };
    const group = async (owner: RawSocket, memberIds: string[], rest: object = {}) => {
      const { room } = await owner.request('create group', {
        ...{ roomId: randomUUID(), name: 'The secret name of this group', memberIds, ...rest },
      });
      return room.roomId;
    };
    const erase = async ({ who }: { who: Newcomer }) => {
      const reply = await ask(server.url, `DELETE /user/${who.userId}`, {
        token: who.token,
        json: { password: who.password },
      });
      expect(reply.status).to.equal(204);
    };

    it('go on when their last owner is erased: the oldest admin becomes one, and all are told', async () => {
      const [ada, ben, eve] = [await person(), await person(), await person()];
      const roomId = await group(ada.device, [ben.id, eve.id]);
      await ada.device.request('change role', { roomId, userId: eve.id, role: 'admin' });
      await say(ada.device, roomId, 'mine');
      await hear(ben.device, 'mine');
      await erase(ada);
      expect((await ben.device.push('change role', ({ role }) => role === 'owner')).data.userId).to.equal(
        eve.id,
      );
      expect((await ben.device.push('remove member')).data).to.deep.include({ userId: ada.id, by: ada.id });
      expect((await ben.device.push('erase user')).data).to.deep.equal({ roomId, userId: ada.id });
      const { messages } = await ben.device.request('fetch messages', { roomId });
      expect(messages).to.have.length(1);
      expect(messages[0]).to.deep.include({ message: null, erased: true });
      await say(eve.device, roomId, 'we go on');
      await hear(ben.device, 'we go on');
      const { members } = await ben.device.request('get members', { roomId });
      expect(members.map(({ user, role }) => [user.userId, role])).to.deep.equal([
        [ben.id, 'member'],
        [eve.id, 'owner'],
      ]);
    });

    it('tell of an erasure wherever the user ever wrote, and nowhere else', async () => {
      const [ada, ben] = [await person(), await person()];
      const left = await group(ada.device, [ben.id]);
      const silent = await group(ada.device, [ben.id]);
      await say(ben.device, left, 'once');
      await ben.device.request('leave group', { roomId: left });
      await erase(ben);
      await ada.device.push('erase user', ({ roomId }) => roomId === left);
      await ada.device.push('remove member', ({ roomId }) => roomId === silent);
      expect(ada.device.pushed('erase user')).to.have.length(1);
    });

    it('hide a name whose last member has gone, and can no longer be changed or joined', async () => {
      const ada = await person();
      const roomId = await group(ada.device, []);
      const body = { roomId, name: 'The secret name of this group', memberIds: [] };
      await ada.device.request('leave group', { roomId });
      const seen = async () => (await ada.device.request('get chat', { roomId })).chat;
      // Another node may show the name for 60 s more.
      if (kind !== 'nodes') await eventually('the name is hidden', async () => (await seen()).name === null);
      expect(await seen()).to.not.have.property('role');
      // A repeat is answered with what is true now.
      expect((await ada.device.request('create group', body)).room.roomId).to.equal(roomId);
      expect(await ada.device.refusal('create group', { ...body, memberIds: [randomUUID()] })).to.include({
        code: 'conflict',
      });
    });

    it('show a mark in a large group to the member alone, and at most 8 who type', async () => {
      const ada = await person();
      const others = await Promise.all(Array.from({ length: 34 }, () => person()));
      const roomId = await group(
        ada.device,
        others.map(({ id }) => id),
      );
      await Promise.all(others.map(({ device }) => device.push('init chat')));
      const [ben, ...rest] = others;
      if (!ben) throw new Error('there is nobody');
      const laptop = await ben.who.device();
      devices.push(laptop);
      await say(ada.device, roomId, 'hello');
      await Promise.all(others.map(({ device }) => hear(device, 'hello')));
      await ben.device.request('read messages', { roomId });
      expect((await laptop.push('read messages')).data).to.deep.equal({ roomId, userId: ben.id, upTo: 1 });
      const { chat } = await ben.device.request('get chat', { roomId });
      expect(chat.readUpTo).to.deep.equal({ [ben.id]: 1 });
      expect(chat.participants).to.have.length(32);
      expect(chat.members).to.equal(35);
      for (const { device } of rest.slice(0, 10))
        await device.request('notify typing', { roomId, isTyping: true });
      await say(ada.device, roomId, 'behind');
      await hear(ben.device, 'behind');
      const typing = new Set(ben.device.pushed('notify typing').map(({ userId }) => userId));
      expect(typing.size).to.be.within(1, 8);
      expect(ada.device.pushed('read messages')).to.deep.equal([]);
      const refusal = await ada.device.refusal('add members', {
        ...{
          roomId,
          userIds: await Promise.all(
            Array.from({ length: 6 }, async () => (await Newcomer.at(server)).userId),
          ),
        },
      });
      expect(refusal).to.deep.include({ code: 'forbidden', reason: 'group_full' });
    });

    it('end for who is removed exactly, though they connect at the same moment on another node', async () => {
      const ada = await person();
      const ben = await Newcomer.at(server);
      const roomId = await group(ada.device, [ben.userId], { history: 'all' });
      for (let round = 0; round < 6; round++) {
        const connecting = Promise.all([ben.device(), ben.device()]);
        await say(ada.device, roomId, `before ${round}`);
        const removing = ada.device.request('remove member', { roomId, userId: ben.userId });
        const sent = say(ada.device, roomId, `behind ${round}`);
        const both = await connecting;
        await Promise.all([removing, sent]);
        await ada.device.request('add members', { roomId, userIds: [ben.userId] });
        await say(ada.device, roomId, `again ${round}`);
        for (const device of both) {
          await hear(device, `again ${round}`);
          expect(heard(device)).to.not.include(`behind ${round}`);
          await device.close();
        }
      }
    });

    it('are exported as their member sees them, and shown to auditors as they were', async () => {
      const [ada, ben] = [await person(), await person()];
      const roomId = await group(ada.device, [ben.id]);
      await say(ada.device, roomId, 'one');
      await ben.device.request('leave group', { roomId });
      await say(ada.device, roomId, 'two');
      const reply = await ask(server.url, `GET /user/${ben.id}/export`, ben.who);
      const lines = reply.text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
      const rooms = lines.filter((line) => line.kind === 'room');
      expect(rooms.map(({ room }) => room.roomId)).to.deep.equal([roomId]);
      const texts = lines.filter((line) => line.kind === 'message').map(({ message }) => message.message);
      expect(texts).to.deep.equal(['one']);

      const auditor = await Newcomer.at(server);
      const name = auditor.user.username ?? '';
      expect(await parley(['role', 'auditor', name], server.settings)).to.include({ code: 0 });
      const now = await ask(server.url, `GET /audit/rooms/${roomId}`, auditor);
      expect(now.status, now.text).to.equal(200);
      const then = await ask(server.url, `GET /audit/rooms/${roomId}?at=1`, auditor);
      const [a, b] = [JSON.parse(now.text), JSON.parse(then.text)];
      expect(a.room).to.deep.include({
        roomType: 'GROUP',
        memberIds: [ada.id],
        name: 'The secret name of this group',
      });
      expect(b.room.memberIds).to.deep.equal([ada.id, ben.id]);
      expect(b.messages).to.have.length(1);
      const user = JSON.parse((await ask(server.url, `GET /audit/users/${ada.id}`, auditor)).text);
      expect(user.rooms.map((room: { roomId: string }) => room.roomId)).to.include(roomId);
    });

    it('leave a log, read models and keys that verify', async () => {
      const found = await parley(['audit', 'verify'], server.settings);
      expect(found, found.out + found.err).to.include({ code: 0 });
    });
  });
}
