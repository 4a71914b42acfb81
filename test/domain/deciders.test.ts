import { expect } from 'chai';
import fc from 'fast-check';
import { type Command, type CommandOf, decideCommand } from '../../src/domain/commands.js';
import type { Facts } from '../../src/domain/defineCommand.js';
import { foldFor, type NewEvent, pushesOf, type Recorded, type State } from '../../src/domain/events.js';
import type { PolicyState } from '../../src/domain/history.js';
import { roomIdOf, type StreamName } from '../../src/domain/ids.js';
import { ROLES, type Role, type RoomState, type UserState } from '../../src/domain/streams.js';
import { earlierMessage, factsOf, NOW as now } from '../support/facts.js';
import { runs } from '../support/lanes.js';

const [ada, bob, eve] = [
  '00000000-0000-4000-8000-00000000000a',
  '00000000-0000-4000-8000-00000000000b',
  '00000000-0000-4000-8000-00000000000e',
] as const;
const roomId = roomIdOf(ada, bob);
const facts = factsOf();
const unknownOther = factsOf({ exists: (user) => user === ada });

type RoomCommand = CommandOf<'init chat' | 'send message' | 'read messages' | 'erase member'>;
type UserCommand = CommandOf<
  | 'register user'
  | 'go online'
  | 'go offline'
  | 'erase user'
  | 'give role'
  | 'take role'
  | 'record audit read'
  | 'suspend user'
  | 'restore user'
  | 'administer user'
  | 'change profile'
>;

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

/** A stream as a writer would make it, with every state and event frozen. */
class Stream<S extends State> {
  readonly events: Recorded[] = [];
  readonly #fold;
  #state: State;

  constructor(name: StreamName) {
    this.#fold = foldFor(name);
    this.#state = deepFreeze(this.#fold.initial);
  }

  get state(): S {
    return this.#state as S; // The test says which kind of stream it is.
  }

