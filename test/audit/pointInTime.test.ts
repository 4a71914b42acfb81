import { expect } from 'chai';
import fc from 'fast-check';
import { readRoomAt, readUserAt, type SnapshotSource } from '../../src/audit/pointInTime.js';
import { ParleyError } from '../../src/base/errors.js';
import { isGroupId, type UserId } from '../../src/domain/ids.js';
import type { User } from '../../src/domain/userMessageChat.js';
import { allProjections } from '../../src/projections/allProjections.js';
import { createQueries, type Queries } from '../../src/projections/queries.js';
import { scripts } from '../projections/models/scripts.js';
import { World } from '../projections/models/world.js';
import { runs } from '../support/lanes.js';
import { rejection } from '../support/rejection.js';
import { MemoryRows } from '../support/rowsMemory.js';
import { foldInto, logOf } from './worldLog.js';

const progress = { waitFor: async () => {} };

/** All of a world; `indexed`: the size of each partition that the index of streams reports. */
async function sourceOf(world: World, indexed = Number.MAX_SAFE_INTEGER): Promise<SnapshotSource> {
  const rows = new MemoryRows();
  await foldInto(rows, allProjections(world.open), world.events);
  const log = await logOf(world.events, world.partitions);
  return { log, rows, open: world.open, indexed: () => indexed };
}

/** As members and friends of the past are shown. */
const withoutProfile = ({ userId, username, backgroundColor, createdAt }: User): User => ({
  ...{ userId, username, backgroundColor, createdAt },
});

/** The members of a room; undefined if it does not exist. */
async function membersNow(live: Queries, roomId: string, users: readonly UserId[]) {
  if (!isGroupId(roomId)) return live.members(roomId, []);
  const found = await Promise.all(users.map((user) => live.groups.membership(roomId, user, [])));
  if (found.every((membership) => !membership)) return undefined;
  return users.filter((_, i) => found[i]?.isMember);
}

describe('a room or a user at a point in time', () => {
  it('is what was live then, after every event, whether an index or the log itself tells where to look', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, fc.constantFrom(0, 7, Number.MAX_SAFE_INTEGER), async (scripted, indexed) => {
        const { world, users, rooms } = scripted;
        const source = await sourceOf(world, indexed);
        const { open } = world;
        const { log } = source;
        const projections = allProjections(open);
        const rows = new MemoryRows();
        const live = createQueries({ ...{ rows, open, log, progress }, contactRule: 'open' });
        for (const [i, event] of world.events.entries()) {
          await foldInto(rows, projections, [event]);
          if (i % 7 !== 0 && i !== world.events.length - 1) continue;
          const time = event.recordedAt;
          for (const roomId of rooms) {
            const members = await membersNow(live, roomId, users);
            const then = await readRoomAt(source, roomId, { time }).catch(refused);
            if (!members) {
              expect(then).to.equal('not_found');
              continue;
            }
            // Of a group that nobody is in any more, no live query tells.
            if (members.length === 0) continue;
            const chats = await Promise.all(members.map((member) => live.chat(roomId, member, [])));
            // To each member the others' marks may be hidden.
            const readUpTo = Object.fromEntries(
              members.map((member, i) => [member, chats[i]?.readUpTo[member]]),
            );
            const { messages } = await live.messages(roomId, { after: 0, limit: 200 }, []);
            const shown = { messages, members: chats[0]?.participants.map(withoutProfile) };
            expect(then).to.deep.include({ ...shown, readUpTo });
          }
          for (const userId of users) {
            const then = await readUserAt(source, userId, time).catch(refused);
            const user = (await live.users([userId], [])).get(userId);
            if (!user) {
              expect(then).to.equal('not_found');
              continue;
            }
            const { isOnline, lastSeen } = (await live.presence(userId, [userId], [])).get(userId) ?? {};
            const { chats: others } = await live.activeChats(userId, { limit: 50 }, []);
            const { chats: archived } = await live.activeChats(userId, { limit: 50, filter: 'archived' }, []);
            const chats = [...others, ...archived];
            const { users: blocked } = await live.blocked(userId, { limit: 50 }, []);
            const preferences = await live.preferences(userId, []);
            // An auditor sees what is hidden from others.
            expect(then).to.deep.include({ user, isOnline, lastSeen, preferences });
            expect((await readUserAt(source, userId, time)).blocked).to.have.deep.members(
              blocked.map(withoutProfile),
            );
            const { friends, rooms: active } = await readUserAt(source, userId, time);
            const { friends: known } = await live.friends(userId, { limit: 50 }, []);
            expect(friends).to.have.deep.members(known.map(withoutProfile));
            expect(active.map(({ roomId }) => roomId)).to.have.members(chats.map(({ roomId }) => roomId));
          }
        }
      }),
      { numRuns: runs(12) },
    );
  });

  it('of a room ends with the message asked for', async () => {
    const world = new World();
    const [anna, ben] = [world.register('anna'), world.register('ben')];
    const roomId = world.openChat(anna, ben);
    for (const text of ['one', 'two', 'three']) world.send(anna, roomId, text);
    world.read(ben, roomId, 3);
    const source = await sourceOf(world);
    const { messages, readUpTo } = await readRoomAt(source, roomId, { seq: 2 });
    expect(messages.map(({ message }) => message)).to.deep.equal(['one', 'two']);
    expect(readUpTo).to.deep.equal({ [anna]: 2, [ben]: 0 });
    expect(await rejection(readRoomAt(source, roomId, { seq: 4 }))).to.include({
      code: 'not_found',
    });
  });

  it('says null for what was sealed by one whose key is destroyed', async () => {
    const world = new World();
    const [anna, ben] = [world.register('anna'), world.register('ben')];
    const roomId = world.openChat(anna, ben);
    world.send(ben, roomId, 'soon gone');
    const source = await sourceOf(world);
    world.destroyKey(ben);
    const time = world.events.at(-1)?.recordedAt ?? '';
    const { messages, members } = await readRoomAt(source, roomId, { time });
    expect(messages[0]).to.include({ message: null, erased: true });
    expect(members.find(({ userId }) => userId === ben)).to.include({ username: null, erased: true });
  });
});

const refused = (error: unknown): string => {
  if (error instanceof ParleyError) return error.code;
  throw error;
};
