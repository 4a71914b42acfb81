import { expect } from 'chai';
import fc from 'fast-check';
import { ParleyError } from '../../../src/base/errors.js';
import type { Recorded } from '../../../src/domain/events.js';
import type { Happening } from '../../../src/domain/groups/groupEvents.js';
import { isGroupId, type RoomId, streamOf, type UserId } from '../../../src/domain/ids.js';
import type { Queries } from '../../../src/projections/queries.js';
import { folded, type MakeRows } from './fold.js';
import { scripts } from './scripts.js';
import { unsealed, World } from './world.js';

/** A group's name or text in the clear. */
const textsIn = ({ name, about }: { readonly name?: string; readonly about?: string | null }) => ({
  ...(name === undefined ? {} : { name: unsealed(name) }),
  ...(about === undefined ? {} : { about: about && unsealed(about) }),
});

/** The happening that a member is to see of an event; undefined of an event that is none. */
function happeningOf({ type, data, actor, recordedAt: time }: Recorded): Happening | undefined {
  switch (type) {
    case 'GroupCreated':
      return { kind: 'created', at: 0, by: actor, time, name: '', ...textsIn(data), ...data.settings };
    case 'GroupChanged': {
      const { roomId: _, name: __, about: ___, ...changes } = data;
      return { kind: 'changed', by: actor, time, ...changes, ...textsIn(data) };
    }
    case 'MemberJoined':
      return { kind: 'joined', at: data.at, by: data.by, time, userId: data.userId, role: data.role };
    case 'MemberLeft':
      return { kind: 'left', at: data.upTo, by: data.by, time, userId: data.userId };
    case 'MemberRoleChanged': {
      const { roomId: _, ...change } = data;
      return { kind: 'role', time, ...change };
    }
    default:
      return undefined;
  }
}

/** What somebody may see of a group, by walking through its events: the rule as a reader would say it. */
function visibleTo(world: World, roomId: RoomId, userId: UserId): Happening[] {
  const all: Happening[] = [];
  const seen = new Set<number>();
  let [history, isIn, lastSeq] = ['', false, 0];
  for (const event of world.events.filter(({ stream }) => stream === streamOf('room', roomId))) {
    if (event.type === 'MessageSent') lastSeq = event.data.seq;
    if (event.type === 'GroupCreated') ({ history } = event.data.settings);
    if (event.type === 'GroupChanged') history = event.data.history ?? history;
    const happening = happeningOf(event);
    if (!happening) continue;
    all.push(happening);
    const place = all.length - 1;
    if (happening.kind === 'joined' && happening.userId === userId) {
      isIn = true;
      const { place: number, from } = event.data as { place: number; from: number }; // Of `MemberJoined`.
      const isFirst = all[place - number - 1]?.kind === 'created';
      const seesAll = lastSeq > 0 ? from === 1 : history === 'all';
      for (let i = seesAll ? 0 : place - number - Number(isFirst); i < place; i++) seen.add(i);
    }
    if (isIn) seen.add(place);
    if (happening.kind === 'left' && happening.userId === userId) isIn = false;
  }
  return all.filter((_, i) => seen.has(i));
}

/** All that somebody sees, in pages of at most `limit`. */
async function allOf(
  { groups }: Queries,
  me: UserId,
  { limit, ...asked }: { roomId: RoomId; limit: number; after?: number; before?: number },
): Promise<Happening[]> {
  const all: Happening[] = [];
  for (let next: string | undefined; ; ) {
    const page = await groups.happenings(
      me,
      { ...asked, limit, ...(next === undefined ? {} : { next }) },
      [],
    );
    expect(page.happenings.length).to.be.within(0, limit);
    const named = new Set(
      page.happenings.flatMap((one) => ('userId' in one ? [one.by, one.userId] : one.by)),
    );
    named.delete('system');
    expect(page.users.map(({ userId }) => userId)).to.have.members([...named]);
    all.unshift(...page.happenings);
    if (page.next === undefined) return all;
    next = page.next;
  }
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'an answer',
    (error) => (error instanceof ParleyError ? error.code : error),
  );