  /** What its events fold to, from the beginning. */
  get refolded(): State {
    return this.events.reduce<State>((state, event) => this.#fold.evolve(state, event), this.#fold.initial);
  }

  /** The answer, or the code of the refusal; `made` events were added. */
  run(actor: string, command: Command, known: Facts = facts) {
    const decision = decideCommand(deepFreeze(command), this.#state, known);
    if ('refused' in decision) return { code: decision.refused.code, made: 0 };
    for (const event of decision.events) {
      const version = this.events.length + 1;
      const place = { partition: 0, offset: version - 1, version, actor, recordedAt: now, commandId: 'c' };
      // Deciders make events by their declarations.
      const recorded = deepFreeze({ ...(event as NewEvent), ...place });
      this.events.push(recorded);
      this.#state = deepFreeze(this.#fold.evolve(this.#state, recorded));
    }
    return { answer: decision.answer, made: decision.events.length };
  }

  types() {
    return this.events.map((event) => event.type);
  }
}

const actorOf = (command: RoomCommand) => ('actor' in command ? command.actor : 'system');
const room = () => new Stream<RoomState>(`room:${roomId}`);
const newUser = () => new Stream<UserState>(`user:${ada}`);
/** A message's answer, as its sender gets it. */
const answered = (actor: string, messageId: string, seq: number, sentAt = now) => ({
  message: { messageId, roomId, senderId: actor, message: `text of ${messageId}`, seq, sentAt },
});
const open = { kind: 'init chat', actor: ada, friendId: bob } as const;
const message = (actor: string, id: string, replyTo?: string): RoomCommand => ({
  kind: 'send message',
  actor,
  roomId,
  messageId: id,
  message: `text of ${id}`,
  ...(replyTo === undefined ? {} : { replyTo }),
});
const read = (actor: string, upTo?: number): RoomCommand => ({
  kind: 'read messages',
  actor,
  roomId,
  ...(upTo === undefined ? {} : { upTo }),
});

describe('room', () => {
  it('is made by the first init chat and becomes active for its initiator only', () => {
    const chat = room();
    expect(chat.run(ada, open, facts)).to.deep.equal({ answer: { roomId, isNewActive: true }, made: 2 });
    expect(chat.types()).to.deep.equal(['RoomCreated', 'ChatOpened']);
    expect(chat.state).to.deep.equal({
      exists: true,
      roomType: 'PRIVATE',
      roomId,
      members: [ada, bob],
      createdAt: now,
      active: [ada],
      lastSeq: 0,
      marks: { [ada]: 0, [bob]: 0 },
      erased: [],
      added: [],
      contacts: [],
      blocks: [],
      pins: [],
    });
  });

  it('is the same room from the other side, and a repeat changes nothing', () => {
    const chat = room();
    chat.run(ada, open, facts);
    expect(chat.run(ada, open, facts)).to.deep.equal({ answer: { roomId, isNewActive: false }, made: 0 });
    const back = chat.run(bob, { kind: 'init chat', actor: bob, friendId: ada }, facts);
    expect(back).to.deep.equal({ answer: { roomId, isNewActive: true }, made: 1 });
    expect(chat.events.at(-1)).to.containSubset({ type: 'ChatOpened', data: { userId: bob } });
  });

  it('is not made with oneself or with someone who does not exist', () => {
    const chat = room();
    expect(chat.run(ada, { ...open, friendId: ada }, facts)).to.include({ code: 'bad_request' });
    expect(chat.run(ada, open, unknownOther)).to.include({ code: 'not_found' });
    expect(chat.events).to.have.length(0);
  });

  it('becomes active for the other member with its first message, before it', () => {
    const chat = room();
    chat.run(ada, open, facts);
    expect(chat.run(ada, message(ada, 'm1'), facts)).to.deep.equal({
      answer: { ...answered(ada, 'm1', 1), isNew: true, contact: bob },
      made: 2,
    });
    expect(chat.events.slice(2)).to.containSubset([
      { type: 'ChatOpened', data: { userId: bob } },
      { type: 'MessageSent', data: { seq: 1, text: 'text of m1' } },
    ]);
    expect(chat.run(bob, message(bob, 'm2'), facts)).to.deep.include({ made: 1 });
  });

  it('does not exist for those who are not members', () => {
    const chat = room();
    expect(chat.run(ada, message(ada, 'm'), facts)).to.include({ code: 'not_found' });
    chat.run(ada, open, facts);
    expect(chat.run(eve, message(eve, 'm'), facts)).to.include({ code: 'not_found' });
    expect(chat.run(eve, read(eve), facts)).to.include({ code: 'not_found' });
  });

  it('answers a repeated message with the first, and another body or sender with a conflict', () => {
    const chat = room();
    chat.run(ada, open, facts);
    const earlier = { roomId, senderId: ada, seq: 7, sentAt: 'then', text: 'text of m' };
    const again = (by: string, known: typeof earlier, replyTo?: string) =>
      chat.run(by, message(by, 'm', replyTo), factsOf({ message: () => earlierMessage(known) }));
    expect(again(ada, earlier)).to.deep.equal({ answer: answered(ada, 'm', 7, 'then'), made: 0 });
    expect(again(ada, { ...earlier, text: 'another' })).to.include({ code: 'conflict', made: 0 });
    expect(again(ada, earlier, 'r')).to.include({ code: 'conflict', made: 0 });
    expect(again(bob, earlier)).to.include({ code: 'conflict', made: 0 });
  });

  it('takes a reply only to a message that is in the room', () => {
    const chat = room();
    chat.run(ada, open, facts);
    chat.run(ada, message(ada, 'there'), facts);
    const there = { senderId: bob, seq: 1, sentAt: 'then', text: '' };
    const known = factsOf({
      message: ({ messageId }) => (messageId === 'there' ? earlierMessage(there) : undefined),
    });
    expect(chat.run(ada, message(ada, 'm', 'gone'), known)).to.include({ code: 'bad_request' });
    expect(chat.run(ada, message(ada, 'm', 'there'), known)).to.include({ made: 1 });
    expect(chat.events.at(-1)).to.containSubset({ data: { replyTo: 'there' } });
  });

  it('moves a read mark to the newest by default, never above it and never back', () => {
    const chat = room();
    chat.run(ada, open, facts);
    expect(chat.run(ada, read(ada), facts)).to.deep.equal({ answer: { upTo: 0, unread: 0 }, made: 0 });
    for (const id of ['1', '2', '3']) chat.run(ada, message(ada, id), facts);
    expect(chat.run(bob, read(bob, 4), facts)).to.include({ code: 'bad_request' });
    expect(chat.run(bob, read(bob, 2), facts)).to.deep.equal({ answer: { upTo: 2, unread: 1 }, made: 1 });
    expect(chat.run(bob, read(bob, 1), facts)).to.deep.equal({ answer: { upTo: 2, unread: 1 }, made: 0 });
    expect(chat.run(bob, read(bob), facts)).to.deep.equal({ answer: { upTo: 3, unread: 0 }, made: 1 });
    expect(chat.events.at(-1)).to.containSubset({ type: 'MessagesRead', data: { userId: bob, upTo: 3 } });
  });

  it('keeps its promises whatever is asked of it', () => {
    const actor = fc.constantFrom(ada, bob, eve);
    const command: fc.Arbitrary<RoomCommand> = fc.oneof(
      fc.record({ kind: fc.constant('init chat' as const), actor, friendId: fc.constantFrom(ada, bob) }),
      fc.tuple(actor, fc.constantFrom('1', '2', '3', '4')).map(([by, id]) => message(by, id)),
      fc.tuple(actor, fc.option(fc.nat(6), { nil: undefined })).map(([by, upTo]) => read(by, upTo)),
      fc.record({ kind: fc.constant('erase member' as const), roomId: fc.constant(roomId), userId: actor }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        const chat = room();
        const sent = new Map<string, string>();
        const find = (of: RoomCommand): Facts => {
          if (of.kind !== 'send message') return facts;
          const { messageId } = of;
          const event = chat.events.find(
            (e): e is Recorded<'MessageSent'> => e.type === 'MessageSent' && e.data.messageId === messageId,
          );
          if (!event) {
            sent.set(messageId, of.message);
            return facts;
          }
          const earlier = { messageId, roomId, senderId: event.actor, seq: event.data.seq, sentAt: now };
          const text = sent.get(messageId) ?? '';
          return factsOf({ message: () => earlierMessage({ ...earlier, text }) });
        };
        for (const one of commands) {
          // Of this room only: init chat between others belongs to another stream.
          if (one.kind === 'init chat' && roomIdOf(one.actor, one.friendId) !== roomId) continue;
          const before = chat.state;
          const first = chat.run(actorOf(one), one, find(one));
          expectForward(before, chat.state);
          const made = chat.events.length;
          const again = chat.run(actorOf(one), one, find(one));
          expect(chat.events).to.have.length(made);
          if (one.kind === 'erase member')
            expect(again).to.deep.equal({ answer: { changed: false }, made: 0 });
          else if ('answer' in first && 'answer' in again && one.kind !== 'init chat')
            expect({ contact: undefined, isNew: undefined, ...again.answer }).to.deep.equal({
              ...first.answer,
              ...{ contact: undefined, isNew: undefined },
            });
        }
        expectEndAtErasure(chat.events);
        const seqs = chat.events.flatMap((e) => (e.type === 'MessageSent' ? [e.data.seq] : []));
        expect(seqs).to.deep.equal(seqs.map((_, i) => i + 1));
        expect(chat.refolded).to.deep.equal(chat.state);
      }),
      // Much must come together before a member is erased who has talked.
      { numRuns: runs(1000) },
    );
  });
});

function expectForward(before: RoomState, after: RoomState) {
  if (!before.exists) return;
  if (!after.exists) throw new Error('a room went away');
  if (before.roomType === 'GROUP' || after.roomType === 'GROUP') throw new Error('a pair has no group');
  expect(after.members).to.deep.equal(before.members);
  expect(after.createdAt).to.equal(before.createdAt);
  expect(after.active).to.include.members([...before.active]);
  expect(new Set(after.active).size).to.equal(after.active.length);
  expect(after.lastSeq).to.be.at.least(before.lastSeq);
  for (const member of before.members)
    expect(after.marks[member]).to.be.within(before.marks[member] ?? 0, after.lastSeq);
  expect(after.erased ?? []).to.include.members([...(before.erased ?? [])]);
}

/** Each member is erased once; then nobody says anything more, and the erased do nothing at all. */
function expectEndAtErasure(events: readonly Recorded[]) {
  const erased: string[] = [];
  for (const { type, actor, data } of events) {
    if (type === 'MemberErased') {
      expect([ada, bob]).to.include(data.userId);
      expect(erased).to.not.include(data.userId);
      erased.push(data.userId);
    } else if (erased.length > 0) {
      expect(type).to.equal('MessagesRead');
      expect(erased).to.not.include(actor);
    }
  }
}

describe('user', () => {
  const register: UserCommand = {
    kind: 'register user',
    userId: ada,
    username: 'sealed',
    backgroundColor: '#112233',
  };
  const online: UserCommand = { kind: 'go online', userId: ada };
  const offline: UserCommand = { kind: 'go offline', userId: ada, lastSeen: now };

  const nowhere = facts;

  it('is registered once', () => {
    const user = newUser();
    expect(user.run(ada, register, nowhere)).to.deep.equal({ answer: { isNew: true }, made: 1 });
    expect(user.events[0]).to.containSubset({ type: 'UserRegistered', data: { userId: ada } });
    expect(user.run(ada, register, nowhere)).to.deep.equal({ answer: { isNew: false }, made: 0 });
  });

  it('goes online and offline by turns; what changes nothing makes no event', () => {
    const user = newUser();
    expect(user.run(ada, online, nowhere)).to.include({ code: 'not_found' });
    user.run(ada, register, nowhere);
    const changed = [offline, online, online, offline, offline, online].map(
      (command) => user.run(ada, command, nowhere).made,
    );
    expect(changed).to.deep.equal([0, 1, 0, 1, 0, 1]);
    expect(user.events[2]).to.containSubset({ data: { lastSeen: now } });
  });

  it('does not go offline while a device is active on some node', () => {
    const user = newUser();
    user.run(ada, register, nowhere);
    user.run(ada, online, nowhere);
    expect(user.run(ada, offline, factsOf({ isActive: () => true }))).to.deep.equal({
      answer: { changed: false },
      made: 0,
    });
    expect(user.run(ada, offline, nowhere)).to.deep.equal({ answer: { changed: true }, made: 1 });
  });
});

describe('a user with a role', () => {
  const user = () => {
    const stream = newUser();
    stream.run(
      ada,
      { kind: 'register user', userId: ada, username: 'sealed', backgroundColor: '#112233' },
      nowhere,
    );
    return stream;
  };
  const nowhere = facts;
  const read: UserCommand = { kind: 'record audit read', userId: ada, resource: 'room', query: { at: '3' } };

  it('is shown things, and that is recorded, only while an auditor', () => {
    const auditor = user();
    expect(auditor.run(ada, read, nowhere)).to.deep.equal({ code: 'forbidden', made: 0 });
    const made = (['give role', 'give role', 'take role', 'take role'] as const).map(
      (kind) => auditor.run('system', { kind, userId: ada, role: 'auditor' }, nowhere).made,
    );
    expect(made).to.deep.equal([1, 0, 1, 0]);
    expect(auditor.run(ada, read, nowhere)).to.include({ code: 'forbidden' });
    auditor.run('system', { kind: 'give role', userId: ada, role: 'auditor' }, nowhere);
    expect(auditor.run(ada, read, nowhere)).to.include({ made: 1 });
    expect(auditor.events.at(-1)).to.containSubset({
      type: 'AuditRead',
      data: { userId: ada, resource: 'room', query: { at: '3' } },
    });
  });

  it('may as an admin what a moderator may, and not what an auditor may', () => {
    const resources = { events: 'auditor', report: 'moderator', users: 'admin' } as const;
    const permitted = ROLES.map((role) => {
      const holder = user();
      holder.run('system', { kind: 'give role', userId: ada, role }, nowhere);
      return Object.entries(resources).flatMap(([resource, wanted]) => {
        const query = {};
        const asked = {
          kind: 'record audit read',
          userId: ada,
          resource: resource as keyof typeof resources,
          query,
        } as const;
        return holder.run(ada, asked, nowhere).made === 1 ? [wanted] : [];
      });
    });
    expect(permitted).to.deep.equal([['auditor'], ['moderator'], ['moderator', 'admin']]);
  });

  it('goes offline when erased, and nothing more is written of them', () => {
    const gone = user();
    gone.run(ada, { kind: 'go online', userId: ada }, nowhere);
    gone.run('system', { kind: 'give role', userId: ada, role: 'auditor' }, nowhere);
    const erase: UserCommand = { kind: 'erase user', userId: ada };
    expect(gone.run(ada, erase, nowhere)).to.deep.equal({ answer: { changed: true }, made: 2 });
    expect(gone.types().slice(-2)).to.deep.equal(['UserWentOffline', 'UserErased']);
    expect(gone.run(ada, erase, nowhere)).to.deep.equal({ answer: { changed: false }, made: 0 });
    for (const command of [
      { kind: 'go online', userId: ada },
      { kind: 'go offline', userId: ada, lastSeen: now },
      { kind: 'give role', userId: ada, role: 'auditor' },
      read,
    ] as const)
      expect(gone.run(ada, command, nowhere)).to.deep.equal({ code: 'not_found', made: 0 });
  });

  it('is not suspended once more by what was decided before a restoration', () => {
    const stream = user();
    const suspend = { kind: 'suspend user', userId: ada, by: bob, reason: 'because' } as const;
    const at = (minute: number) => `2026-01-02T03:0${minute}:00.000Z`;
    const decided = { ...suspend, decidedAt: at(0) };
    // Events of this stream are recorded at `NOW`, 03:04:05.
    expect(stream.run(ada, decided, nowhere)).to.deep.include({ answer: { changed: true } });
    stream.run(ada, { ...suspend, kind: 'restore user' }, nowhere);
    expect(stream.run(ada, decided, nowhere)).to.deep.equal({ answer: { changed: false }, made: 0 });
    expect(stream.run(ada, { ...suspend, decidedAt: at(5) }, nowhere)).to.deep.include({ made: 1 });
  });

  it('keeps these promises whatever is asked of it', () => {
    const kinds = [
      ...(['register user', 'go online', 'go offline', 'erase user'] as const),
      ...(['give role', 'take role', 'record audit read'] as const),
      ...(['suspend user', 'restore user', 'administer user'] as const),
    ];
    const commandOf = (kind: (typeof kinds)[number], role: Role, by: string): UserCommand => {
      if (kind === 'suspend user' || kind === 'restore user')
        return { kind, userId: ada, by, reason: 'because' };
      if (kind === 'administer user') return { kind, userId: ada, by, action: 'erasure' };
      if (kind === 'give role' || kind === 'take role') return { kind, userId: ada, role };
      if (kind === 'record audit read') return read;
      if (kind === 'go offline') return { kind, userId: ada, lastSeen: now };
      if (kind === 'register user')
        return { kind, userId: ada, username: 'sealed', backgroundColor: '#112233' };
      return { kind, userId: ada };
    };
    /** What must not come twice without its opposite in between. */
    const opposites: Record<string, string> = {
      UserWentOnline: 'UserWentOffline',
      UserSuspended: 'UserRestored',
      ...Object.fromEntries(ROLES.map((role) => [`RoleGiven ${role}`, `RoleTaken ${role}`])),
    };
    const command = fc.record({
      kind: fc.constantFrom(...kinds),
      role: fc.constantFrom(...ROLES),
      by: fc.constantFrom(bob, 'system'),
      isActive: fc.boolean(),
    });
    /** Decisions that are recorded each time. */
    const eachTime: readonly string[] = ['record audit read', 'administer user'];
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        const stream = newUser();
        for (const { kind, role, by, isActive } of commands) {
          stream.run(ada, commandOf(kind, role, by), factsOf({ isActive: () => isActive }));
          const again = stream.run(ada, commandOf(kind, role, by), factsOf({ isActive: () => isActive }));
          if (!eachTime.includes(kind)) expect(again.made).to.equal(0);
        }
        const types = stream.types();
        expect(types.filter((type) => type === 'UserRegistered').length).to.equal(Math.min(1, types.length));
        if (types.includes('UserErased')) expect(types.indexOf('UserErased')).to.equal(types.length - 1);
        const turned = stream.events.map(({ type, data }) =>
          'role' in data ? `${type} ${data.role}` : type,
        );
        for (const [on, off] of Object.entries(opposites)) {
          const turns = turned.filter((type) => type === on || type === off);
          expect(turns).to.deep.equal(turns.map((_, i) => (i % 2 === 0 ? on : off)));
        }
        const held = new Set<string>();
        for (const { type, data } of stream.events) {
          if (type === 'RoleGiven') held.add(data.role);
          if (type === 'RoleTaken') held.delete(data.role);
          if ('by' in data && data.by === bob) expect(held.size, `${type} of who holds a role`).to.equal(0);
        }
        let isAuditor = false;
        for (const type of turned) {
          if (type === 'RoleGiven auditor' || type === 'RoleTaken auditor')
            isAuditor = type === 'RoleGiven auditor';
          if (type === 'AuditRead') expect(isAuditor, 'read by an auditor').to.equal(true);
        }
        if (stream.state.erased) expect(stream.state).to.include({ online: false });
        expect(stream.refolded).to.deep.equal(stream.state);
      }),
    );
  });

  it('cannot be erased who never was', () => {
    const nobody = newUser();
    expect(nobody.run(ada, { kind: 'erase user', userId: ada }, nowhere)).to.include({ code: 'not_found' });
  });
});

