import { expect } from 'chai';
import fc from 'fast-check';
import { type ChangeName, expectedChanges } from './expectedChanges.js';
import { type Folded, folded, type MakeRows } from './fold.js';
import { scripts } from './scripts.js';
import { World } from './world.js';

/** What a connection that comes back is sent of what it missed; `runs`: how many histories are tried. */
export function replaySuite(makeRows: MakeRows, runs: number): void {
  /** Walks a partition as a replay does, pages of any size, and answers what it was given. */
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
          const { changes, hasMore } = await queries.changesSince(userId, key, from, upTo, limit);
          expect(changes.length).to.be.at.most(limit);
          given.push(...changes.map(({ offset, event }): ChangeName => [offset, event]));
          from = changes.at(-1)?.offset ?? from;
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
            const stretch = { partition, above, upTo };
            const given = await walk(store, userId, { ...stretch, limit });
            expect(given).to.deep.equal(expectedChanges(world.events, userId, stretch));
          }
        }),
        { numRuns: runs },
      );
    });

    it('visits friendships, then rooms, by key and a page at a time, and only those above the cursor', async () => {
      const world = new World();
      const [me, ...others] = Array.from({ length: 6 }, (_, i) => world.register(`user${i}`));
      if (me === undefined) throw new Error('nobody registered');
      world.befriend(me, others[0] ?? '');
      world.openChat(me, others[0] ?? '');
      const above = world.lastOffset();
      const changed = others
        .slice(1)
        .flatMap((other) => [world.befriend(me, other), `room:${world.openChat(me, other)}`]);
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

    it('shows the chat, the message, the friend and the mark as they are now', async () => {
      const world = new World();
      const [anna, ben] = [world.register('anna'), world.register('ben')];
      const friendship = world.befriend(ben, anna);
      const roomId = world.openChat(anna, ben);
      world.send(anna, roomId, 'one');
      world.read(ben, roomId);
      world.send(anna, roomId, 'two');
      const { queries } = await folded(world, await makeRows());
      const upTo = world.lastOffset();
      const inRoom = await queries.changesSince(ben, `room:${roomId}`, -1, upTo, 10);
      const room = await queries.chat(roomId, ben, []);
      expect(inRoom.changes.map(({ event }) => event)).to.deep.equal([
        'init chat',
        'send message',
        'read messages',
        'send message',
      ]);
      expect(inRoom.changes[0]?.data).to.deep.equal({ room });
      expect(inRoom.changes[2]?.data).to.deep.equal({ roomId, userId: ben, upTo: 1 });
      expect(inRoom.changes[3]?.data).to.deep.equal({ message: room?.lastMessage });
      const friend = (await queries.users([ben], [])).get(ben);
      const added = await queries.changesSince(anna, friendship, -1, upTo, 10);
      expect(added.changes).to.deep.equal([{ offset: 2, event: 'add friend', data: { friend } }]);
    });

    it('gives nothing of a stream to someone who is not a member', async () => {
      const world = new World();
      const [anna, ben, chris] = [world.register('anna'), world.register('ben'), world.register('chris')];
      const friendship = world.befriend(anna, ben);
      const roomId = world.openChat(anna, ben);
      world.send(anna, roomId, 'private');
      const { queries } = await folded(world, await makeRows());
      for (const key of [friendship, `room:${roomId}`, `room:${world.id()}`])
        expect(await queries.changesSince(chris, key, -1, world.lastOffset(), 10)).to.deep.equal({
          changes: [],
          hasMore: false,
        });
    });
  });
}
