import { expect } from 'chai';
import type { UserId } from '../../../src/domain/ids.js';
import { countBlocks } from '../../../src/projections/models/contacts.js';
import { rejection } from '../../support/rejection.js';
import { type Folded, folded, type MakeRows } from './fold.js';
import { World } from './world.js';

/** Tests users, friends, search, contacts and presence. */
export function usersSuite(makeRows: MakeRows): void {
  const search = async ({ queries }: Folded, me: UserId, q: string, limit = 20) =>
    (await queries.search(me, q, limit, [])).map((user) => user.username);

  describe('users', () => {
    it('are those that exist, with a name of null and erased when their key is gone', async () => {
      const world = new World();
      const [anna, ben] = [world.register('Anna'), world.register('ben')];
      world.destroyKey(ben);
      const { queries } = await folded(world, await makeRows());
      const users = await queries.users([anna, ben, world.id()], []);
      const shown = { backgroundColor: '#336699', createdAt: '2026-01-01T00:00:00.000Z' };
      expect(users.get(anna)).to.deep.equal({ ...shown, userId: anna, username: 'Anna' });
      expect(users.get(ben)).to.include({ userId: ben, username: null, erased: true });
      expect(users.size).to.equal(2);
    });
  });

  describe('blocks', () => {
    it('are counted for each user, without those that have ended', async () => {
      const world = new World(3);
      const [anna, ben, chris] = [world.register('anna'), world.register('ben'), world.register('chris')];
      for (const other of [ben, chris]) world.block(anna, other);
      world.block(ben, anna);
      world.block(chris, ben);
      world.block(chris, ben, false);
      const { rows } = await folded(world, await makeRows());
      expect([...(await countBlocks(rows, [anna, ben, chris]))]).to.deep.equal([
        [anna, 2],
        [ben, 1],
        [chris, 0],
      ]);
    });
  });

  describe('friends', () => {
    it('are mutual, and without those who were erased', async () => {
      const world = new World(3);
      const [anna, ben, chris] = [world.register('anna'), world.register('ben'), world.register('chris')];
      world.befriend(anna, ben);
      world.befriend(chris, anna);
      world.destroyKey(chris);
      const { queries } = await folded(world, await makeRows());
      const namesOf = async (user: string) => (await queries.friends(user, { limit: 9 }, [])).friends;
      expect((await namesOf(anna)).map(({ userId }) => userId)).to.deep.equal([ben]);
      expect((await namesOf(ben)).map(({ userId }) => userId)).to.deep.equal([anna]);
    });

    it('are all there, however many, each on one page', async () => {
      const world = new World();
      const anna = world.register('anna');
      const others = Array.from({ length: 300 }, (_, i) => world.register(`friend${i}`));
      for (const other of others) world.befriend(anna, other);
      const { queries } = await folded(world, await makeRows());
      const pages: string[][] = [];
      for (let page: { limit: number; next?: string } | undefined = { limit: 120 }; page; ) {
        const { friends, next }: Awaited<ReturnType<typeof queries.friends>> = await queries.friends(
          anna,
          page,
          [],
        );
        pages.push(friends.map(({ userId }) => userId));
        page = next === undefined ? undefined : { limit: 120, next };
      }
      expect(pages.map(({ length }) => length)).to.deep.equal([120, 120, 60]);
      expect(pages.flat()).to.have.members(others);
      const { next = '' } = await queries.activeChats(anna, { limit: 1 }, []);
      for (const wrong of ['x', next])
        expect(await rejection(queries.friends(anna, { limit: 1, next: wrong }, []))).to.have.property(
          'code',
          'bad_request',
        );
    });
  });

  describe('search', () => {
    it('gives the exact name, then those that begin with it, then the rest, in any case', async () => {
      const world = new World();
      const me = world.register('me');
      for (const name of ['Joanna', 'annabel', 'ANNA', 'h.anna', 'Ann', 'annaanna']) world.register(name);
      const store = await folded(world, await makeRows());
      const found = await search(store, me, 'aNNa');
      expect(found[0]).to.equal('ANNA');
      expect(found.slice(1, 3)).to.have.members(['annabel', 'annaanna']);
      expect(found.slice(3)).to.have.members(['Joanna', 'h.anna']);
      expect(await search(store, me, 'anna', 2)).to.deep.equal(found.slice(0, 2));
    });

    it('is literal', async () => {
      const world = new World();
      const me = world.register('me');
      for (const name of ['a.b', 'axb', 'a_b', 'b-%']) world.register(name);
      const store = await folded(world, await makeRows());
      expect(await search(store, me, 'a.b')).to.deep.equal(['a.b']);
      expect(await search(store, me, 'a_b')).to.deep.equal(['a_b']);
      for (const q of ['^a', '^', 'a%', 'a*', '$', ' ', '.*', '\u0001a', '\u0001', '\u202Ea'])
        expect(await search(store, me, q)).to.deep.equal([]);
    });

    it('leaves out me, my friends and erased users, however many they are', async () => {
      const world = new World();
      const me = world.register('anna');
      for (let i = 0; i < 130; i++) world.befriend(me, world.register(`anna${i}`));
      world.register('zanna');
      world.destroyKey(world.register('anna-gone'));
      const goneLater = world.register('anna-gone-later');
      const store = await folded(world, await makeRows());
      expect(await search(store, me, 'anna')).to.deep.equal(['anna-gone-later', 'zanna']);
      world.destroyKey(goneLater);
      expect(await search(store, me, 'anna')).to.deep.equal(['zanna']);
    });
  });

  describe('contacts', () => {
    it('are friends and those with whom I share a chat that has a message', async () => {
      const world = new World(3);
      const [me, friend, silent, pal] = ['me', 'friend', 'silent', 'pal'].map((name) => world.register(name));
      if (me === undefined || friend === undefined || silent === undefined || pal === undefined)
        throw new Error();
      world.befriend(friend, me);
      world.openChat(me, silent);
      world.send(pal, world.openChat(pal, me), 'hello');
      const { queries } = await folded(world, await makeRows());
      const contactsOf = async (user: string) => [...(await queries.ties(user, [])).keys()];
      expect(await contactsOf(me)).to.have.members([friend, pal]);
      expect(await contactsOf(pal)).to.deep.equal([me]);
      expect(await contactsOf(silent)).to.deep.equal([]);
    });
  });

  describe('presence', () => {
    it('has lastSeen null while online, and for one never seen', async () => {
      const world = new World();
      const [on, off, never] = [world.register('on'), world.register('off'), world.register('never')];
      world.goOnline(off);
      world.goOnline(on);
      world.goOffline(off, '2026-02-03T04:05:06.007Z');
      const { queries } = await folded(world, await makeRows());
      const presence = await queries.presence(on, [on, off, never], []);
      expect(presence.get(on)).to.deep.equal({ isOnline: true, lastSeen: null });
      expect(presence.get(off)).to.deep.equal({ isOnline: false, lastSeen: '2026-02-03T04:05:06.007Z' });
      expect(presence.get(never)).to.deep.equal({ isOnline: false, lastSeen: null });
    });

    it('lists who is online, a page at a time', async () => {
      const world = new World();
      const users = Array.from({ length: 5 }, (_, i) => world.register(`user${i}`)).sort();
      for (const user of users) world.goOnline(user);
      world.goOffline(users[2] ?? '', '2026-02-03T04:05:06.007Z');
      const { queries } = await folded(world, await makeRows());
      const first = await queries.online(2);
      expect(first).to.deep.equal(users.slice(0, 2));
      expect(await queries.online(10, first[1])).to.deep.equal(users.slice(3));
    });
  });
}