describe('a room of an erased member', () => {
  const erase: RoomCommand = { kind: 'erase member', roomId, userId: bob };
  const id = '11111111-1111-4111-8111-111111111111';
  const earlier = earlierMessage({
    ...{ messageId: id, roomId, senderId: ada, seq: 1, sentAt: now, text: `text of ${id}` },
  });

  it('takes no message more, but answers the repeat of an old one, and moves marks', () => {
    const chat = room();
    chat.run(ada, open, facts);
    chat.run(ada, message(ada, id), facts);
    expect(chat.run('system', erase, facts)).to.deep.equal({ answer: { changed: true }, made: 1 });
    expect(chat.events.at(-1)).to.containSubset({ type: 'MemberErased', data: { userId: bob } });
    expect(chat.run('system', erase, facts)).to.deep.equal({ answer: { changed: false }, made: 0 });
    expect(chat.run(ada, message(ada, id), factsOf({ message: () => earlier }))).to.deep.include({
      made: 0,
      answer: answered(ada, id, 1),
    });
    const other = '22222222-2222-4222-8222-222222222222';
    expect(chat.run(ada, message(ada, other), facts)).to.deep.equal({ code: 'forbidden', made: 0 });
    expect(chat.run(ada, open, facts)).to.deep.equal({ code: 'not_found', made: 0 });
    expect(chat.run(ada, { kind: 'read messages', actor: ada, roomId }, facts)).to.include({ made: 0 });
  });

  it('is not changed by the erasure of one who is no member, nor made by it', () => {
    const chat = room();
    expect(chat.run('system', erase, facts)).to.deep.equal({ answer: { changed: false }, made: 0 });
    chat.run(ada, open, facts);
    expect(chat.run('system', { kind: 'erase member', roomId, userId: eve }, facts)).to.include({ made: 0 });
  });
});

