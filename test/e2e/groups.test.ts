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
      // At once: the first ones stop after 6 s, and make room for others.
      await Promise.all(
        rest.slice(0, 10).map(({ device }) => device.request('notify typing', { roomId, isTyping: true })),
      );
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
      const asleep = await ben.device();
      let { cursor } = asleep;
      await asleep.close();
      for (let round = 0; round < 6; round++) {
        // On each node one that begins anew, and one that comes back and is replayed what it has missed.
        const connecting = Promise.all(
          [undefined, undefined, cursor, cursor].map((from) => ben.device(from)),
        );
        await say(ada.device, roomId, `before ${round}`);
        const removing = ada.device.request('remove member', { roomId, userId: ben.userId });
        const sent = say(ada.device, roomId, `behind ${round}`);
        const all = await connecting;
        await Promise.all([removing, sent]);
        await ada.device.request('add members', { roomId, userIds: [ben.userId] });
        await say(ada.device, roomId, `again ${round}`);
        for (const device of all) {
          await hear(device, `again ${round}`);
          expect(heard(device)).to.not.include(`behind ${round}`);
        }
        for (const device of all.slice(2)) {
          await device.push('identity', ({ caughtUp }) => caughtUp);
          const missed = heard(device).slice(-2);
          expect(missed, 'what lies in his windows, once').to.deep.equal([
            `before ${round}`,
            `again ${round}`,
          ]);
        }
        cursor = all[2]?.cursor ?? cursor;
        await Promise.all(all.map((device) => device.close()));
        // Connected when all is over: the replay alone decides.
        const late = await ben.device(asleep.cursor);
        await late.push('identity', ({ caughtUp }) => caughtUp);
        const rounds = Array.from({ length: round + 1 }, (_, n) => [`before ${n}`, `again ${n}`]);
        expect(heard(late)).to.deep.equal(rounds.flat());
        await late.close();
      }
    });

    it('are joined by many at once: each is told of the group, of those who come later, and of what is said', async () => {
      const ada = await person();
      const others: Newcomer[] = [];
      for (let i = 0; i < 20; i++) others.push(await Newcomer.at(server));
      const roomId = await group(ada.device, []);
      const told: RawSocket[] = [];
      for (const who of others) told.push(await who.device());
      devices.push(...told);
      // So many commands share commits.
      const asked = others.flatMap(({ userId }, i) => [
        ada.device.request('add members', { roomId, userIds: [userId] }),
        say(ada.device, roomId, `behind ${i}`),
      ]);
      await Promise.all(asked);
      for (const [i, device] of told.entries()) {
        await hear(device, `behind ${others.length - 1}`);
        const texts = Array.from({ length: others.length - i }, (_, n) => `behind ${i + n}`);
        expect(heard(device)).to.deep.equal(texts);
        const later = others.slice(i + 1).map(({ userId }) => userId);
        expect(device.pushed('add member').map(({ user }) => user.userId)).to.deep.equal(later);
        expect(device.pushed('init chat').map(({ room }) => room.roomId)).to.deep.equal([roomId]);
      }
    });

    it('always have an owner, however members act while the last one is erased', async () => {
      for (let round = 0; round < 2; round++) {
        const [ada, ben, eve, dan] = [await person(), await person(), await person(), await person()];
        const newcomers = [await Newcomer.at(server), await Newcomer.at(server)];
        const roomId = await group(ada.device, [ben.id, eve.id, dan.id]);
        await ada.device.request('change role', { roomId, userId: eve.id, role: 'admin' });
        // Each may be refused: what is asked for may come before or behind the erasure.
        const act = (device: RawSocket, event: string, data: object) =>
          device.answer(device.send(event, { roomId, ...data }));
        const acting = [
          act(ben.device, 'send message', { messageId: randomUUID(), message: 'meanwhile' }),
          act(ben.device, 'add members', { userIds: newcomers.map(({ userId }) => userId) }),
          act(eve.device, 'remove member', { userId: dan.id }),
          act(eve.device, 'change role', { userId: ben.id, role: 'owner' }),
          act(eve.device, 'change group', { name: 'A group without its owner' }),
          act(eve.device, 'remove member', { userId: ada.id }),
          // Whoever becomes owner may leave at once.
          act(eve.device, 'leave group', {}),
        ];
        await Promise.all([erase(ada), ...acting]);
        const { revision } = await say(ben.device, roomId, 'we go on').then(() =>
          ben.device.request('read messages', { roomId }),
        );
        const { members } = await ben.device.request('get members', { roomId, revision });
        expect(members.map(({ user }) => user.userId)).to.not.include(ada.id);
        expect(
          members.map(({ role }) => role),
          'an owner is left',
        ).to.include('owner');
        // At each place of the log there is an owner, and a succession shares the command of the leaving.
        const { out } = await parley(['audit', 'replay', '--stream', `room:${roomId}`], server.settings);
        const events = out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line));
        const roles = new Map<string, string>();
        for (const [i, { type, data, commandId, recordedAt }] of events.entries()) {
          if (type === 'MemberJoined' || type === 'MemberRoleChanged') roles.set(data.userId, data.role);
          if (type === 'MemberLeft') roles.delete(data.userId);
          if (type !== 'MemberLeft' && type !== 'MemberRoleChanged') continue;
          expect([...roles.values()], `behind event ${i} of ${events.length}`).to.include('owner');
          const { type: before, commandId: other, recordedAt: time } = events[i - 1] ?? {};
          if (
            type === 'MemberLeft' &&
            before === 'MemberRoleChanged' &&
            events[i - 1].data.by === data.userId
          )
            expect([other, time]).to.deep.equal([commandId, recordedAt]);
        }
        expect(
          events.filter(({ type, data }) => type === 'MemberLeft' && data.userId === ada.id).length,
        ).to.equal(1);
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
