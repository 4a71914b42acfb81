import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { hasEngine, kindsWith, type Running, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import type { Place } from '../support/people.js';
import type { RawSocket } from '../support/rawSocket.js';
import { chatOf, hear, Newcomer, say, two } from './newcomer.js';

const NOBODY = { isOnline: false, lastSeen: null };

for (const rule of ['open', 'consent'] as const)
  for (const engine of kindsWith(rule === 'open' ? 'sqlite' : 'nodes'))
    describe(`safety (${engine}, CONTACTS=${rule})`, () => {
      let server: Running;
      const place: Place = {
        get url() {
          return server.url;
        },
        get wsUrl() {
          return server.wsUrl;
        },
      };
      let ada: Newcomer;
      let ben: Newcomer;
      let phone: RawSocket;
      let laptop: RawSocket;
      let tablet: RawSocket;
      before(async function () {
        if (!(await hasEngine(engine))) this.skip();
        server = await startFresh(engine, { env: { RATE_LIMIT: 'off', CONTACTS: rule } });
      });
      after(() => server?.stop());
      beforeEach(async () => {
        [ada, ben] = await two(place);
        [phone, laptop, tablet] = [await ada.device(), await ada.device(), await ben.device()];
      });
      afterEach(() => Promise.all([phone, laptop, tablet].map((device) => device.close())));

      /** Whether the device is told of this user's presence. */
      const sees = async (device: RawSocket, { userId }: Newcomer): Promise<boolean> => {
        const { error } = await device.answer(device.send('get online info', { recipientId: userId }));
        return error === undefined;
      };
      const refused = async (device: RawSocket, event: string, data: unknown) => {
        const { code, reason } = await device.refusal(event, data);
        return reason ? `${code} ${reason}` : code;
      };
      const message = (roomId: string, text = 'no?') => ({ roomId, messageId: randomUUID(), message: text });
      const found = async (by: Newcomer, q: string): Promise<string[]> => {
        const { body } = await ask(place.url, `GET /user/search?q=${q}`, { token: by.token });
        return (body.users as { userId: string }[]).map(({ userId }) => userId);
      };
      const requestOf = async (device: RawSocket, roomId: string) =>
        (await device.request('get chat', { roomId })).chat.request;
      /** Both have written: they are contacts of each other under either rule. */
      const talking = async (): Promise<string> => {
        const roomId = await chatOf(phone, ben);
        await say(phone, roomId, 'hello');
        await hear(tablet, 'hello');
        await say(tablet, roomId, 'hi');
        await hear(phone, 'hi');
        return roomId;
      };

      it('makes contacts as the rule says, and a chat of a stranger a request until it is accepted', async () => {
        const roomId = await chatOf(phone, ben);
        await say(phone, roomId, 'hello');
        await hear(tablet, 'hello');
        // Ada has Ben as a contact. Under consent he learns of her, and she nothing of him.
        expect([await sees(tablet, ada), await sees(phone, ben)]).to.deep.equal([true, rule === 'open']);
        expect(await requestOf(tablet, roomId)).to.equal(rule === 'open' ? undefined : true);
        expect(await requestOf(phone, roomId), 'she opened it').to.equal(undefined);
        const listed = async (filter: 'all' | 'active' | 'requests') =>
          (await tablet.request('get active chats', { filter })).chats.length;
        expect([await listed('all'), await listed('active'), await listed('requests')]).to.deep.equal(
          rule === 'open' ? [1, 1, 0] : [1, 0, 1],
        );
        const watch = await ben.device();
        await tablet.request('accept chat', { roomId });
        await tablet.request('accept chat', { roomId });
        expect((await watch.push('accept chat')).data).to.deep.equal({ roomId });
        expect([await sees(tablet, ada), await requestOf(tablet, roomId)]).to.deep.equal([true, undefined]);
        await say(tablet, roomId, 'accepted');
        await hear(phone, 'accepted');
        expect(await sees(phone, ben)).to.equal(true);
        expect(phone.pushes('accept chat')).to.deep.equal([]);
        await watch.close();
      });

      it('shows a chat alike in pushes, in lists, in the sign-in and by `get chat`', async () => {
        const watch = await ben.device();
        const same = async (shown: unknown, roomId: string, device = tablet) =>
          expect(shown).to.deep.equal((await device.request('get chat', { roomId })).chat);
        const { room } = await phone.request('init chat', { friendId: ben.userId });
        const { roomId } = room;
        await same(room, roomId, phone);
        await same((await laptop.push('init chat')).data.room, roomId, phone);
        await say(phone, roomId, 'hello');
        await hear(tablet, 'hello');
        await same(tablet.pushed('init chat')[0]?.room, roomId);
        const changed = await tablet.request('change chat', { roomId, pinned: true });
        await same(changed.chat, roomId);
        await same((await watch.push('change chat')).data.chat, roomId);
        await same((await tablet.request('get active chats', {})).chats[0], roomId);
        const { body } = await ask(place.url, `GET /user/${ben.userId}`, { token: ben.token });
        await same(body.activeChats[0], roomId);
        await watch.close();
      });

      it('pushes typing and marks of a request to nobody under consent', async () => {
        const roomId = await chatOf(phone, ben);
        await say(phone, roomId, 'hello');
        await hear(tablet, 'hello');
        await tablet.request('notify typing', { roomId, isTyping: true });
        await tablet.request('read messages', { roomId });
        if (rule === 'open') {
          await phone.push('notify typing');
          await phone.push('read messages');
        }
        await say(phone, roomId, 'again');
        await hear(laptop, 'again');
        await say(tablet, roomId, 'yes?');
        await hear(phone, 'yes?');
        // If 6 s pass before he writes, the end of the typing is pushed too.
        const typed = phone.pushed('notify typing').filter(({ isTyping }) => isTyping);
        const told = [typed.length, phone.pushes('read messages').length];
        expect(told).to.deep.equal(rule === 'open' ? [1, 1] : [0, 0]);
        await phone.request('read messages', { roomId });
        await tablet.push('read messages');
        const { chat } = await phone.request('get chat', { roomId });
        expect(chat.readUpTo, 'he has written').to.have.all.keys(ada.userId, ben.userId);
      });

      it('remove friend ends friendship and contact both ways until one writes again', async () => {
        const roomId = await talking();
        await phone.request('add friend', { friendId: ben.userId });
        await tablet.push('add friend');
        await tablet.request('add friend', { friendId: ada.userId });
        const { revision } = await phone.request('remove friend', { friendId: ben.userId });
        await phone.request('remove friend', { friendId: ben.userId });
        expect((await tablet.push('remove friend')).data).to.deep.equal({ userId: ada.userId });
        expect((await laptop.push('remove friend')).data).to.deep.equal({ userId: ben.userId });
        for (const device of [phone, tablet])
          expect((await device.request('get friends', { revision })).friends).to.deep.equal([]);
        expect([await sees(tablet, ada), await sees(phone, ben)]).to.deep.equal([false, false]);
        await say(phone, roomId, 'friends again?');
        await hear(tablet, 'friends again?');
        expect([await sees(tablet, ada), await sees(phone, ben)]).to.deep.equal([true, rule === 'open']);
        expect(tablet.pushes('remove friend'), 'a repeat is not pushed').to.have.lengthOf(1);
      });

      it('a block refuses what both send, hides both from each other, and tells its own devices only', async () => {
        const roomId = await talking();
        await phone.request('add friend', { friendId: ben.userId });
        await tablet.push('add friend');
        const old = message(roomId, 'before');
        await tablet.request('send message', old);
        await hear(phone, 'before');
        const blocked = { userId: ben.userId, block: true };
        const himself = { recipientId: ben.userId };
        const { revision } = await phone.request('block user', blocked);
        expect(await refused(tablet, 'send message', message(roomId))).to.equal('forbidden not_taken');
        expect(await refused(phone, 'send message', message(roomId))).to.equal('forbidden blocked');
        expect((await tablet.request('send message', old)).message.message, 'a repeat').to.equal('before');
        await phone.request('block user', blocked);
        expect((await laptop.push('block user')).data).to.deep.equal(blocked);
        const listed = await phone.request('get blocked', {});
        expect(listed.users.map(({ userId }) => userId)).to.deep.equal([ben.userId]);
        expect((await tablet.request('get blocked', {})).users).to.deep.equal([]);
        for (const [device, other] of [
          [phone, ben],
          [tablet, ada],
        ] as const) {
          expect(await refused(device, 'init chat', { friendId: other.userId })).to.equal('not_found');
          expect(await refused(device, 'add friend', { friendId: other.userId })).to.equal('not_found');
          expect((await device.request('get friends', { revision })).friends).to.deep.equal([]);
        }
        // The effects beside the room's own order come within 2 s.
        await eventually(
          'they do not see each other',
          async () => !(await sees(tablet, ada)) && !(await sees(phone, ben)),
        );
        for (const [device, hidden] of [
          [tablet, ada],
          [phone, ben],
          [laptop, ben],
        ] as const) {
          // As of somebody who hides their presence: no other push tells him of the block.
          const { data } = await device.push('get online info', ({ isOnline }) => !isOnline);
          expect(data).to.deep.equal({ recipientId: hidden.userId, ...NOBODY });
        }
        await tablet.request('background app', {});
        await phone.request('background app', {});
        for (const [by, other] of [
          [ada, ben],
          [ben, ada],
        ] as const)
          await eventually(
            'they do not find each other',
            async () => (await found(by, other.user.username ?? '')).length === 0,
          );
        await tablet.request('notify typing', { roomId, isTyping: true });
        await tablet.request('read messages', { roomId });
        const group = randomUUID();
        const { refused: not } = await tablet.request('create group', {
          ...{ roomId: group, name: 'us', memberIds: [ada.userId] },
        });
        expect(not).to.deep.equal([{ userId: ada.userId, reason: 'not_taken' }]);
        const { chat } = await phone.request('get chat', { roomId });
        expect(chat.readUpTo).to.have.all.keys(ada.userId);
        // That he has gone is written 2 s after he came, and would be told to who may see it by then.
        await eventually(
          'he has gone',
          async () => !(await tablet.request('get online info', himself)).isOnline,
        );
        const stories = [tablet, phone].map((device) => device.pushed('get online info'));
        expect(stories.map((pushes) => pushes.filter(({ isOnline }) => !isOnline).length)).to.deep.equal([
          1, 1,
        ]);
        await phone.request('block user', { userId: ben.userId, block: false });
        expect((await laptop.push('block user', ({ block }) => !block)).data.userId).to.equal(ben.userId);
        expect([await sees(tablet, ada), await sees(phone, ben)], 'no contact').to.deep.equal([false, false]);
        await say(tablet, roomId, 'sorry');
        await hear(phone, 'sorry');
        expect(phone.pushes('notify typing')).to.deep.equal([]);
        expect(phone.pushes('read messages')).to.deep.equal([]);
        expect(tablet.pushes('block user')).to.deep.equal([]);
      });

      it('a block tells somebody who saw no presence nothing', async () => {
        await chatOf(phone, ben);
        await phone.request('block user', { userId: ben.userId, block: true });
        await laptop.push('block user');
        await eventually('it is known', async () => (await found(ben, ada.user.username ?? '')).length === 0);
        await tablet.request('get preferences', {});
        expect([...tablet.pushed('get online info'), ...phone.pushed('get online info')]).to.deep.equal([]);
      });

      it('whoWrites: contacts is asked only until they are my contact', async () => {
        await phone.request('change preferences', { whoWrites: 'contacts' });
        // Its answer comes when the read models have the change: before, for at most 2 s, his message may be taken.
        await phone.request('get preferences', {});
        const roomId = await chatOf(tablet, ada);
        expect(await refused(tablet, 'send message', message(roomId))).to.equal('forbidden not_taken');
        await phone.request('add friend', { friendId: ben.userId });
        await say(tablet, roomId, 'thanks');
        await hear(phone, 'thanks');
      });

      it('whoInvites refuses invitations, and findable: false asks for the whole name', async () => {
        await phone.request('change preferences', { whoInvites: 'nobody', findable: false });
        const create = async () => {
          const data = { roomId: randomUUID(), name: 'us', memberIds: [ada.userId] };
          return (await tablet.request('create group', data)).refused.length;
        };
        await eventually('she is not added', async () => (await create()) === 1);
        const name = ada.user.username ?? '';
        await eventually(
          'she is not found by a part of her name',
          async () => !(await found(ben, name.slice(0, -1))).includes(ada.userId),
        );
        expect(await found(ben, name.toUpperCase())).to.include(ada.userId);
      });

      it('visible: false hides presence both ways, and true shows it again', async () => {
        await talking();
        await phone.request('change preferences', { visible: false });
        const { data } = await tablet.push('get online info', ({ isOnline }) => !isOnline);
        expect(data).to.deep.equal({ recipientId: ada.userId, ...NOBODY });
        const asked = { recipientId: ada.userId };
        expect(await tablet.request('get online info', asked)).to.deep.equal({ ...asked, ...NOBODY });
        expect(await phone.request('get online info', { recipientId: ben.userId })).to.deep.include(NOBODY);
        expect((await phone.request('get online info', asked)).isOnline, 'of oneself').to.equal(true);
        const { presence } = await phone.request('get active chats', {});
        expect(presence[ben.userId]).to.deep.equal(NOBODY);
        tablet.forget();
        phone.forget();
        await tablet.request('background app', {});
        // It is written 2 s after he came, and that he is back 2 s later: she may be told of what comes once she is visible.
        await eventually(
          'he has gone',
          async () => !(await tablet.request('get online info', { recipientId: ben.userId })).isOnline,
        );
        expect(phone.pushes('get online info')).to.deep.equal([]);
        await phone.request('change preferences', { visible: true });
        expect((await tablet.push('get online info')).data.isOnline).to.equal(true);
      });

      it('receipts: false keeps my marks from others and theirs from me: live, after a gap and in answers', async () => {
        const roomId = await talking();
        const cursor = tablet.cursor;
        const { revision } = await phone.request('change preferences', { receipts: false });
        await phone.request('read messages', { roomId });
        await laptop.push('read messages');
        await tablet.request('read messages', { roomId });
        await say(tablet, roomId, 'seen?');
        await hear(phone, 'seen?');
        expect([tablet.pushes('read messages'), phone.pushes('read messages')]).to.deep.equal([[], []]);
        for (const [device, mine] of [
          [phone, ada],
          [tablet, ben],
        ] as const)
          expect((await device.request('get chat', { roomId, revision })).chat.readUpTo).to.have.all.keys(
            mine.userId,
          );
        const back = await ben.device(cursor);
        await back.push('identity');
        const readers = back.pushed('read messages').map(({ userId }) => userId);
        expect(readers).not.to.include(ada.userId);
        await back.close();
      });

      it('preferences are mine: told to my other devices, live and after an absence, and exported', async () => {
        const { preferences } = await phone.request('get preferences', {});
        expect(preferences).to.deep.equal({
          ...{ whoWrites: 'everyone', whoInvites: 'everyone' },
          ...{ findable: true, visible: true, receipts: true },
        });
        const cursor = laptop.cursor;
        await laptop.cut();
        const changed = await phone.request('change preferences', { findable: false });
        expect(changed.preferences).to.deep.equal({ ...preferences, findable: false });
        await phone.request('block user', { userId: ben.userId, block: true });
        laptop = await ada.device(cursor);
        expect((await laptop.push('change preferences')).data).to.deep.equal({
          preferences: changed.preferences,
        });
        await laptop.push('block user');
        await laptop.push('identity');
        expect(tablet.pushes('change preferences')).to.deep.equal([]);
        const answer = await fetch(`${place.url}/user/${ada.userId}/export`, {
          headers: { authorization: `Bearer ${ada.token}` },
        });
        const lines = (await answer.text())
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as { kind: string; user?: { userId: string } });
        expect(lines.find(({ kind }) => kind === 'preferences')).to.deep.include({
          preferences: changed.preferences,
        });
        expect(lines.find(({ kind }) => kind === 'blocked')?.user?.userId).to.equal(ben.userId);
      });

      it('bad input is refused with its path, and rooms of others do not exist', async () => {
        const group = randomUUID();
        await phone.request('create group', { roomId: group, name: 'us', memberIds: [] });
        for (const [event, data, path] of [
          ['change preferences', { whoWrites: 'nobody' }, 'whoWrites'],
          ['change preferences', { whoInvites: 'friends' }, 'whoInvites'],
          ['change preferences', { visible: 'no' }, 'visible'],
          ['get active chats', { filter: 'new' }, 'filter'],
          ['accept chat', { roomId: group }, 'roomId'],
          ['block user', { userId: ben.userId }, 'block'],
        ] as const) {
          const { code, fields } = await phone.refusal(event, data);
          expect([code, fields?.[0]?.path], JSON.stringify(data)).to.deep.equal(['bad_request', path]);
        }
        expect(await refused(phone, 'block user', { userId: ada.userId, block: true })).to.equal(
          'bad_request',
        );
        const nobody = { userId: randomUUID(), block: true };
        expect(await refused(phone, 'block user', nobody)).to.equal('not_found');
        const roomId = await chatOf(phone, ben);
        const cem = await Newcomer.at(place);
        const other = await cem.device();
        expect(await refused(other, 'accept chat', { roomId })).to.equal('not_found');
        await other.close();
      });
    });