describe('the histories of a log', () => {
  it('are recorded once each, by the system, in the order in which they began', () => {
    const policy = new Stream<PolicyState>(`policy:${roomId}`);
    const record = (history: string, generation: number) =>
      policy.run('system', { kind: 'record history', policyId: roomId, history, generation });
    expect(record('second', 1)).to.deep.equal({ answer: { changed: true }, made: 1 });
    expect(record('second', 1)).to.deep.equal({ answer: { changed: false }, made: 0 });
    expect(record('third', 2).made).to.equal(1);
    expect(policy.events.map(({ data }) => data)).to.deep.equal([
      { policyId: roomId, history: 'second', generation: 1 },
      { policyId: roomId, history: 'third', generation: 2 },
    ]);
    expect(policy.state).to.deep.equal({ history: 'third' });
    expect(policy.refolded).to.deep.equal(policy.state);
  });
});

describe('the subscriptions of the host', () => {
  const set = (subscriptionId: string, more: object = {}): Command => ({
    ...{ kind: 'set subscription', policyId: roomId, subscriptionId, url: 'https://a.example/', secret: 1 },
    by: 'system',
    ...more,
  });

  it('are recorded as they are from then on, at most 50, and those that were removed do not count', () => {
    const policy = new Stream<PolicyState>(`policy:${roomId}`);
    for (let n = 1; n <= 50; n++) expect(policy.run('system', set(`s${n}`))).to.include({ made: 1 });
    expect(policy.run('system', set('s51'))).to.deep.equal({ code: 'forbidden', made: 0 });
    expect(policy.run('system', set('s50', { paused: true, batch: 3 }))).to.include({ made: 1 });
    expect(policy.run('system', set('s50', { removed: true }))).to.include({ made: 1 });
    expect(policy.run('system', set('s50', { removed: true }))).to.include({ made: 0 });
    expect(policy.run('system', set('s51', { types: ['MessageSent'] }))).to.include({ made: 1 });
    expect(policy.state.subscriptions).to.have.length(50);
    expect(policy.state.subscriptions).to.include('s51').and.not.include('s50');
    expect(policy.refolded).to.deep.equal(policy.state);
    expect(policy.events.at(-1)?.data).to.deep.equal({
      ...{ policyId: roomId, subscriptionId: 's51', url: 'https://a.example/', secret: 1 },
      types: ['MessageSent'],
    });
  });

  it('are moved, which is recorded each time', () => {
    const policy = new Stream<PolicyState>(`policy:${roomId}`);
    const seek: Command = {
      ...{
        kind: 'seek subscription',
        policyId: roomId,
        subscriptionId: 'a',
        to: 'start',
        cursor: 'L',
        by: 'system',
      },
    };
    for (let n = 0; n < 2; n++) expect(policy.run('system', seek)).to.include({ made: 1 });
    expect(policy.state).to.deep.equal({ history: null });
  });
});

