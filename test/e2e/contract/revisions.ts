import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { User } from '../../../packages/client/src/types.js';
import { ask } from '../../support/http.js';
import type { Place } from '../../support/people.js';
import { RawSocket } from '../../support/rawSocket.js';
import { hear, Newcomer, say, talk } from '../newcomer.js';

/** Other texts that are nearly the same. */
function altered(text: string): string[] {
  const other = (at: number) => {
    const char = text.at(at) === '1' ? '2' : '1';
    return text.slice(0, at) + char + text.slice(at + 1);
  };
  return [`${text}x`, text.slice(0, -1), other(0), other(text.length >> 1), other(text.length - 1), 'x', '.'];
}

/** Revisions, and what is no revision and no cursor. */
export function revisions(place: Place): void {
  it('lets a query of another connection see the command that gave it', async () => {
    const { ada, ben, phone, tablet, roomId } = await talk(place);
    for (let n = 0; n < 10; n++) {
      const data = { roomId, messageId: randomUUID(), message: `number ${n}` };
      const { message, revision } = await phone.request('send message', data);
      const [{ messages }, { chats }, profile] = await Promise.all([
        tablet.request('fetch messages', { roomId, limit: 1, revision }),
        tablet.request('get active chats', { revision }),
        ask(place.url, `GET /user/${ada.userId}?revision=${revision}`, { token: ada.token }),
      ]);
      expect(messages).to.deep.equal([message]);
      expect(chats[0]?.lastMessage).to.deep.equal(message);
      expect(profile.body.activeChats[0].lastMessage).to.deep.equal(message);
    }
    const { revision } = await tablet.request('read messages', { roomId });
    const { chats } = await phone.request('get active chats', { revision });
    expect(chats[0]?.readUpTo[ben.userId]).to.equal(11);
  });

  it('is not needed for what the connection itself did or was pushed', async () => {
    const { phone, tablet, roomId } = await talk(place);
    for (let n = 0; n < 10; n++) {
      const message = await say(phone, roomId, `number ${n}`);
      const mine = await phone.request('get active chats', {});
      expect(mine.chats[0]?.lastMessage).to.deep.equal(message);
      await hear(tablet, `number ${n}`);
      const [{ chats }, { messages }] = await Promise.all([
        tablet.request('get active chats', {}),
        tablet.request('fetch messages', { roomId, limit: 1 }),
      ]);
      expect(chats[0]).to.deep.include({ lastMessage: message, unread: n + 2 });
      expect(messages).to.deep.equal([message]);
    }
  });

  it('is not needed by a device that begins: what its cursor covers is in its queries, and the rest is pushed', async () => {
    const { ben, phone, roomId } = await talk(place);
    for (let n = 0; n < 20; n++) {
      const text = `number ${n}`;
      await say(phone, roomId, text);
      const anew = await ben.device();
      const { messages } = await anew.request('fetch messages', { roomId, limit: 1 });
      if (messages[0]?.message !== text) await hear(anew, text);
      await anew.close();
    }
  });

  it('is not needed for one’s own profile: it holds what was there when it was asked for', async () => {
    const { ada, phone } = await talk(place);
    for (let n = 0; n < 5; n++) {
      const { userId } = await Newcomer.at(place);
      await phone.request('add friend', { friendId: userId });
      const { body } = await ask(place.url, `GET /user/${ada.userId}`, { token: ada.token });
      expect(body.friends.map((friend: User) => friend.userId)).to.include(userId);
    }
  });

  it('is a bad_request when it is altered, of another log, or a cursor', async () => {
    const { ada, phone, roomId } = await talk(place);
    const { revision } = await phone.request('read messages', { roomId });
    // Of a server with other data.
    const foreign = 'R000000000000.0.1.0';
    for (const bad of [...altered(revision), phone.cursor, foreign]) {
      expect(await phone.refusal('fetch messages', { roomId, revision: bad }), bad).to.include({
        code: 'bad_request',
      });
      expect(await phone.refusal('get active chats', { revision: bad }), bad).to.include({
        code: 'bad_request',
      });
      const path = `/user/${ada.userId}?revision=${encodeURIComponent(bad)}`;
      expect((await ask(place.url, `GET ${path}`, { token: ada.token })).status, bad).to.equal(400);
    }
  });

  it('refuses a cursor that is altered or a revision, and lets the client identify without', async () => {
    const { ben, phone, tablet, roomId } = await talk(place);
    const { revision } = await phone.request('read messages', { roomId });
    const socket = await RawSocket.connect(place.wsUrl);
    for (const cursor of [...altered(tablet.cursor), revision, '']) {
      const { code } = await socket.refusal('identity', { token: ben.token, cursor });
      expect(code, cursor).to.equal('bad_request');
    }
    await socket.request('identity', { token: ben.token });
    await socket.close();
  });
}
