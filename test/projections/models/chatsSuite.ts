import { expect } from 'chai';
import { ParleyError } from '../../../src/base/errors.js';
import type { ChatFilter } from '../../../src/domain/chats.js';
import { type RoomId, roomIdOf, streamOf, type UserId } from '../../../src/domain/ids.js';
import type { Chat } from '../../../src/domain/userMessageChat.js';
import { membershipsModel } from '../../../src/projections/models/membershipRows.js';
import type { Queries } from '../../../src/projections/queries.js';
import type { RowStore } from '../../../src/projections/store/rowStore.js';
import { folded, type MakeRows } from './fold.js';
import { World } from './world.js';

/** The same rows, and a list of what was read of them. */
function recordReads(rows: RowStore) {
  const reads: { name: 'get' | 'find'; keys: string[] }[] = [];
  const { get, find } = { get: rows.get.bind(rows), find: rows.find.bind(rows) };
  const recorded: RowStore = Object.assign(rows, {
    get: async (...asked: Parameters<RowStore['get']>) => {
      const found = await get(...asked);
      reads.push({ name: 'get', keys: [...found.keys()] });
      return found;
    },
    find: async (...asked: Parameters<RowStore['find']>) => {
      const found = await find(...asked);
      reads.push({ name: 'find', keys: found.map(({ key }) => key) });
      return found;
    },
  });
  return { reads, recorded };
}

/** All active chats of a user, in pages of at most `limit`. */
async function allChats({ activeChats }: Queries, me: UserId, limit: number): Promise<Chat[]> {
  const seen: Chat[] = [];
  for (let next: string | undefined; ; ) {
    const page = await activeChats(me, { limit, ...(next === undefined ? {} : { next }) }, []);
    expect(page.chats.length).to.be.within(0, limit);
    seen.push(...page.chats);
    if (page.next === undefined) return seen;
    next = page.next;
  }
}

