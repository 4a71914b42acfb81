import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { Rest } from '../../../packages/client/src/rest.js';
import type { Chat } from '../../../packages/client/src/types.js';
import { roomIdOf } from '../../../src/domain/ids.js';
import type { Place } from '../../support/people.js';
import type { RawSocket } from '../../support/rawSocket.js';
import { hear, heard, Newcomer, say } from '../newcomer.js';

/** Somebody with a device. */
interface Person {
  readonly who: Newcomer;
  readonly device: RawSocket;
  readonly id: string;
}

async function person(place: Place): Promise<Person> {
  const who = await Newcomer.at(place);
  return { who, device: await who.device(), id: who.userId };
}

const namesIn = (room: Chat) => room.participants.map(({ userId }) => userId);

/** Of a group whose creator chose none. */
const SETTINGS = { whoAdds: 'members', whoSends: 'members' };

/** Creates a group, and waits until each of its members is told. */
async function create(owner: Person, members: readonly Person[], rest: object = {}): Promise<Chat> {
  const { room } = await owner.device.request('create group', {
    ...{ roomId: randomUUID(), name: 'Crew', memberIds: members.map(({ id }) => id) },
    ...rest,
  });
  await Promise.all(
    members.map(({ device }) => device.push('init chat', (push) => push.room.roomId === room.roomId)),
  );
  return room;
}

