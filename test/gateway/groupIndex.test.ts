import { expect } from 'chai';
import fc from 'fast-check';
import { isStoredPush, type StoredPush } from '../../src/domain/defineEvent.js';
import { isFor, pushesOf, type Recorded } from '../../src/domain/events.js';
import { isGroupId, type RoomId, type UserId } from '../../src/domain/ids.js';
import { GroupIndex } from '../../src/gateway/groupIndex.js';
import type { PlacedMembership } from '../../src/projections/queries.js';
import { membersOf, periodsOf } from '../projections/models/expectedChanges.js';
import { scripts } from '../projections/models/scripts.js';
import { World } from '../projections/models/world.js';
import { runs } from '../support/lanes.js';

/** What the read model has of a user's groups after these events of one partition. */
function rowsAfter(events: readonly Recorded[], user: UserId): PlacedMembership[] {
  const rooms = new Set<RoomId>();
  for (const { type, data } of events)
    if (type === 'MemberJoined' && data.userId === user) rooms.add(data.roomId);
  return [...rooms].map((roomId) => {
    const periods = periodsOf(events, `room:${roomId}`, user);
    const offset = events.at(-1)?.offset ?? -1;
    return { roomId, partition: 0, offset, periods, isMember: periods.at(-1)?.left === null };
  });
}

const stored = (event: Recorded, events: readonly Recorded[]): StoredPush[] =>
  pushesOf(event, { members: membersOf(events, event.stream) }).filter(isStoredPush);

describe('the groups of the users of a node', () => {
  it('give each push to those who were members at its place, whenever each of them has come', async () => {
    const comings = fc.array(fc.record({ at: fc.nat(), begins: fc.nat(5), ahead: fc.nat(8) }), {
      minLength: 3,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(scripts, comings, async ({ world, users }, plan) => {
        if (world.partitions > 1) return;
        const { events } = world;
        let fannedOut = 0;
        const answers = new Map<UserId, (rows: PlacedMembership[]) => void>();
        const index = new GroupIndex(
          (user) => new Promise((resolve) => answers.set(user, resolve)),
          () => [fannedOut],
        );
        const here = new Set<UserId>();
        const adding: Promise<void>[] = [];
        for (const [i, event] of events.entries()) {
          for (const [who, { at, begins, ahead }] of plan.entries()) {
            const user = users[who] ?? '';
            const known = (at % events.length) + begins;
            if (i === known - begins) adding.push(index.add(user));
            if (i !== known) continue;
            // What is read is as of the question or later, and may be ahead of the fan-out.
            answers.get(user)?.(rowsAfter(events.slice(0, i + ahead), user));
            await new Promise((resolve) => setImmediate(resolve));
            here.add(user);
          }
          index.fold(event);
          fannedOut = event.offset + 1;
          // What is kept by user and by group says the same of everybody whose groups are known.
          for (const room of world.rooms().filter((one) => isGroupId(one))) {
            const members = [...here].filter((user) => {
              const last = periodsOf(events.slice(0, i + 1), `room:${room}`, user).at(-1);
              return last?.left === null;
            });
            expect(new Set(index.membersNow(room)), `behind ${event.offset}`).to.deep.equal(new Set(members));
            expect(index.hasMembers(room)).to.equal(members.length > 0);
          }
          for (const push of stored(event, events)) {
            const given = index.receiversOf(push, event.offset).filter((user) => here.has(user));
            const expected = [...here].filter((user) =>
              isFor(user, push, event.offset, periodsOf(events, event.stream, user)),
            );
            expect(new Set(given), `${event.type} ${event.offset}`).to.deep.equal(new Set(expected));
            expect(given.length).to.equal(expected.length);
            const { to } = push;
            if ('group' in to && expected.some((user) => !to.and?.includes(user)))
              expect(index.hasMembers(to.group)).to.equal(true);
          }
        }
        for (const answer of answers.values()) answer([]);
        await Promise.all(adding);
        for (const user of users) index.remove(user);
        for (const push of events.flatMap((event) => stored(event, events)))
          if ('group' in push.to) expect(index.hasMembers(push.to.group)).to.equal(false);
      }),
      { numRuns: runs(150) },
    );
  });

  it('give one list to all messages until somebody comes or goes', async () => {
    const world = new World();
    const users = ['ann', 'ben', 'eve'].map((name) => world.register(name));
    const [ann = '', ben = '', eve = ''] = users;
    const roomId = world.createGroup(ann, [ben]);
    const index = new GroupIndex(
      async () => [],
      () => [0],
    );
    for (const user of users) await index.add(user);
    for (const event of world.events) index.fold(event);
    const push = { to: { group: roomId } };
    const before = index.receiversOf(push, 10);
    expect(index.receiversOf(push, 11)).to.equal(before);
    world.inGroup({ kind: 'add members', actor: ann, roomId, userIds: [eve] });
    const joined = world.events.at(-1);
    if (joined) index.fold(joined);
    expect(index.receiversOf(push, 12)).to.have.members([ann, ben, eve]);
  });

  it('are waited for by whoever connects while they are being read, and fail for all', async () => {
    const answers: ((error: Error) => void)[] = [];
    const index = new GroupIndex(
      () => new Promise((_, reject) => answers.push(reject)),
      () => [0],
    );
    // The first connection may have gone when the second comes.
    const adding = [index.add('ann'), index.add('ann')];
    expect(index.isKnown('ann')).to.equal(false);
    expect(answers).to.have.length(1);
    answers[0]?.(new Error('the store is away'));
    const ends = await Promise.allSettled(adding);
    expect(ends.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
    expect(index.isKnown('ann')).to.equal(false);
  });

  it('are asked for again after they could not be read', async () => {
    let isDown = true;
    const index = new GroupIndex(
      async () => {
        if (isDown) throw new Error('the read models are away');
        return [];
      },
      () => [0],
    );
    expect(await index.add('ann').catch(String)).to.match(/away/);
    expect(index.isKnown('ann')).to.equal(false);
    isDown = false;
    await index.add('ann');
    expect(index.isKnown('ann')).to.equal(true);
  });
});