/** Tests active chats, one chat, and a room's members. */
export function chatsSuite(makeRows: MakeRows): void {
  describe('a chat', () => {
    it('is shown as each member sees it', async () => {
      const world = new World();
      const [anna, ben] = [world.register('anna'), world.register('ben')];
      const roomId = world.openChat(anna, ben);
      world.send(anna, roomId, 'one');
      world.send(anna, roomId, 'two');
      world.read(ben, roomId, 1);
      const messageId = world.send(anna, roomId, 'three');
      const { queries } = await folded(world, await makeRows());
      const forAnna = await queries.chat(roomId, anna, []);
      const forBen = await queries.chat(roomId, ben, []);
      expect(forAnna).to.include({ roomId, roomType: 'PRIVATE', unread: 0 });
      expect(forAnna?.participants.map((user) => user.username)).to.have.members(['anna', 'ben']);
      expect(forAnna?.readUpTo).to.deep.equal({ [anna]: 3, [ben]: 1 });
      expect(forAnna?.lastMessage).to.include({
        messageId,
        roomId,
        seq: 3,
        senderId: anna,
        message: 'three',
      });
      expect(forBen).to.deep.equal({ ...forAnna, unread: 2 });
    });

    it('is empty at first, with both members in readUpTo', async () => {
      const world = new World();
      const [anna, ben] = [world.register('anna'), world.register('ben')];
      const roomId = world.openChat(anna, ben);
      const { queries } = await folded(world, await makeRows());
      const chat = await queries.chat(roomId, anna, []);
      expect(chat).to.include({ lastMessage: null, unread: 0, createdAt: '2026-01-01T00:00:02.000Z' });
      expect(chat?.readUpTo).to.deep.equal({ [anna]: 0, [ben]: 0 });
    });

    it('is none to someone who is not a member, as a room that does not exist', async () => {
      const world = new World();
      const [anna, ben, chris] = [world.register('anna'), world.register('ben'), world.register('chris')];
      const roomId = world.openChat(anna, ben);
      const { queries } = await folded(world, await makeRows());
      expect(await queries.chat(roomId, chris, [])).to.equal(undefined);
      expect(await queries.chat(world.id(), chris, [])).to.equal(undefined);
      expect(await queries.members(roomId, [])).to.have.members([anna, ben]);
      expect(await queries.members(world.id(), [])).to.equal(undefined);
    });

    it('is found by each member among all of theirs, and by nobody else', async () => {
      const world = new World(3);
      const users = Array.from({ length: 8 }, (_, i) => world.register(`user${i}`));
      const rooms = new Map<string, readonly string[]>();
      for (const [i, one] of users.entries())
        for (const other of users.slice(i + 1)) rooms.set(world.openChat(one, other), [one, other].sort());
      const { queries } = await folded(world, await makeRows());
      for (const user of users)
        for (const [roomId, members] of rooms) {
          const isMine = members.includes(user);
          const found = await queries.membersFor(user, roomId, []);
          expect(found && [...found].sort()).to.deep.equal(isMine ? members : undefined);
          expect((await queries.chat(roomId, user, []))?.roomId).to.equal(isMine ? roomId : undefined);
        }
    });

    it('of others takes the same reads as none, so that time does not tell them apart', async () => {
      const world = new World();
      const [anna, ben, chris] = [world.register('anna'), world.register('ben'), world.register('chris')];
      world.openChat(anna, chris);
      const theirs = world.openChat(anna, ben);
      world.send(anna, theirs, 'a text that is long enough to be seen in the time');
      const { reads, recorded } = recordReads(await makeRows());
      const { queries } = await folded(world, recorded);
      const asks = [
        (roomId: string) => queries.membersFor(chris, roomId, []),
        (roomId: string) => queries.chat(roomId, chris, []),
      ];
      for (const ask of asks) {
        reads.length = 0;
        for (const roomId of [roomIdOf(ben, chris), theirs]) expect(await ask(roomId)).to.equal(undefined);
        expect(reads.map(({ name }) => name)).to.deep.equal(['find', 'find']);
        expect(reads.flatMap(({ keys }) => keys)).not.to.include(streamOf('room', theirs));
      }
    });

    it('stays when the other was erased: their messages and their name are null', async () => {
      const world = new World();
      const [anna, ben] = [world.register('anna'), world.register('ben')];
      const roomId = world.openChat(anna, ben);
      world.send(ben, roomId, 'soon gone');
      world.destroyKey(ben);
      const { queries } = await folded(world, await makeRows());
      const { chats } = await queries.activeChats(anna, { limit: 50 }, []);
      expect(chats[0]?.lastMessage).to.include({ message: null, erased: true });
      const other = chats[0]?.participants.find(({ userId }) => userId === ben);
      expect(other).to.include({ username: null, erased: true });
    });
  });

  describe('active chats', () => {
    it('are those active for me: for the initiator at once, for the other with the first message', async () => {
      const world = new World();
      const [anna, ben] = [world.register('anna'), world.register('ben')];
      const roomId = world.openChat(anna, ben);
      const before = await folded(world, await makeRows());
      expect((await before.queries.activeChats(anna, { limit: 50 }, [])).chats).to.have.length(1);
      expect((await before.queries.activeChats(ben, { limit: 50 }, [])).chats).to.deep.equal([]);
      world.send(anna, roomId, 'hello');
      const after = await folded(world, await makeRows());
      expect((await after.queries.activeChats(ben, { limit: 50 }, [])).chats[0]).to.include({
        roomId,
        unread: 1,
      });
    });

    it('come newest activity first, page after page, and end without next', async () => {
      const world = new World(3);
      const me = world.register('me');
      const rooms = Array.from({ length: 5 }, (_, i) => world.openChat(me, world.register(`user${i}`)));
      const [r0 = '', r1 = '', r2 = '', r3 = '', r4 = ''] = rooms;
      world.send(me, r1, 'hello');
      world.send(me, r3, 'hello');
      const { queries } = await folded(world, await makeRows());
      const seen = (await allChats(queries, me, 2)).map(({ roomId }) => roomId);
      expect(seen).to.deep.equal([r3, r1, r4, r2, r0]);
      expect(await queries.activeChats(me, { limit: 5 }, [])).not.to.have.property('next');
    });

    it('have groups in their places, by the last message or by the joining if that came later', async () => {
      const world = new World(3);
      const [me, ben] = [world.register('me'), world.register('ben')];
      const pair = world.openChat(me, ben);
      const sendIn = (roomId: RoomId) =>
        world.inGroup({ kind: 'send message', actor: ben, roomId, messageId: world.id(), message: 'hello' });
      const [silent, left, late] = [
        world.createGroup(ben, [me]),
        world.createGroup(ben, [me]),
        world.createGroup(ben, []),
      ];
      const [again, spoken] = [world.createGroup(ben, [me]), world.createGroup(ben, [me])];
      for (const roomId of [spoken, again, left, late]) sendIn(roomId);
      for (const roomId of [left, again]) world.inGroup({ kind: 'leave group', actor: me, roomId });
      world.send(me, pair, 'hello');
      for (const roomId of [again, late])
        world.inGroup({ kind: 'add members', actor: ben, roomId, userIds: [me] });
      const { queries } = await folded(world, await makeRows());
      const { chats } = await queries.activeChats(me, { limit: 50 }, []);
      expect(chats.map(({ roomId }) => roomId)).to.deep.equal([late, again, pair, spoken, silent]);
      for (const limit of [1, 2, 3]) expect(await allChats(queries, me, limit)).to.deep.equal(chats);
    });

    it('come with the rows of the groups of the page alone', async () => {
      const world = new World();
      const [me, ben] = [world.register('me'), world.register('ben')];
      const groups = Array.from({ length: 30 }, () => world.createGroup(ben, [me]));
      const { reads, recorded } = recordReads(await makeRows());
      const { queries } = await folded(world, recorded);
      const pages: { keys: string[] }[] = [];
      for (const limit of [3, 30]) {
        reads.splice(0);
        const { chats } = await queries.activeChats(me, { limit }, []);
        expect(chats.map(({ roomId }) => roomId)).to.deep.equal(groups.toReversed().slice(0, limit));
        pages.push({ keys: reads.flatMap(({ keys }) => keys) });
      }
      const groupsIn = ({ keys }: { keys: string[] }) =>
        groups.filter((roomId) => keys.some((key) => key.includes(roomId)));
      expect(pages.map(groupsIn)).to.deep.equal([groups.slice(-3), groups]);
    });

    it('look at 400 chats beside those of the page for a filter, and open no other', async () => {
      const world = new World();
      const me = world.register('me');
      const rooms = Array.from({ length: 430 }, (_, i) => {
        const room = world.openChat(me, world.register(`friend${i}`));
        world.send(me, room, `message ${i}`);
        return room;
      });
      const archived = rooms.slice(5, 8);
      for (const room of archived) world.archive(me, room, true);
      const { reads, recorded } = recordReads(await makeRows());
      const { queries } = await folded(world, recorded);
      const pageAt = async (filter: ChatFilter, next: string | undefined, limit = 10) => {
        reads.length = 0;
        const page = await queries.activeChats(me, { limit, filter, ...(next ? { next } : {}) }, []);
        const chats = reads.filter(({ name }) => name === 'find').flatMap(({ keys }) => keys);
        const users = reads.filter(({ keys }) => keys.some((key) => key === me));
        return { ...page, looked: chats.length, opened: users.length };
      };
      const first = await pageAt('archived', undefined);
      expect(first.chats).to.deep.equal([]);
      expect(first.looked).to.be.within(410, 412);
      expect(first.opened, 'profiles were read').to.equal(0);
      const second = await pageAt('archived', first.next);
      expect(second.chats.map(({ roomId }) => roomId)).to.deep.equal([...archived].reverse());
      expect(second.next).to.equal(undefined);
      // Without one that is left out, no more is looked at than a page has.
      const all = await pageAt('all', undefined);
      expect([all.chats.length, all.looked]).to.deep.equal([10, 11]);
      const seen: string[] = [];
      for (let next: string | undefined, more = true; more; more = next !== undefined) {
        const page = await pageAt('active', next, 100);
        expect(page.looked).to.be.at.most(502);
        seen.push(...page.chats.map(({ roomId }) => roomId));
        next = page.next;
      }
      expect(seen).to.deep.equal(rooms.filter((room) => !archived.includes(room)).reverse());
    });

    it('go on behind a page whose groups have all been left meanwhile', async () => {
      const world = new World();
      const [me, ben] = [world.register('me'), world.register('ben')];
      const [first, second] = [world.createGroup(ben, [me]), world.createGroup(ben, [me])];
      const { rows } = await folded(world, await makeRows());
      const places = rows.places.bind(rows);
      const earlier = await places(membershipsModel, 'user', { terms: [me], above: 0 });
      world.inGroup({ kind: 'leave group', actor: me, roomId: second });
      const later = await folded(world, rows);
      const placesBefore = async (...asked: Parameters<RowStore['places']>) =>
        asked[1] === 'user' ? earlier : places(...asked);
      Object.assign(rows, { places: placesBefore });
      expect((await allChats(later.queries, me, 1)).map(({ roomId }) => roomId)).to.deep.equal([first]);
    });

    it('refuse an altered next as a bad request', async () => {
      const world = new World();
      const me = world.register('me');
      for (const name of ['anna', 'ben']) world.openChat(me, world.register(name));
      const { queries } = await folded(world, await makeRows());
      const { next = '' } = await queries.activeChats(me, { limit: 1 }, []);
      const swapped = next.startsWith('a') ? `b${next.slice(1)}` : `a${next.slice(1)}`;
      for (const altered of ['x', '.', swapped, `${next}0`, `${next}.0`, next.slice(0, -1)]) {
        const error = await queries.activeChats(me, { limit: 1, next: altered }, []).then(
          () => undefined,
          (refused: unknown) => refused,
        );
        expect(error, altered).to.be.instanceOf(ParleyError).with.property('code', 'bad_request');
      }
    });
  });
}
