import { expect } from 'chai';
import fc from 'fast-check';
import { type Command, decideCommand } from '../../src/domain/commands.js';
import type { Facts } from '../../src/domain/defineCommand.js';
import { foldFor, type NewEvent, type Recorded, type State } from '../../src/domain/events.js';
import { GroupMembers, type Window } from '../../src/domain/groups/groupMembers.js';
import {
  countInWindows,
  type Group,
  isInWindows,
  membersOf,
  newestInWindows,
  windowsOf,
} from '../../src/domain/groups/groupState.js';
import { canSee, isGroup } from '../../src/domain/streams.js';
import { factsOf, NOW } from '../support/facts.js';
import { runs } from '../support/lanes.js';

const roomId = '11111111-1111-4111-8111-111111111111';
const user = (i: number) => `00000000-0000-4000-8000-${i.toString(16).padStart(12, '0')}`;
const [ada, bob, eve, dan] = [user(1), user(2), user(3), user(4)];
const everybody = [ada, bob, eve, dan, user(5)];

/** A group as a writer makes it. */
class Story {
  readonly events: Recorded[] = [];
  readonly fold = foldFor(`room:${roomId}`);
  state: State = this.fold.initial;
  #messages = 0;

  get group(): Group {
    if (!isGroup(this.state)) throw new Error('there is no group');
    return this.state;
  }

  /** The answer, or the code and the reason of the refusal. */
  run(command: Command, facts: Facts = factsOf()): Record<string, unknown> {
    const before = this.state;
    const decision = decideCommand(command, this.state, facts);
    expect(this.state).to.equal(before);
    if ('refused' in decision) {
      const { code, details } = decision.refused;
      return { code, ...(details.reason === undefined ? {} : { reason: details.reason }) };
    }
    for (const event of decision.events) {
      const offset = this.events.length;
      const actor = 'actor' in command ? command.actor : 'system';
      const place = { partition: 0, offset, version: offset + 1, actor, recordedAt: NOW, commandId: 'c' };
      // Deciders make events by their declarations.
      const recorded = { ...(event as NewEvent), ...place } as Recorded;
      this.events.push(recorded);
      this.state = this.fold.evolve(this.state, recorded);
    }
    return { ...decision.answer, made: decision.events.length };
  }

  create(memberIds: readonly string[] = [bob, eve], rest: object = {}, facts?: Facts) {
    const command = { kind: 'create group', actor: ada, roomId, name: 'Crew', memberIds: [...memberIds] };
    return this.run({ ...command, ...rest } as Command, facts); // `rest` has fields of the command.
  }