describe('server keys', () => {
  const add = (keyId: string) =>
    ({ kind: 'add key', policyId: roomId, keyId, scopes: ['users', 'events'] }) as const;
  const revoke = (keyId: string) => ({ kind: 'revoke key', policyId: roomId, keyId, by: 'system' }) as const;
  const newPolicy = () => new Stream<PolicyState>(`policy:${roomId}`);

  it('are added and revoked once each, by the system, and beside the histories', () => {
    const policy = newPolicy();
    expect(policy.run('system', add(ada))).to.deep.equal({ answer: { changed: true }, made: 1 });
    expect(policy.run('system', add(ada))).to.deep.equal({ answer: { changed: false }, made: 0 });
    policy.run('system', { kind: 'record history', policyId: roomId, history: 'second', generation: 1 });
    expect(policy.run('system', revoke(ada)).made).to.equal(1);
    expect(policy.run('system', revoke(ada))).to.deep.equal({ answer: { changed: false }, made: 0 });
    expect(policy.run('system', add(ada))).to.deep.equal({ code: 'forbidden', made: 0 });
    expect(policy.run('system', revoke(bob))).to.deep.equal({ code: 'not_found', made: 0 });
    expect(policy.types()).to.deep.equal(['KeyAdded', 'HistoryBegun', 'KeyRevoked']);
    expect(policy.events[0]?.data).to.deep.equal({
      policyId: roomId,
      keyId: ada,
      scopes: ['users', 'events'],
    });
    expect(policy.events[2]?.data).to.deep.equal({ policyId: roomId, keyId: ada });
    expect(policy.refolded).to.deep.equal(policy.state);
  });

  it('are at most 100 at once', () => {
    const policy = newPolicy();
    for (let n = 0; n < 100; n++) expect(policy.run('system', add(`key ${n}`)).made).to.equal(1);
    expect(policy.run('system', add('one more'))).to.deep.equal({ code: 'forbidden', made: 0 });
    policy.run('system', revoke('key 7'));
    expect(policy.run('system', add('one more')).made).to.equal(1);
  });
});