/** Who came to a group and went, and what was changed there; `runs`: the number of histories. */
export function happeningsSuite(makeRows: MakeRows, runs: number): void {
  describe('the happenings of a group', () => {
    it('are what each member may see, whatever happens, in pages of any size', async function () {
      this.timeout(120_000);
      await fc.assert(
        fc.asyncProperty(scripts, fc.integer({ min: 1, max: 9 }), fc.nat(9), async (scripted, limit, seq) => {
          const { world, users, rooms } = scripted;
          const roomId = rooms.find(isGroupId) ?? '';
          const { queries } = await folded(world, await makeRows());
          for (const me of users) {
            const expected = visibleTo(world, roomId, me);
            if (!(await queries.groups.membership(roomId, me, []))) {
              expect(expected).to.deep.equal([]);
              expect(await codeOf(allOf(queries, me, { roomId, limit }))).to.equal('not_found');
              continue;
            }
            expect(await allOf(queries, me, { roomId, limit })).to.deep.equal(expected);
            expect(await allOf(queries, me, { roomId, limit, after: seq })).to.deep.equal(
              expected.filter(({ at }) => at > seq),
            );
            expect(await allOf(queries, me, { roomId, limit, before: seq })).to.deep.equal(
              expected.filter(({ at }) => at < seq),
            );
          }
        }),
        { numRuns: runs },
      );
    });

    it('begin with the joining where the history does, also where nothing was said yet', async () => {
      const world = new World();
      const [ann, ben, cid, dan] = ['ann', 'ben', 'cid', 'dan'].map((name) => world.register(name)) as [
        string,
        string,
        string,
        string,
      ];
      const roomId = world.createGroup(ann, [ben]);
      world.inGroup({ kind: 'change group', actor: ann, roomId, name: 'secret' });
      world.inGroup({ kind: 'add members', actor: ann, roomId, userIds: [cid, dan] });
      world.inGroup({ kind: 'remove member', actor: ann, roomId, userId: dan });
      world.send(ann, roomId, 'hello');
      world.inGroup({ kind: 'change group', actor: ann, roomId, name: 'public', history: 'all' });
      world.inGroup({ kind: 'add members', actor: ben, roomId, userIds: [dan] });
      const { queries } = await folded(world, await makeRows());
      const linesFor = async (me: UserId) =>
        (await allOf(queries, me, { roomId, limit: 3 })).map((one) =>
          'userId' in one
            ? `${one.kind} ${[ann, ben, cid, dan].indexOf(one.userId)}`
            : `${one.kind} ${one.name}`,
        );
      const added = ['joined 2', 'joined 3', 'left 3', 'changed public', 'joined 3'];
      const first = [`created group of ${ann}`, 'joined 0', 'joined 1', 'changed secret'];
      expect(await linesFor(ann)).to.deep.equal([...first, ...added]);
      expect(await linesFor(ben), 'of those who made it').to.deep.equal([...first, ...added]);
      expect(await linesFor(cid)).to.deep.equal(added);
      expect(await linesFor(dan), 'who sees all now').to.deep.equal([...first, ...added]);
    });

    it('end with the leaving, are nothing to strangers, and show who was erased as erased', async () => {
      const world = new World();
      const [ann, ben, eve] = [world.register('ann'), world.register('ben'), world.register('eve')];
      const roomId = world.createGroup(ann, [ben]);
      world.inGroup({ kind: 'leave group', actor: ben, roomId });
      world.inGroup({ kind: 'change group', actor: ann, roomId, name: 'after' });
      const { queries } = await folded(world, await makeRows());
      const seen = await queries.groups.happenings(ben, { roomId, limit: 9 }, []);
      expect(seen.happenings.map(({ kind }) => kind)).to.deep.equal(['created', 'joined', 'joined', 'left']);
      expect(seen).not.to.have.property('next');
      const none = world.id().replace(/^(.{14})./, '$14');
      for (const [me, room] of [
        [eve, roomId],
        [ann, none],
      ] as const)
        expect(await codeOf(queries.groups.happenings(me, { roomId: room, limit: 9 }, []))).to.equal(
          'not_found',
        );
      world.destroyKey(ben);
      const { users } = await queries.groups.happenings(ann, { roomId, limit: 9 }, []);
      expect(users.map(({ username, erased }) => [username, erased])).to.have.deep.members([
        ['ann', undefined],
        [null, true],
      ]);
    });

    it('refuse a `next` that was altered, or is of another kind of page', async () => {
      const world = new World();
      const [ann, ben] = [world.register('ann'), world.register('ben')];
      const roomId = world.createGroup(ann, [ben]);
      const { queries } = await folded(world, await makeRows());
      const { next = '' } = await queries.groups.happenings(ann, { roomId, limit: 1 }, []);
      const { next: ofMembers = '' } = await queries.groups.members(ann, { roomId, limit: 1 }, []);
      for (const wrong of [`${next}x`, ofMembers])
        expect(await codeOf(queries.groups.happenings(ann, { roomId, limit: 1, next: wrong }, []))).to.equal(
          'bad_request',
        );
    });
  });
}