  send(actor: string) {
    const messageId = user(1000 + this.#messages++);
    return this.run({ kind: 'send message', actor, roomId, messageId, message: 'Hi' });
  }

  add = (actor: string, ...userIds: string[]) => this.run({ kind: 'add members', actor, roomId, userIds });
  remove = (actor: string, userId: string) => this.run({ kind: 'remove member', actor, roomId, userId });
  leave = (actor: string) => this.run({ kind: 'leave group', actor, roomId });
  promote = (actor: string, userId: string, role: 'owner' | 'admin' | 'member') =>
    this.run({ kind: 'change role', actor, roomId, userId, role });
  read = (actor: string, upTo?: number) =>
    this.run({ kind: 'read messages', actor, roomId, ...(upTo === undefined ? {} : { upTo }) });
  erase = (userId: string) => this.run({ kind: 'erase member', roomId, userId });

  roleOf = (of: string) => membersOf(this.group).roleOf(of);
  windows(of: string): readonly Window[] {
    const member = membersOf(this.group).get(of);
    return member ? windowsOf(member) : [];
  }
  types = () => this.events.map(({ type }) => type);
  roleChanges = () =>
    this.events.flatMap((event) => (event.type === 'MemberRoleChanged' ? [event.data] : []));
}

describe('a group', () => {
  it('has its creator as its owner, and the others as members who see all that is said', () => {
    const group = new Story();
    expect(group.create()).to.deep.equal({ roomId, refused: [], made: 4 });
    expect([ada, bob, eve, dan].map(group.roleOf)).to.deep.equal(['owner', 'member', 'member', undefined]);
    group.send(bob);
    for (const one of [ada, bob, eve]) expect(canSee(group.group, one, 1)).to.equal(true);
    expect(canSee(group.group, dan, 1)).to.equal(false);
  });

  it('refuses who is unknown or in too many groups, and goes on without them', () => {
    const facts = factsOf({
      invitation: (of) => (of === bob ? 'not_found' : 'taken'),
      groupsOf: (of) => (of === eve ? 1000 : 999),
    });
    const group = new Story();
    expect(group.create([bob, eve, dan], {}, facts)).to.deep.include({
      refused: [
        { userId: bob, reason: 'not_found' },
        { userId: eve, reason: 'too_many_groups' },
      ],
    });
    expect([ada, bob, eve, dan].map(group.roleOf)).to.deep.equal(['owner', undefined, undefined, 'member']);
  });

  it('is not created by somebody who is in 1,000 groups', () => {
    const refused = new Story().create([], {}, factsOf({ groupsOf: () => 1000 }));
    expect(refused).to.deep.equal({ code: 'forbidden', reason: 'too_many_groups' });
  });

  it('is answered again when its creation is repeated, and is a conflict with another body or creator', () => {
    const group = new Story();
    group.create([bob, eve], { about: 'x' });
    group.leave(bob);
    expect(group.create([eve, bob], { about: 'x' })).to.deep.equal({ roomId, refused: [], made: 0 });
    for (const other of [
      { name: 'Other' },
      { about: 'y' },
      { history: 'all' },
      { memberIds: [bob] },
      { actor: bob },
    ])
      expect(group.create([bob, eve], { about: 'x', ...other }).code, JSON.stringify(other)).to.equal(
        'conflict',
      );
    // A text whose key is destroyed cannot be compared any more.
    const ended = factsOf({ isText: () => undefined });
    expect(group.create([bob, eve], { about: 'y', name: 'Other' }, ended)).to.deep.include({ made: 0 });
  });

  it('holds as many members as the setting says', () => {
    const group = new Story();
    const facts = factsOf({ limits: { ...factsOf().limits, groupSize: 3 } });
    expect(group.create([bob, eve, dan], {}, facts)).to.deep.equal({
      code: 'forbidden',
      reason: 'group_full',
    });
    group.create([bob, eve], {}, facts);
    const add: Command = { kind: 'add members', actor: ada, roomId, userIds: [dan] };
    expect(group.run(add, facts)).to.deep.equal({ code: 'forbidden', reason: 'group_full' });
    group.leave(eve);
    expect(group.run(add, facts)).to.deep.equal({ added: [dan], refused: [], made: 1 });
    expect(group.run(add, facts)).to.deep.equal({ added: [], refused: [], made: 0 });
  });

  it('lets admins alone change it, and members or admins add others and send, as it is set', () => {
    const group = new Story();
    group.create();
    const forAdmins = { code: 'forbidden', reason: 'admins_only' };
    const change = {
      kind: 'change group',
      actor: bob,
      roomId,
      whoAdds: 'admins',
      whoSends: 'admins',
    } as const;
    expect(group.run(change)).to.deep.equal(forAdmins);
    expect(group.add(bob, dan)).to.deep.include({ added: [dan] });
    expect(group.run({ ...change, actor: ada })).to.deep.equal({ changed: true, made: 1 });
    expect(group.run({ ...change, actor: ada })).to.deep.equal({ changed: false, made: 0 });
    expect(group.add(bob, user(5))).to.deep.equal(forAdmins);
    expect(group.send(bob)).to.deep.equal(forAdmins);
    group.promote(ada, bob, 'admin');
    expect(group.send(bob)).to.have.property('made', 1);
    expect(group.add(bob, user(5))).to.deep.include({ made: 1 });
    expect(group.run({ ...change, whoSends: 'members' })).to.deep.include({ made: 1 });
  });

  it('records of a change what has changed, and null for a text that was removed', () => {
    const group = new Story();
    group.create([bob], { about: 'x' });
    const change = { kind: 'change group', actor: ada, roomId } as const;
    group.run({ ...change, name: 'Crew', about: '', history: 'joined' });
    expect(group.events.at(-1)?.data).to.deep.equal({ roomId, at: 0, about: null });
    expect(group.run({ ...change, about: '' })).to.deep.include({ made: 0 });
    group.run({ ...change, name: 'Team' });
    expect(group.events.at(-1)?.data).to.deep.equal({ roomId, at: 0, name: 'Team' });
  });

  it('keeps an owner: the only one is neither demoted nor removed, by whomever', () => {
    const group = new Story();
    group.create();
    group.promote(ada, bob, 'admin');
    const last = { code: 'conflict', reason: 'last_owner' };
    for (const actor of [ada, bob, eve]) {
      expect(group.remove(actor, ada), actor).to.deep.equal(last);
      expect(group.promote(actor, ada, 'member'), actor).to.deep.equal(last);
    }
    group.promote(ada, eve, 'owner');
    expect(group.remove(bob, eve)).to.deep.equal({ code: 'forbidden', reason: 'owners_only' });
    expect(group.remove(ada, eve)).to.deep.include({ made: 1 });
  });

  it('gets the oldest admin as its owner when the only one leaves or is erased, else the oldest member', () => {
    for (const end of ['leave', 'erase'] as const) {
      const group = new Story();
      group.create([bob, eve, dan]);
      group.promote(ada, dan, 'admin');
      group.promote(ada, eve, 'admin');
      group[end](ada);
      expect(group.roleOf(eve)).to.equal('owner');
      expect(group.types().slice(-2)).to.deep.equal(['MemberRoleChanged', 'MemberLeft']);
      // Nobody chose her, whatever `by` says.
      expect(group.roleChanges().at(-1)).to.deep.include({ userId: eve, inherited: true });
      group.promote(eve, dan, 'member');
      expect(group.roleChanges().at(-1)).not.to.have.property('inherited');
      group.leave(bob);
      group.add(eve, bob);
      group[end](eve);
      // Bob has come back behind Dan.
      expect([bob, dan].map(group.roleOf)).to.deep.equal(['member', 'owner']);
    }
  });

  it('shows who joins what is said from then on, or all of it, and who left what they have seen', () => {
    const group = new Story();
    group.create([bob]);
    group.send(ada);
    group.send(ada);
    group.add(ada, eve);
    expect(group.windows(eve)).to.deep.equal([[3, null]]);
    expect(group.read(eve)).to.deep.include({ upTo: 2, unread: 0 });
    group.leave(eve);
    expect(group.windows(eve), 'nothing was said').to.deep.equal([]);
    group.send(ada);
    group.run({ kind: 'change group', actor: ada, roomId, history: 'all' });
    group.add(ada, eve);
    expect(group.windows(eve)).to.deep.equal([[1, null]]);
    group.send(ada);
    expect(group.read(eve, 3)).to.deep.include({ upTo: 3, unread: 1 });
    group.remove(ada, bob);
    group.send(ada);
    expect(group.windows(bob)).to.deep.equal([[1, 4]]);
    expect(canSee(group.group, bob, 1), 'who has left does nothing with it').to.equal(false);
  });

  it('lets who has left do nothing any more, and is unknown to all others', () => {
    const group = new Story();
    group.create();
    group.leave(bob);
    const left = { code: 'forbidden', reason: 'not_member' };
    const never = { code: 'not_found' };
    for (const [actor, refused] of [
      [bob, left],
      [dan, never],
    ] as const) {
      expect(group.send(actor)).to.deep.equal(refused);
      expect(group.read(actor)).to.deep.equal(refused);
      expect(group.add(actor, dan)).to.deep.equal(refused);
      expect(group.remove(actor, eve)).to.deep.equal(refused);
      expect(group.promote(actor, eve, 'admin')).to.deep.equal(refused);
      expect(group.run({ kind: 'change group', actor, roomId, name: 'X' })).to.deep.equal(refused);
    }
    expect(group.leave(dan)).to.deep.equal(never);
    expect(group.leave(bob)).to.deep.include({ made: 0 });
    expect(group.remove(ada, bob)).to.deep.include({ made: 0 });
    expect(group.remove(ada, dan)).to.deep.equal(never);
  });

  it('says of the last member that they were the last', () => {
    const group = new Story();
    group.create([bob]);
    group.leave(bob);
    group.leave(ada);
    expect(group.events.at(-1)?.data).to.deep.equal({ roomId, userId: ada, by: ada, upTo: 0, last: true });
  });

  it('records an erasure once, of those who have written, and goes on', () => {
    const group = new Story();
    group.create();
    group.send(bob);
    group.erase(bob);
    group.erase(eve);
    expect(group.types().slice(-3)).to.deep.equal(['MemberLeft', 'MemberErased', 'MemberLeft']);
    expect(group.erase(bob)).to.deep.include({ made: 0 });
    expect(group.erase(dan)).to.deep.include({ made: 0 });
    expect(group.send(ada)).to.have.property('made', 1);
  });

  it('tells a mark to all members of a small group, and of a large one to the member alone', () => {
    const many = Array.from({ length: 31 }, (_, i) => user(100 + i));
    const group = new Story();
    group.create(many);
    group.send(ada);
    group.read(user(100));
    expect(group.events.at(-1)?.data).to.deep.equal({ roomId, userId: user(100), upTo: 1 });
    group.add(ada, bob);
    group.read(user(101));
    expect(group.events.at(-1)?.data).to.deep.equal({ roomId, userId: user(101), upTo: 1, own: true });
  });
});

const act = fc.record({
  does: fc.constantFrom('send', 'add', 'remove', 'leave', 'promote', 'read', 'erase', 'history'),
  who: fc.nat(everybody.length - 1),
  whom: fc.nat(everybody.length - 1),
  role: fc.constantFrom('owner', 'admin', 'member'),
  upTo: fc.nat(6),
} as const);

describe('any history of a group', () => {
  it('has an owner as long as there is a member, and windows and roles as a small model has them', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
        const story = new Story();
        story.create();
        const model = new Model();
        for (const one of acts) {
          const [who, whom] = [everybody[one.who] ?? '', everybody[one.whom] ?? ''];
          if (one.does === 'send') story.send(who);
          else if (one.does === 'add') story.add(who, whom);
          else if (one.does === 'remove') story.remove(who, whom);
          else if (one.does === 'leave') story.leave(who);
          else if (one.does === 'promote') story.promote(who, whom, one.role);
          else if (one.does === 'read') story.read(who, one.upTo);
          else if (one.does === 'erase') story.erase(who);
          else
            story.run({
              kind: 'change group',
              actor: who,
              roomId,
              history: one.upTo % 2 === 0 ? 'all' : 'joined',
            });
          for (const event of story.events.slice(model.seen)) model.take(event);
          model.expectSame(story);
        }
        // The stored part folds by itself, without the members.
        const { initial, stored, evolve } = story.fold;
        const row = story.events.reduce((state, event) => stored(evolve(state, event)), initial);
        expect(JSON.parse(JSON.stringify(row))).to.deep.equal(
          JSON.parse(JSON.stringify(stored(story.state))),
        );
      }),
      { numRuns: runs(300) },
    );
  });
});