describe('friendship', () => {
  const add = (actor: string, friendId: string) => ({ kind: 'add friend', actor, friendId }) as const;
  const known = facts;

  it('is made by whoever asks first; that the other asks too is recorded once, and pushed to nobody', () => {
    const pair = room();
    expect(pair.run(bob, add(bob, ada), known)).to.deep.equal({ answer: { isNew: true }, made: 1 });
    expect(pair.events[0]?.data).to.deep.equal({ by: bob, target: ada });
    expect(pair.run(bob, add(bob, ada), known)).to.deep.equal({ answer: { isNew: false }, made: 0 });
    expect(pair.run(ada, add(ada, bob), known)).to.deep.equal({ answer: { isNew: false }, made: 1 });
    expect(pair.events[1]?.data).to.deep.equal({ by: ada, target: bob, mutual: true });
    expect(pair.run(ada, add(ada, bob), known)).to.deep.equal({ answer: { isNew: false }, made: 0 });
    const told = pair.events.map((event) => pushesOf(event, { members: [] }).length);
    expect(told).to.deep.equal([2, 0]);
  });

  it('stays when the two open a chat, and is made beside one', () => {
    const pair = room();
    pair.run(bob, add(bob, ada), known);
    pair.run(ada, open, facts);
    expect(pair.run(bob, add(bob, ada), known)).to.include({ made: 0 });
    expect(pair.run(ada, add(ada, bob), known)).to.include({ made: 1 });
    expect(pair.run(ada, message(ada, 'm1'), facts)).to.include({ made: 2 });
  });

  it('is not made with oneself or with someone who does not exist', () => {
    const pair = room();
    expect(pair.run(ada, add(ada, ada), known)).to.include({ code: 'bad_request' });
    expect(pair.run(ada, add(ada, bob), unknownOther)).to.include({ code: 'not_found' });
    pair.run(ada, add(ada, bob), known);
    expect(pair.run(ada, add(ada, bob), unknownOther)).to.include({ code: 'not_found' });
  });
});
