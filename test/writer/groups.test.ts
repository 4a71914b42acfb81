import { expect } from 'chai';
import fc from 'fast-check';
import type { Command } from '../../src/domain/commands.js';
import type { Recorded } from '../../src/domain/events.js';
import { groupKeyOwner } from '../../src/domain/ids.js';
import { runs } from '../support/lanes.js';
import { MemoryLog } from '../support/memoryLog.js';
import { ada, bob, eve, eventsOf, gate, World } from './world.js';

const roomId = '11111111-1111-4111-8111-111111111111';
const create: Command = { kind: 'create group', actor: ada, roomId, name: 'Crew', memberIds: [bob, eve] };
const read = (actor: string, upTo: number): Command => ({ kind: 'read messages', actor, roomId, upTo });
let messages = 0;
const send = (actor: string): Command => {
  const messageId = `00000000-0000-4000-8000-${(++messages).toString(16).padStart(12, '0')}`;
  return { kind: 'send message', actor, roomId, messageId, message: 'Hi' };
};

async function withGroup(): Promise<World> {
  const world = await World.start(new MemoryLog());
  await world.vault.keys.create(groupKeyOwner(roomId));
  await world.outcome(create);
  return world;
}

/** The events of the group without their places. */
const story = (world: World) =>
  eventsOf(world.log.commits()).flatMap((event: Recorded) =>
    event.type.startsWith('Member') || event.type.startsWith('Message') ? [[event.type, event.data]] : [],
  );

describe('a writer of groups', () => {
  it('records of one member’s marks in one commit only the last, behind what was sent', async () => {
    const world = await withGroup();
    for (let i = 0; i < 4; i++) await world.outcome(send(ada));
    const { open, opened } = gate();
    world.log.script = async () => {
      await opened;
      return { kind: 'store' };
    };
    const first = world.outcome(send(ada));
    const answers = [read(bob, 1), read(bob, 3), send(ada), read(eve, 2), read(bob, 2), read(bob, 6)].map(
      (one) => world.outcome(one),
    );
    const left = world.outcome({ kind: 'leave group', actor: eve, roomId });
    open();
    await Promise.all([first, left, ...answers]);
    const marks = (await Promise.all(answers)).flatMap((answer) => (answer as { upTo?: number }).upTo ?? []);
    expect(marks).to.deep.equal([1, 3, 2, 3, 6]);
    const commit = world.log.commits().at(-1);
    const types = eventsOf(commit ? [commit] : []).map(({ type, data }) =>
      'upTo' in data ? [type, data.userId, data.upTo] : [type],
    );
    expect(types).to.deep.equal([
      ['MessageSent'],
      ['MessageSent'],
      // Before its member leaves.
      ['MessagesRead', eve, 2],
      ['MemberLeft', eve, 6],
      ['MessagesRead', bob, 6],
    ]);
  });

  it('seals the name of a group with the key of the room', async () => {
    const world = await withGroup();
    const created = eventsOf(world.log.commits()).find(({ type }) => type === 'GroupCreated');
    expect(JSON.stringify(created)).to.not.include('Crew');
    expect(await world.outcome({ ...create, name: 'Other' } as Command)).to.equal('conflict');
    expect(await world.outcome(create)).to.deep.include({ roomId, refused: [] });
    await world.vault.keys.destroy(groupKeyOwner(roomId));
    expect(await world.outcome({ kind: 'change group', actor: ada, roomId, name: 'New' })).to.equal(
      'conflict',
    );
  });

  it('decides the same wherever the read models are, and whoever takes the partition over', async () => {
    const step = fc.record({
      does: fc.constantFrom(
        'send',
        'read',
        'add',
        'remove',
        'leave',
        'promote',
        'project',
        'ahead',
        'restart',
      ),
      who: fc.nat(2),
      whom: fc.nat(2),
      upTo: fc.nat(9),
    } as const);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const [plain, folded] = [await withGroup(), await withGroup()];
        const people = [ada, bob, eve];
        for (const { does, who, whom, upTo } of steps) {
          if (does === 'project') await folded.project();
          else if (does === 'ahead') await folded.foldMembershipsAhead();
          else if (does === 'restart') await folded.restart();
          else {
            const [actor, userId] = [people[who] ?? '', people[whom] ?? ''];
            const at = { actor, roomId };
            const command: Command =
              does === 'send'
                ? send(actor)
                : does === 'read'
                  ? { kind: 'read messages', ...at, upTo }
                  : does === 'add'
                    ? { kind: 'add members', ...at, userIds: [userId] }
                    : does === 'remove'
                      ? { kind: 'remove member', ...at, userId }
                      : does === 'leave'
                        ? { kind: 'leave group', ...at }
                        : { kind: 'change role', ...at, userId, role: upTo % 2 === 0 ? 'owner' : 'admin' };
            const [a, b] = [await plain.outcome(command), await folded.outcome(command)];
            const without = (answer: unknown) =>
              typeof answer === 'object' ? { ...answer, moment: undefined } : answer;
            expect(without(b)).to.deep.equal(without(a));
          }
        }
        const bare = (world: World) => JSON.stringify(story(world)).replaceAll(/"text":"[^"]*"/g, '');
        expect(bare(folded)).to.equal(bare(plain));
      }),
      { numRuns: runs(60) },
    );
  });
});