/** Who is in the group, by its events alone. */
class Model {
  seen = 0;
  readonly roles = new Map<string, string>();
  readonly windows = new Map<string, [number, number | null][]>();
  readonly marks = new Map<string, number>();
  lastSeq = 0;

  take(event: Recorded): void {
    this.seen++;
    if (event.type === 'MessageSent') {
      expect(this.roles.has(event.actor), 'a member sends').to.equal(true);
      this.lastSeq = event.data.seq;
      this.marks.set(event.actor, event.data.seq);
    } else if (event.type === 'MessagesRead') {
      expect(event.data.upTo).to.be.within((this.marks.get(event.data.userId) ?? 0) + 1, this.lastSeq);
      this.marks.set(event.data.userId, event.data.upTo);
    } else if (event.type === 'MemberJoined') {
      const { userId, role, from } = event.data;
      expect(this.roles.has(userId), 'somebody new joins').to.equal(false);
      this.roles.set(userId, role);
      this.windows.set(userId, [...(this.windows.get(userId) ?? []), [from, null]]);
      this.marks.set(userId, this.lastSeq);
    } else if (event.type === 'MemberLeft') {
      this.roles.delete(event.data.userId);
      const windows = this.windows.get(event.data.userId) ?? [];
      const [from = 1] = windows.pop() ?? [];
      if (from <= this.lastSeq) windows.push([from, this.lastSeq]);
      expect(event.data.last ?? false).to.equal(this.roles.size === 0);
    } else if (event.type === 'MemberRoleChanged') this.roles.set(event.data.userId, event.data.role);
  }