/** Groups: `create group`, `change group`, `add members`, `remove member`, `leave group`, `change role`, and queries. */
export function groups(place: Place): void {
  let ada: Person;
  let ben: Person;
  let eve: Person;
  let dan: Person;
  beforeEach(async () => {
    [ada, ben, eve, dan] = [
      await person(place),
      await person(place),
      await person(place),
      await person(place),
    ];
  });
  afterEach(() => Promise.all([ada, ben, eve, dan].map(({ device }) => device.close())));

  describe('creating one', () => {
    it('answers with the chat, and pushes `init chat` to each member and to my other devices', async () => {
      const laptop = await ada.who.device();
      const roomId = randomUUID();
      const answer = await ada.device.request('create group', {
        ...{ roomId, name: 'Crew', about: 'all of us', memberIds: [ben.id, eve.id] },
      });
      expect(answer.refused).to.deep.equal([]);
      const { room } = answer;
      expect(room).to.deep.include({
        ...{ roomId, roomType: 'GROUP', name: 'Crew', about: 'all of us', role: 'owner', members: 3 },
        ...{ history: 'joined', whoAdds: 'members', whoSends: 'members', unread: 0, lastMessage: null },
        ...{ windows: [[1, null]], readUpTo: { [ada.id]: 0, [ben.id]: 0, [eve.id]: 0 } },
      });
      expect(namesIn(room)).to.deep.equal([ada.id, ben.id, eve.id]);
      const mine = await ben.device.push('init chat');
      expect(mine.data.room).to.deep.equal({ ...room, role: 'member' });
      expect((await laptop.push('init chat')).data.room).to.deep.equal(room);
      expect(ada.device.pushed('init chat')).to.deep.equal([]);
      // They are told of the whole group, not of each other.
      await say(ada.device, roomId, 'hello');
      for (const { device } of [ben, eve]) {
        await hear(device, 'hello');
        expect(device.pushed('add member')).to.deep.equal([]);
      }
      await laptop.close();
    });

    it('may be repeated with the same body, and is a conflict with another', async () => {
      const body = { roomId: randomUUID(), name: 'Crew', memberIds: [ben.id] };
      const first = await ada.device.request('create group', body);
      const again = await ada.device.request('create group', body);
      expect(again.room).to.deep.equal(first.room);
      for (const [device, other] of [
        [ada.device, { name: 'Other' }],
        [ada.device, { memberIds: [] }],
        [ben.device, {}],
      ] as const)
        expect(await device.refusal('create group', { ...body, ...other })).to.include({ code: 'conflict' });
      await say(ada.device, body.roomId, 'hello');
      await hear(ben.device, 'hello');
      expect(ben.device.pushed('init chat')).to.have.length(1);
    });

    it('takes ids of version 4 and 7 only: the id of a pair cannot be taken', async () => {
      const { room } = await ada.device.request('init chat', { friendId: ben.id });
      const refusal = await eve.device.refusal('create group', {
        roomId: room.roomId,
        name: 'x',
        memberIds: [],
      });
      expect(refusal).to.deep.include({ code: 'bad_request' });
      expect(refusal.fields?.[0]?.path).to.equal('roomId');
      const seven = `${randomUUID().slice(0, 14)}7${randomUUID().slice(15)}`;
      const created = await eve.device.request('create group', { roomId: seven, name: 'x', memberIds: [] });
      expect(created.room.roomId).to.equal(seven);
    });

    it('cannot take the id of a pair before that pair has a chat', async () => {
      const roomId = roomIdOf(ada.id, ben.id);
      for (const { device } of [ada, eve]) {
        const body = { roomId, name: 'first', memberIds: [] };
        const { code, fields } = await device.refusal('create group', body);
        expect([code, fields?.[0]?.path]).to.deep.equal(['bad_request', 'roomId']);
      }
      const { room } = await ada.device.request('init chat', { friendId: ben.id });
      expect(room).to.include({ roomId, roomType: 'PRIVATE' });
      await say(ada.device, roomId, 'ours');
      await hear(ben.device, 'ours');
    });

    it('refuses who is unknown, and goes on', async () => {
      const nobody = randomUUID();
      const { refused, room } = await ada.device.request('create group', {
        ...{ roomId: randomUUID(), name: 'Crew', memberIds: [nobody, ben.id] },
      });
      expect(refused).to.deep.equal([{ userId: nobody, reason: 'not_found' }]);
      expect(room.members).to.equal(2);
    });

    it('refuses names of white space, control characters, lone surrogates, or more than 100 code points', async () => {
      const roomId = randomUUID();
      for (const name of ['', ' \u2003', 'a\u0007', 'a\u202eb', '\ud800', 'é'.repeat(101)]) {
        const refusal = await ada.device.refusal('create group', { roomId, name, memberIds: [] });
        expect(refusal.code, JSON.stringify(name)).to.equal('bad_request');
        expect(refusal.fields?.[0]?.path).to.equal('name');
      }
      await ada.device.request('create group', { roomId, name: '💬'.repeat(100), memberIds: [] });
    });
  });

  describe('talking in one', () => {
    it('reaches all members, and makes nobody a contact', async () => {
      const room = await create(ada, [ben, eve]);
      await say(ben.device, room.roomId, 'hello');
      await Promise.all([hear(ada.device, 'hello'), hear(eve.device, 'hello')]);
      expect(await ada.device.refusal('get online info', { recipientId: ben.id })).to.include({
        code: 'not_found',
      });
      const { chats, presence } = await eve.device.request('get active chats', {});
      expect(chats).to.have.length(1);
      expect(chats[0]).to.deep.include({ roomId: room.roomId, name: 'Crew', unread: 1 });
      expect(chats[0]?.lastMessage).to.deep.include({ message: 'hello', seq: 1 });
      expect(presence).to.deep.equal({});
    });

    it('is for admins only where `whoSends` says so', async () => {
      const room = await create(ada, [ben], { whoSends: 'admins' });
      const send = { roomId: room.roomId, messageId: randomUUID(), message: 'no' };
      expect(await ben.device.refusal('send message', send)).to.deep.include({
        code: 'forbidden',
        reason: 'admins_only',
      });
      await say(ada.device, room.roomId, 'news');
      await hear(ben.device, 'news');
    });

    it('has typing and marks like a private chat', async () => {
      const room = await create(ada, [ben, eve]);
      const { roomId } = room;
      await ben.device.request('notify typing', { roomId, isTyping: true });
      for (const { device } of [ada, eve])
        expect((await device.push('notify typing')).data).to.deep.equal({
          roomId,
          userId: ben.id,
          isTyping: true,
        });
      await say(ada.device, roomId, 'hello');
      await hear(ben.device, 'hello');
      const { upTo, unread } = await ben.device.request('read messages', { roomId });
      expect({ upTo, unread }).to.deep.equal({ upTo: 1, unread: 0 });
      for (const { device } of [ada, eve])
        expect((await device.push('read messages')).data).to.deep.equal({ roomId, userId: ben.id, upTo: 1 });
      const { readers } = await eve.device.request('get readers', { roomId, seq: 1 });
      expect(readers).to.deep.equal([
        { userId: ada.id, upTo: 1 },
        { userId: ben.id, upTo: 1 },
      ]);
      expect(await eve.device.refusal('get readers', { roomId, seq: 2 })).to.include({ code: 'bad_request' });
      expect(await dan.device.refusal('get readers', { roomId, seq: 1 })).to.include({ code: 'not_found' });
      expect(await dan.device.refusal('notify typing', { roomId, isTyping: true })).to.include({
        code: 'not_found',
      });
    });
  });

  describe('coming and going', () => {
    it('tells the new member of the group, and the others of the new member', async () => {
      const { roomId } = await create(ada, [ben]);
      await say(ada.device, roomId, 'before');
      const { added, refused } = await ben.device.request('add members', {
        roomId,
        userIds: [eve.id, dan.id, ada.id],
      });
      expect({ added, refused }).to.deep.equal({ added: [eve.id, dan.id], refused: [] });
      const { room } = (await eve.device.push('init chat')).data;
      expect(room).to.deep.include({
        roomId,
        role: 'member',
        members: 4,
        windows: [[2, null]],
        lastMessage: null,
        unread: 0,
      });
      const { data } = await ada.device.push('add member', ({ user }) => user.userId === eve.id);
      expect(data).to.deep.equal({ roomId, user: eve.who.user, role: 'member', by: ben.id, at: 1 });
      await ada.device.push('add member', ({ user }) => user.userId === dan.id);
      await say(dan.device, roomId, 'hi all');
      await Promise.all([ada, ben, eve].map(({ device }) => hear(device, 'hi all')));
      expect(eve.device.pushed('add member')).to.deep.equal([]);
      const { messages } = await eve.device.request('fetch messages', { roomId });
      expect(messages.map(({ message }) => message)).to.deep.equal(['hi all']);
    });

    it('shows new members all that was said where `history` is `all`', async () => {
      const { roomId } = await create(ada, [], { history: 'all' });
      await say(ada.device, roomId, 'before');
      await ada.device.request('add members', { roomId, userIds: [eve.id] });
      const { room } = (await eve.device.push('init chat')).data;
      expect(room.windows).to.deep.equal([[1, null]]);
      expect(room.lastMessage?.message).to.equal('before');
      expect(room.unread).to.equal(0);
      const { messages } = await eve.device.request('fetch messages', { roomId });
      expect(messages.map(({ message }) => message)).to.deep.equal(['before']);
    });

    it('lets who has left keep what they have seen, send nothing, and hear nothing more', async () => {
      const { roomId } = await create(ada, [ben, eve]);
      await say(ada.device, roomId, 'one');
      await hear(eve.device, 'one');
      await eve.device.request('leave group', { roomId });
      const { data } = await ben.device.push('remove member');
      expect(data).to.deep.equal({ roomId, userId: eve.id, by: eve.id, at: 1 });
      await say(ada.device, roomId, 'two');
      await hear(ben.device, 'two');
      const send = { roomId, messageId: randomUUID(), message: 'no' };
      const left = { code: 'forbidden', reason: 'not_member' };
      expect(await eve.device.refusal('send message', send)).to.deep.include(left);
      expect(await eve.device.refusal('notify typing', { roomId, isTyping: true })).to.deep.include(left);
      expect(await eve.device.refusal('get members', { roomId })).to.include({ code: 'not_found' });
      const { messages } = await eve.device.request('fetch messages', { roomId, before: 1000 });
      expect(messages.map(({ message }) => message)).to.deep.equal(['one']);
      const { chat } = await eve.device.request('get chat', { roomId });
      expect(chat.windows).to.deep.equal([[1, 1]]);
      expect(chat.lastMessage?.message).to.equal('one');
      expect(namesIn(chat)).to.deep.equal([eve.id]);
      expect((await eve.device.request('get active chats', {})).chats).to.deep.equal([]);
      expect(heard(eve.device)).to.deep.equal(['one']);
      // Who comes back sees everything in all their windows.
      await ada.device.request('add members', { roomId, userIds: [eve.id] });
      await say(ada.device, roomId, 'three');
      await hear(eve.device, 'three');
      const again = await eve.device.request('fetch messages', { roomId });
      expect(again.messages.map(({ message }) => message)).to.deep.equal(['one', 'three']);
    });

    it('shows who has left a message with the text that it had then, unless it was deleted since', async () => {
      const { roomId } = await create(ada, [ben, eve]);
      const edit = (messageId: string, message: string) =>
        ada.device.request('edit message', { roomId, messageId, editId: randomUUID(), message });
      const [first, second, third] = [
        await say(ada.device, roomId, 'one'),
        await say(ada.device, roomId, 'two'),
        await say(ada.device, roomId, 'three'),
      ];
      await edit(second.messageId, 'two, once');
      await eve.device.push('edit message');
      await eve.device.request('leave group', { roomId });
      await edit(first.messageId, 'one, changed');
      await edit(second.messageId, 'two, twice');
      const { revision } = await ada.device.request('delete message', {
        ...{ roomId, messageId: third.messageId },
      });
      const seen = async (who: Person) => {
        const { messages } = await who.device.request('fetch messages', { roomId, revision });
        return messages.map(({ message, rev }) => [message, rev ?? 0]);
      };
      expect(await seen(ben)).to.deep.equal([
        ['one, changed', 1],
        ['two, twice', 2],
        [null, 0],
      ]);
      expect(await seen(eve)).to.deep.equal([
        ['one', 0],
        ['two, once', 1],
        [null, 0],
      ]);
      const { edits } = await eve.device.request('get edits', { roomId, messageId: second.messageId });
      expect(edits.map(({ message }) => message)).to.deep.equal(['two', 'two, once']);
      for (const [{ device }, text] of [
        [ben, 'two, twice'],
        [eve, 'two, once'],
      ] as const) {
        const { message } = await device.request('get message', { roomId, messageId: second.messageId });
        expect(message).to.include({ messageId: second.messageId, message: text, seq: 2 });
      }
      expect(eve.device.pushed('edit message')).to.have.length(1);
      expect(eve.device.pushed('delete message')).to.deep.equal([]);
      await ada.device.request('add members', { roomId, userIds: [eve.id] });
      await eve.device.until('she is back', () => eve.device.pushes('init chat')[1]);
      expect(await seen(eve)).to.deep.equal([
        ['one, changed', 1],
        ['two, twice', 2],
        [null, 0],
      ]);
    });

    it('tells of a reaction only those in one of whose windows the message lies', async () => {
      const { roomId } = await create(ada, [ben]);
      const { messageId } = await say(ada.device, roomId, 'before');
      await ada.device.request('add members', { roomId, userIds: [eve.id] });
      const react = { roomId, messageId, emoji: '👍', on: true };
      expect(await eve.device.refusal('react', react)).to.include({ code: 'not_found' });
      await ada.device.request('react', react);
      await ben.device.push('react');
      await say(ada.device, roomId, 'behind');
      await hear(eve.device, 'behind');
      expect(eve.device.pushed('react')).to.deep.equal([]);
    });

    it('tells who was removed, who does the same, and nobody else', async () => {
      const { roomId } = await create(ada, [ben, eve]);
      expect(await ben.device.refusal('remove member', { roomId, userId: eve.id })).to.deep.include({
        code: 'forbidden',
        reason: 'admins_only',
      });
      await ada.device.request('remove member', { roomId, userId: eve.id });
      for (const { device } of [ben, eve])
        expect((await device.push('remove member')).data).to.deep.equal({
          roomId,
          userId: eve.id,
          by: ada.id,
          at: 0,
        });
      await ada.device.request('remove member', { roomId, userId: eve.id });
      await say(ada.device, roomId, 'only us');
      await hear(ben.device, 'only us');
      expect(ben.device.pushed('remove member')).to.have.length(1);
      expect(await ada.device.refusal('remove member', { roomId, userId: dan.id })).to.include({
        code: 'not_found',
      });
    });

    it('lists members in the order of joining, and readers, a page at a time', async () => {
      const { roomId } = await create(ada, [ben, eve, dan]);
      const { seq } = await say(ada.device, roomId, 'read this');
      for (const { device } of [ben, eve, dan]) {
        await hear(device, 'read this');
        await device.request('read messages', { roomId });
      }
      // Who asks has then seen the marks of all.
      await ben.device.push('read messages', ({ userId }) => userId === dan.id);
      const all = [ada, ben, eve, dan].map(({ id }) => id);
      for (const limit of [1, 2, 3, 4, 200]) {
        const [members, readers]: [string[], string[]] = [[], []];
        for (let next: string | undefined, pages = 0; pages === 0 || next !== undefined; pages++) {
          const page = { roomId, limit, ...(next === undefined ? {} : { next }) };
          const answer = await ben.device.request('get members', page);
          members.push(...answer.members.map(({ user }) => user.userId));
          if (members.length > all.length) break;
          next = answer.next;
        }
        expect(members, `members, ${limit} a page`).to.deep.equal(all);
        for (let next: string | undefined, pages = 0; pages === 0 || next !== undefined; pages++) {
          const page = { roomId, seq, limit, ...(next === undefined ? {} : { next }) };
          const answer = await ben.device.request('get readers', page);
          readers.push(...answer.readers.map(({ userId }) => userId));
          if (readers.length > all.length) break;
          next = answer.next;
        }
        expect(readers, `readers, ${limit} a page`).to.deep.equal(all);
      }
    });

    it('is told later to whoever may see it: who came and went, by whom, and what was changed', async () => {
      const { roomId } = await create(ada, [ben]);
      await say(ada.device, roomId, 'hello');
      await ada.device.request('change group', { roomId, name: 'Team', about: 'we', whoAdds: 'admins' });
      await ada.device.request('add members', { roomId, userIds: [eve.id] });
      await ada.device.request('change role', { roomId, userId: eve.id, role: 'admin' });
      await ada.device.request('remove member', { roomId, userId: ben.id });
      const { revision } = await eve.device.request('leave group', { roomId });
      await ada.device.request('change group', { roomId, name: 'Alone' });
      const seenBy = async ({ device }: Person, page: object = {}) => {
        const { happenings, users, next } = await device.request('get happenings', {
          roomId,
          revision,
          ...page,
        });
        const lines = happenings.map(({ time, ...rest }) => {
          expect(new Date(time).toISOString()).to.equal(time);
          return rest;
        });
        return { lines, users, next };
      };
      const [came, by] = [{ kind: 'joined', by: ada.id } as const, ada.id];
      const made = [
        { ...{ kind: 'created', at: 0, by, name: 'Crew', history: 'joined' }, ...SETTINGS },
        { ...came, at: 0, userId: ada.id, role: 'owner' },
        { ...came, at: 0, userId: ben.id, role: 'member' },
        { kind: 'changed', at: 1, by, name: 'Team', about: 'we', whoAdds: 'admins' },
      ];
      const went = [
        { ...came, at: 1, userId: eve.id, role: 'member' },
        { kind: 'role', at: 1, by, userId: eve.id, role: 'admin' },
        { kind: 'left', at: 1, by, userId: ben.id },
      ];
      const last = [
        { kind: 'left', at: 1, by: eve.id, userId: eve.id },
        { kind: 'changed', at: 1, by, name: 'Alone' },
      ];
      expect((await seenBy(ada)).lines).to.deep.equal([...made, ...went, ...last]);
      expect((await seenBy(ben)).lines, 'of who was removed').to.deep.equal([...made, ...went]);
      const { lines, users } = await seenBy(eve);
      expect(lines, 'of who came later').to.deep.equal([...went, last[0]]);
      expect(users).to.deep.include.members([ben.who.user, eve.who.user]);
      const { lines: newest, next } = await seenBy(ada, { limit: 2, after: 0 });
      expect(newest).to.deep.equal(last);
      const before = { after: 0, ...(next === undefined ? {} : { next }) };
      expect((await seenBy(ada, before)).lines).to.deep.equal([made[3], ...went]);
      expect((await seenBy(ada, { before: 1 })).lines).to.deep.equal(made.slice(0, 3));
      expect(await dan.device.refusal('get happenings', { roomId })).to.include({ code: 'not_found' });
    });

    it('shows as erased, later, who was erased', async () => {
      const { roomId } = await create(ada, [ben]);
      await ada.device.request('remove member', { roomId, userId: ben.id });
      await new Rest(place.url).erase(ben.who.token, ben.id, ben.who.password);
      const { happenings, users } = await ada.device.request('get happenings', { roomId });
      expect(happenings.at(-1)).to.deep.include({ kind: 'left', userId: ben.id });
      expect(users.find(({ userId }) => userId === ben.id)).to.include({ username: null, erased: true });
    });

    it('always leaves an owner', async () => {
      const { roomId } = await create(ada, [ben, eve]);
      const last = { code: 'conflict', reason: 'last_owner' };
      expect(
        await ada.device.refusal('change role', { roomId, userId: ada.id, role: 'member' }),
      ).to.deep.include(last);
      expect(await ada.device.refusal('remove member', { roomId, userId: ada.id })).to.deep.include(last);
      await ada.device.request('change role', { roomId, userId: eve.id, role: 'admin' });
      expect((await eve.device.push('change role')).data).to.deep.equal({
        ...{ roomId, userId: eve.id, role: 'admin', by: ada.id, at: 0 },
      });
      await ada.device.request('leave group', { roomId });
      const { data } = await ben.device.push('change role', ({ role }) => role === 'owner');
      const change = { roomId, userId: eve.id, role: 'owner', by: ada.id, at: 0 };
      expect(data).to.deep.equal({ ...change, inherited: true });
      const { members } = await ben.device.request('get members', { roomId });
      expect(members.map(({ user, role }) => [user.userId, role])).to.deep.equal([
        [ben.id, 'member'],
        [eve.id, 'owner'],
      ]);
    });

    it('is unknown to whoever never was a member', async () => {
      const { roomId } = await create(ada, [ben]);
      for (const [event, data] of [
        ['send message', { roomId, messageId: randomUUID(), message: 'no' }],
        ['fetch messages', { roomId }],
        ['get chat', { roomId }],
        ['get members', { roomId }],
        ['join room', { roomIds: [roomId] }],
        ['leave group', { roomId }],
        ['add members', { roomId, userIds: [eve.id] }],
        ['change group', { roomId, name: 'x' }],
        ['change role', { roomId, userId: ben.id, role: 'owner' }],
        ['remove member', { roomId, userId: ben.id }],
        ['read messages', { roomId }],
      ] as const)
        expect(await dan.device.refusal(event, data), event).to.include({ code: 'not_found' });
    });
  });

  describe('changing one', () => {
    it('is told to all, with what has changed', async () => {
      const { roomId } = await create(ada, [ben], { about: 'x' });
      const { room } = await ada.device.request('change group', {
        roomId,
        name: 'Team',
        about: '',
        whoAdds: 'admins',
      });
      expect(room).to.deep.include({ name: 'Team', whoAdds: 'admins' });
      expect(room).not.to.have.property('about');
      expect((await ben.device.push('change group')).data).to.deep.equal({
        ...{ roomId, by: ada.id, at: 0, name: 'Team', about: null, whoAdds: 'admins' },
      });
      const refusal = await ben.device.refusal('add members', { roomId, userIds: [eve.id] });
      expect(refusal).to.deep.include({ code: 'forbidden', reason: 'admins_only' });
    });
  });

  describe('coming back to one', () => {
    it('gives what was missed, up to the own leaving and not behind it', async () => {
      const { roomId } = await create(ada, [ben, eve]);
      const cursor = ben.device.cursor;
      await ben.device.close();
      await say(ada.device, roomId, 'one');
      await ada.device.request('change group', { roomId, name: 'Team' });
      await ada.device.request('remove member', { roomId, userId: ben.id });
      await say(ada.device, roomId, 'behind');
      await ada.device.request('remove member', { roomId, userId: eve.id });
      const again = await ben.who.device(cursor);
      await again.push('identity');
      await again.push('remove member');
      expect(heard(again)).to.deep.equal(['one']);
      expect(again.pushed('change group').map(({ name }) => name)).to.deep.equal(['Team']);
      expect(again.pushed('remove member').map(({ userId }) => userId)).to.deep.equal([ben.id]);
      await again.close();
    });

    it('gives who was added meanwhile the group, and what was said since', async () => {
      const { roomId } = await create(ada, [ben]);
      const cursor = dan.device.cursor;
      await dan.device.close();
      await say(ada.device, roomId, 'before');
      await ada.device.request('add members', { roomId, userIds: [dan.id] });
      await say(ada.device, roomId, 'since');
      const again = await dan.who.device(cursor);
      await again.push('identity');
      await hear(again, 'since');
      expect(again.pushed('init chat').map(({ room }) => room.roomId)).to.deep.equal([roomId]);
      expect(heard(again)).to.deep.equal(['since']);
      await again.close();
    });
  });
}
