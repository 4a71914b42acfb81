import { expect } from 'chai';
import fc from 'fast-check';
import { isStoredPush } from '../../../src/domain/defineEvent.js';
import { isFor, pushesOf, pushesTo } from '../../../src/domain/events.js';
import type { User } from '../../../src/domain/userMessageChat.js';
import type { MissedEvent } from '../../../src/projections/models/streamIndex.js';
import { type ChangeName, expectedChanges } from './expectedChanges.js';
import { type Folded, folded, type MakeRows } from './fold.js';
import { scripts } from './scripts.js';
import { sealed, World } from './world.js';

function noChat(): never {
  throw new Error('no push here shows a chat');
}

const unknown: User = { userId: '', username: null, backgroundColor: '', createdAt: '' };

/** The pushes of an event to a user. */
const namesOf = (userId: string, { event, scene }: MissedEvent): ChangeName[] =>
  pushesOf(event, scene).flatMap((push) =>
    isStoredPush(push) && isFor(userId, push, event.offset, scene.periods ?? [])
      ? [[event.offset, push.name] as const]
      : [],
  );

/** Tests what a resumed connection is sent of what it missed; `runs`: the number of histories. */
export function replaySuite(makeRows: MakeRows, runs: number): void {
  /** Walks a partition like a replay, in pages of any size, and returns the events. */
  async function walk(
    { queries }: Folded,
    userId: string,
    at: { partition: number; above: number; upTo: number; limit: number },
  ): Promise<Record<string, ChangeName[]>> {
    const { partition, above, upTo, limit } = at;
    const streams: Record<string, ChangeName[]> = {};
    let after: string | undefined;
    for (;;) {
      const page = { limit, ...(after === undefined ? {} : { after }) };
      const keys = await queries.changedStreams(userId, partition, above, page, []);
      for (const { key } of keys) {
        const given: ChangeName[] = [];
        for (let from = above, more = true; more; ) {
          const { events, hasMore } = await queries.missedEvents(
            userId,
            key,
            { since: above, above: from, upTo },
            limit,
          );
          expect(events.length).to.be.at.most(limit);
          for (const event of events) given.push(...namesOf(userId, event));
          from = events.at(-1)?.event.offset ?? from;
          more = hasMore;
        }
        if (given.length > 0) streams[key] = given;
        expect(after === undefined || after < key, 'in the order of keys').to.equal(true);
        after = key;
      }
      if (keys.length < limit) return streams;
    }
  }

  describe('a replay', () => {
    it('gives what was stored since the cursor, in order, without gap or duplicate, wherever it was cut', async () => {
      const cut = fc.tuple(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 6 }), fc.nat(2));
      await fc.assert(
        fc.asyncProperty(scripts, cut, async ({ world, users }, [a, b, limit, who]) => {
          const store = await folded(world, await makeRows());
          const userId = users[who] ?? '';
          for (let partition = 0; partition < world.partitions; partition++) {
            const size = world.lastOffset(partition) + 1;
            const [above = 0, upTo = 0] = [(a % (size + 1)) - 1, (b % (size + 1)) - 1].sort((x, y) => x - y);
            const range = { partition, above, upTo };
            const given = await walk(store, userId, { ...range, limit });
            expect(given).to.deep.equal(expectedChanges(world.events, userId, range));
          }
        }),
        { numRuns: runs },
      );
    });

    it('visits each pair once, by key and a page at a time, and only those above the cursor', async () => {
      const world = new World();
      const [me, ...others] = Array.from({ length: 6 }, (_, i) => world.register(`user${i}`));
      if (me === undefined) throw new Error('nobody registered');
      world.befriend(me, others[0] ?? '');
      world.openChat(me, others[0] ?? '');
      const above = world.lastOffset();
      const changed = others.slice(1).map((other) => {
        world.openChat(me, other);
        return world.befriend(me, other);
      });
      const { queries } = await folded(world, await makeRows());
      const visited: string[] = [];
      for (;;) {
        const after = visited.at(-1);
        const page = { limit: 3, ...(after === undefined ? {} : { after }) };
        const keys = await queries.changedStreams(me, 0, above, page, []);
        if (keys.length === 0) break;
        expect(keys.length).to.equal(Math.min(3, changed.length - visited.length));
        visited.push(...keys.map(({ key }) => key));
      }
      expect(visited).to.deep.equal(changed.sort());
    });

    it('ends with the own stream of the user, behind which no group is visited again', async () => {
      const world = new World();
      const [me, other] = [world.register('me'), world.register('other')];
      const groups = Array.from({ length: 8 }, () => world.createGroup(me, [other]));
      const { queries } = await folded(world, await makeRows());
      const own = `user:${me}`;
      const names = groups.map((roomId) => `room:${roomId}`);
      const page = await queries.changedStreams(me, 0, -1, { limit: 20 }, []);
      expect(page.map(({ key }) => key)).to.deep.equal([...names.sort(), own]);
      expect(await queries.changedStreams(me, 0, -1, { limit: 20, after: own }, [])).to.deep.equal([]);
    });

    it('gives of read marks only the newest of each member', async () => {
      const world = new World();
      const [anna, ben] = [world.register('anna'), world.register('ben')];
      const roomId = world.openChat(anna, ben);
      world.send(anna, roomId, 'one');
      world.read(ben, roomId);
      world.send(anna, roomId, 'two');
      const upTo = world.lastOffset();
      world.read(ben, roomId);
      const { queries } = await folded(world, await makeRows());
      const names = async (to: number) => {
        const { events } = await queries.missedEvents(
          ben,
          `room:${roomId}`,
          { since: -1, above: -1, upTo: to },
          10,
        );
        return events.flatMap((event) => namesOf(ben, event).map(([, name]) => name));
      };
      // The mark moved again beyond the range, so the later push reports it.
      expect(await names(upTo)).to.deep.equal(['init chat', 'send message', 'send message']);
      expect(await names(world.lastOffset())).to.deep.equal([
        ...['init chat', 'send message', 'send message'],
        'read messages',
      ]);
    });

    it('gives a message that was deleted since as it is now, and tells only of the deletion of older ones', async () => {
      const world = new World();
      const [anna, ben] = [world.register('anna'), world.register('ben')];
      const roomId = world.openChat(anna, ben);
      world.send(anna, roomId, 'one');
      const since = world.lastOffset();
      world.send(anna, roomId, 'two');
      world.send(anna, roomId, 'three');
      for (const seq of [1, 2]) world.deleteMessage(roomId, seq);
      const { queries } = await folded(world, await makeRows());
      for (const limit of [1, 10]) {
        const given: [string, unknown][] = [];
        for (let above = since, more = true; more; ) {
          const range = { since, above, upTo: world.lastOffset() };
          const page = await queries.missedEvents(ben, `room:${roomId}`, range, limit);
          for (const { event, scene } of page.events)
            for (const push of pushesTo(ben, event, scene))
              given.push([
                push.name,
                push.data({ user: () => unknown, chat: () => noChat(), text: (sealed) => sealed }),
              ]);
          above = page.events.at(-1)?.event.offset ?? above;
          more = page.hasMore;
        }
        expect(given).to.containSubset([
          ['send message', { message: { seq: 2, message: null, deleted: { by: 'system' } } }],
          ['send message', { message: { seq: 3, message: sealed('three') } }],
          ['delete message', { roomId, seq: 1, by: 'system' }],
        ]);
        expect(given).to.have.length(3);
      }
    });

    it('tells of a changed older message once, in pages of any size and up to any offset', async () => {
      const world = new World();
      const [anna, ben] = [world.register('anna'), world.register('ben')];
      const roomId = world.openChat(anna, ben);
      for (const text of ['one', 'two']) world.send(anna, roomId, text);
      const since = world.lastOffset();
      for (const emoji of ['👍', '🎉']) for (const seq of [1, 2]) world.react(ben, roomId, seq, emoji);
      world.edit(roomId, 1, 'one, edited');
      const store = await folded(world, await makeRows());
      for (let upTo = since; upTo <= world.lastOffset(); upTo++) {
        const range = { partition: 0, above: since, upTo };
        const expected = expectedChanges(world.events, ben, range);
        expect((expected[`room:${roomId}`] ?? []).length, 'one for each message').to.be.at.most(2);
        for (const limit of [1, 2, 3, 10])
          expect(await walk(store, ben, { ...range, limit }), `${limit} up to ${upTo}`).to.deep.equal(
            expected,
          );
      }
    });

    it('gives nothing of a stream to someone who is not a member', async () => {
      const world = new World();
      const [anna, ben, chris] = [world.register('anna'), world.register('ben'), world.register('chris')];
      const friendship = world.befriend(anna, ben);
      const roomId = world.openChat(anna, ben);
      world.send(anna, roomId, 'private');
      const { queries } = await folded(world, await makeRows());
      for (const key of [friendship, `room:${roomId}`, `room:${world.id()}`])
        expect(
          await queries.missedEvents(chris, key, { since: -1, above: -1, upTo: world.lastOffset() }, 10),
        ).to.deep.equal({ events: [], hasMore: false });
    });
  });
}