  expectSame(story: Story): void {
    const members = membersOf(story.group);
    if (this.roles.size > 0) {
      expect(members.owners, 'there is an owner').to.be.at.least(1);
      expect([...this.roles.values()].filter((role) => role === 'owner')).to.have.length(members.owners);
    }
    expect(members.count).to.equal(this.roles.size);
    for (const one of everybody) {
      expect(story.roleOf(one)).to.equal(this.roles.get(one));
      expect(story.windows(one)).to.deep.equal(this.windows.get(one) ?? []);
      expect(members.get(one)?.mark).to.equal(this.marks.get(one));
    }
  }
}

describe('windows', () => {
  const windows = fc.array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.option(fc.nat(20), { nil: null })), {
    maxLength: 5,
  });
  it('count each message in them once, and find the newest', () => {
    fc.assert(
      fc.property(windows, fc.nat(20), fc.nat(25), (some, above, lastSeq) => {
        const seqs = Array.from({ length: lastSeq }, (_, i) => i + 1).filter((seq) => isInWindows(some, seq));
        expect(countInWindows(some, above, lastSeq)).to.equal(seqs.filter((seq) => seq > above).length);
        expect(newestInWindows(some, lastSeq)).to.equal(seqs.at(-1) ?? 0);
      }),
      { numRuns: runs(500) },
    );
  });
});

describe('the members of a group', () => {
  it('are as in a map, and older versions stay as they were, whichever way the history goes on', () => {
    const step = fc.record({
      from: fc.nat(),
      who: fc.nat(70),
      mark: fc.nat(9),
      role: fc.constantFrom('member', 'owner', undefined),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const versions = [
          { members: GroupMembers.none, map: new Map<string, { role: string | undefined; mark: number }>() },
        ];
        for (const { from, who, mark, role } of steps) {
          const base = versions[from % versions.length];
          if (!base) throw new Error('there is no version');
          const members = base.members.with(user(who), { role, mark });
          versions.push({ members, map: new Map(base.map).set(user(who), { role, mark }) });
        }
        for (const { members, map } of versions) {
          for (let i = 0; i <= 70; i++) {
            const found = members.get(user(i));
            expect(found && { role: found.role, mark: found.mark }).to.deep.equal(map.get(user(i)));
          }
          expect([...members.all()].map(({ userId }) => userId)).to.have.members([...map.keys()]);
          expect(members.count).to.equal([...map.values()].filter(({ role }) => role !== undefined).length);
        }
      }),
      { numRuns: runs(60) },
    );
  });
});
