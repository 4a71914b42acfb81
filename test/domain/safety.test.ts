import { expect } from 'chai';
import fc from 'fast-check';
import { type Command, decideCommand, describeCommand } from '../../src/domain/commands.js';
import type { ContactRule, Facts } from '../../src/domain/defineCommand.js';
import {
  foldFor,
  type NewEvent,
  pushesOf,
  pushesTo,
  type Recorded,
  type State,
  tieOf,
} from '../../src/domain/events.js';
import { roomIdOf } from '../../src/domain/ids.js';
import { isContact, strangerTo } from '../../src/domain/safety.js';
import type { PairState, UserState } from '../../src/domain/streams.js';
import { DEFAULT_PREFERENCES } from '../../src/domain/userMessageChat.js';
import { factsOf, NOW } from '../support/facts.js';
import { runs } from '../support/lanes.js';

const [ada, bob] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'] as const;
type Person = typeof ada | typeof bob;
const roomId = roomIdOf(ada, bob);
const otherOf = (person: Person): Person => (person === ada ? bob : ada);

/** A stream as a writer would make it. */
class Story {
  readonly events: Recorded[] = [];
  #state: State;

  constructor(readonly stream: 'room' | 'user') {
    this.#state = foldFor(this.name).initial;
  }

  get name() {
    return this.stream === 'room' ? (`room:${roomId}` as const) : (`user:${ada}` as const);
  }

  get pair(): PairState {
    return this.#state as PairState; // Of a pair's stream.
  }

  /** What was refused, with its reason, or the events that were made. */
  run(command: Command, facts: Facts = factsOf()): string | Recorded[] {
    const decision = decideCommand(command, this.#state, facts);
    if ('refused' in decision) {
      const { code, details } = decision.refused;
      return details.reason ? `${code} ${details.reason}` : code;
    }
    const made = decision.events.map((event, i): Recorded => {
      const version = this.events.length + i + 1;
      const { actor } = describeCommand(command);
      const place = { partition: 0, offset: version - 1, version, actor, recordedAt: NOW, commandId: 'c' };
      // Deciders make events by their declarations.
      return { ...(event as NewEvent), ...place };
    });
    for (const event of made) this.#state = foldFor(this.name).evolve(this.#state, event);
    this.events.push(...made);
    return made;
  }
}

interface Deed {
  readonly by: Person;
  readonly does: 'add' | 'remove' | 'open' | 'accept' | 'block' | 'unblock' | 'send' | 'erase';
  /** Of the other one. */
  readonly whoWrites: 'everyone' | 'contacts';
}

let ids = 0;
const commandOf = ({ by, does }: Deed): Command => {
  const [actor, other] = [by, otherOf(by)];
  switch (does) {
    case 'add':
      return { kind: 'add friend', actor, friendId: other };
    case 'remove':
      return { kind: 'remove friend', actor, friendId: other };
    case 'open':
      return { kind: 'init chat', actor, friendId: other };
    case 'accept':
      return { kind: 'accept chat', actor, roomId };
    case 'block':
    case 'unblock':
      return { kind: 'block user', actor, userId: other, block: does === 'block' };
    case 'send':
      return { kind: 'send message', actor, roomId, messageId: `m${ids++}`, message: 'hello' };
    case 'erase':
      return { kind: 'erase member', roomId, userId: by };
  }
};

/** The contract in a few lines: who is whose contact, who is whose friend, and who blocks whom. */
class Model {
  readonly contacts = new Set<Person>();
  readonly blocks = new Set<Person>();
  readonly erased = new Set<Person>();
  isFriendship = false;
  isOpen = false;

  /** The words of the refusal; undefined: it is done. */
  apply({ by, does, whoWrites }: Deed, rule: ContactRule): string | undefined {
    const other = otherOf(by);
    if (does === 'erase') {
      if (this.isOpen) this.erased.add(by);
      return undefined;
    }
    const isBlocked = this.blocks.size > 0;
    const blocked = this.blocks.has(by) ? 'forbidden blocked' : 'forbidden not_taken';
    switch (does) {
      case 'add':
        if (isBlocked) return 'not_found';
        this.isFriendship = true;
        this.contacts.add(by);
        return undefined;
      case 'remove':
        this.#part();
        return undefined;
      case 'block':
        this.#part();
        this.blocks.add(by);
        return undefined;
      case 'unblock':
        this.blocks.delete(by);
        return undefined;
      case 'open':
        if (isBlocked || this.erased.size > 0) return 'not_found';
        this.isOpen = true;
        return undefined;
      case 'accept':
      case 'send': {
        if (!this.isOpen) return 'not_found';
        if (this.erased.has(by)) return 'unauthenticated';
        if (this.erased.size > 0) return 'forbidden erased';
        if (isBlocked) return blocked;
        const isTaken = this.contacts.has(other) || (rule === 'open' && this.contacts.has(by));
        if (does === 'send' && whoWrites === 'contacts' && !isTaken) return 'forbidden not_taken';
        this.contacts.add(by);
        return undefined;
      }
    }
  }

  #part(): void {
    this.isFriendship = false;
    this.contacts.clear();
  }
}

const deed: fc.Arbitrary<Deed> = fc.record({
  by: fc.constantFrom(ada, bob),
  does: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom('add', 'remove', 'open', 'accept', 'block', 'send') },
    // As often as a block, or nearly all would be refused.
    { weight: 4, arbitrary: fc.constant('unblock' as const) },
    { weight: 1, arbitrary: fc.constantFrom('erase' as const) },
  ) as fc.Arbitrary<Deed['does']>,
  whoWrites: fc.constantFrom('everyone', 'contacts'),
});

describe('a pair', () => {
  for (const rule of ['open', 'consent'] as const)
    it(`has the contacts, friends and blocks of a small model, in any order of deeds (${rule})`, () => {
      const seen = new Set<string>();
      fc.assert(
        fc.property(fc.array(deed, { maxLength: 40 }), (deeds) => {
          const story = new Story('room');
          const model = new Model();
          for (const one of deeds) {
            const preferencesOf = () => ({ ...DEFAULT_PREFERENCES, whoWrites: one.whoWrites });
            const exists = (user: string) => !model.erased.has(user as Person);
            // Whoever was erased asks for nothing more over a connection.
            if (one.does !== 'erase' && one.does !== 'send' && one.does !== 'accept' && model.erased.size > 0)
              continue;
            const expected = model.apply(one, rule);
            const done = story.run(
              commandOf(one),
              factsOf({ limits: { ...factsOf().limits, contactRule: rule }, preferencesOf, exists }),
            );
            seen.add(`${one.does} ${typeof done === 'string' ? done : 'done'}`);
            expect(typeof done === 'string' ? done : undefined, JSON.stringify(one)).to.equal(expected);
            expect(story.pair.contacts).to.have.members([...model.contacts]);
            expect(story.pair.blocks).to.have.members([...model.blocks]);
            expect(story.pair.added.length > 0).to.equal(model.isFriendship);
            // What the gateway keeps follows from the events alone.
            if (typeof done !== 'string' && one.does !== 'erase' && one.does !== 'open')
              for (const event of done) {
                if (event.type === 'ChatOpened') continue;
                const is = { add: 'contact', accept: 'contact', send: 'contact', remove: 'parted' } as const;
                const tie = tieOf(event, { members: [ada, bob] });
                const wanted =
                  one.does === 'block' || one.does === 'unblock' ? `${one.does}ed` : is[one.does];
                expect(tie).to.deep.equal({ by: one.by, other: otherOf(one.by), is: wanted });
              }
          }
          expect(
            story.events.reduce<State>(
              (state, event) => foldFor(story.name).evolve(state, event),
              foldFor(story.name).initial,
            ),
          ).to.deep.equal(story.pair);
        }),
        { numRuns: runs(1000) },
      );
      expect([...seen]).to.include.members([
        ...['add done', 'remove done', 'accept done', 'block done', 'unblock done', 'send done'],
        ...[
          'send forbidden blocked',
          'send forbidden not_taken',
          'accept forbidden blocked',
          'add not_found',
        ],
      ]);
    });

  it('asks for preferences only where the receiver does not have the sender as a contact', () => {
    const story = new Story('room');
    const asked = () => (['open', 'consent'] as const).map((rule) => strangerTo(story.pair, ada, rule));
    expect(asked()).to.deep.equal([undefined, undefined]);
    story.run({ kind: 'init chat', actor: ada, friendId: bob });
    expect(asked()).to.deep.equal([bob, bob]);
    story.run({ kind: 'send message', actor: ada, roomId, messageId: 'm', message: 'hello' });
    expect(asked()).to.deep.equal([undefined, bob]);
    story.run({ kind: 'accept chat', actor: bob, roomId });
    expect(asked()).to.deep.equal([undefined, undefined]);
    expect(isContact(story.pair.contacts, ada, 'consent')).to.equal(true);
  });

  it('tells each their own: removal both, acceptance and blocks the devices of who did it', () => {
    const story = new Story('room');
    const told = (command: Command) => {
      const made = story.run(command);
      if (typeof made === 'string') throw new Error(made);
      return [ada, bob].map((user) =>
        made.flatMap((event) => pushesTo(user, event, { members: [ada, bob] }).map(({ name }) => name)),
      );
    };
    story.run({ kind: 'init chat', actor: ada, friendId: bob });
    expect(told({ kind: 'accept chat', actor: bob, roomId })).to.deep.equal([[], ['accept chat']]);
    expect(told({ kind: 'add friend', actor: bob, friendId: ada })).to.deep.equal([
      ['add friend'],
      ['add friend'],
    ]);
    expect(
      told({ kind: 'add friend', actor: ada, friendId: bob }),
      'recorded, not pushed again',
    ).to.deep.equal([[], []]);
    expect(story.events.at(-1)).to.deep.include({ type: 'FriendAdded', actor: ada });
    expect(told({ kind: 'remove friend', actor: ada, friendId: bob })).to.deep.equal([
      ['remove friend'],
      ['remove friend'],
    ]);
    expect(told({ kind: 'block user', actor: ada, userId: bob, block: true })).to.deep.equal([
      ['block user'],
      [],
    ]);
    expect(told({ kind: 'block user', actor: ada, userId: bob, block: false })).to.deep.equal([
      ['block user'],
      [],
    ]);
  });

  it('tells nobody but its reader of a mark made with receipts off', () => {
    const story = new Story('room');
    story.run({ kind: 'init chat', actor: ada, friendId: bob });
    story.run({ kind: 'send message', actor: ada, roomId, messageId: 'm', message: 'hello' });
    const made = story.run({ kind: 'read messages', actor: bob, roomId, hidden: true });
    if (typeof made === 'string') throw new Error(made);
    const [event] = made;
    expect(
      event && [ada, bob].map((user) => pushesTo(user, event, { members: [ada, bob] }).length),
    ).to.deep.equal([0, 1]);
  });

  it('refuses oneself and users who do not exist, but takes an erased one from the list of the blocked', () => {
    const story = new Story('room');
    const unknown = factsOf({ exists: (user) => user === ada });
    story.run({ kind: 'block user', actor: ada, userId: bob, block: true });
    expect(
      story.run({ kind: 'block user', actor: ada, userId: bob, block: false }, unknown),
    ).to.have.lengthOf(1);
    for (const command of [
      { kind: 'block user', actor: ada, userId: bob, block: true },
      { kind: 'remove friend', actor: ada, friendId: bob },
      { kind: 'add friend', actor: ada, friendId: bob },
    ] as const)
      expect(story.run(command, unknown), command.kind).to.equal('not_found');
    expect(story.run({ kind: 'block user', actor: ada, userId: ada, block: true })).to.equal('bad_request');
    expect(story.run({ kind: 'remove friend', actor: ada, friendId: ada })).to.equal('bad_request');
  });

  it('is 10,000 blocks of a user at most: one more is refused, and undoing one is not', () => {
    const block = { kind: 'block user', actor: ada, userId: bob, block: true } as const;
    const decided = (count: number, command: Command = block) => {
      const story = new Story('room');
      const facts = factsOf({ blocksOf: (user) => (user === ada ? count : 0) });
      return decideCommand(command, story.pair, facts);
    };
    expect(decided(9_999)).to.have.property('events').with.lengthOf(1);
    expect(decided(10_000)).to.have.nested.property('refused.code', 'forbidden');
    expect(decided(10_000)).to.have.nested.property('refused.details.reason', 'too_many');
    expect(decided(10_000, { ...block, block: false }))
      .to.have.property('events')
      .with.lengthOf(0);
    expect(describeCommand(block).declaration.wants?.(block)).to.deep.include({ blocksOf: [ada] });
  });
});

describe('preferences', () => {
  const registered = () => {
    const story = new Story('user');
    story.run({ kind: 'register user', userId: ada, username: 'sealed', backgroundColor: '#112233' });
    return story;
  };

  it('change as named, and a change to what is already so makes no event', () => {
    const story = registered();
    expect(story.run({ kind: 'change preferences', actor: ada, findable: false })).to.have.lengthOf(1);
    expect(story.run({ kind: 'change preferences', actor: ada, findable: false })).to.have.lengthOf(0);
    expect(story.run({ kind: 'change preferences', actor: ada })).to.have.lengthOf(0);
    story.run({ kind: 'change preferences', actor: ada, whoInvites: 'nobody', receipts: false });
    expect(story.events.at(-1)?.data).to.deep.equal({
      ...{ userId: ada, whoWrites: 'everyone', whoInvites: 'nobody' },
      ...{ findable: false, visible: true, receipts: false },
    });
  });

  it('hide presence exactly from the change on: contacts see a hidden user go, and come back', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('on', 'off', 'hide', 'show'), { maxLength: 30 }), (steps) => {
        const story = registered();
        let [isOnline, isVisible, shown] = [false, true, false];
        for (const step of steps) {
          if (step === 'on') story.run({ kind: 'go online', userId: ada });
          if (step === 'off') story.run({ kind: 'go offline', userId: ada, lastSeen: NOW });
          if (step === 'hide' || step === 'show')
            story.run({ kind: 'change preferences', actor: ada, visible: step === 'show' });
          if (step === 'on' || step === 'off') isOnline = step === 'on';
          else isVisible = step === 'show';
          // What a contact has been pushed last.
          const told = story.events.flatMap((event) => pushesOfPresence(event));
          shown = told.at(-1) ?? false;
          expect(shown, step).to.equal(isOnline && isVisible);
        }
        expect((story.pair as unknown as UserState).preferences?.visible ?? true).to.equal(isVisible);
      }),
      { numRuns: runs(300) },
    );
  });
});

const pushesOfPresence = (event: Recorded): boolean[] =>
  pushesOf(event, { members: [] }).flatMap((push) =>
    'about' in push ? [(push.data as { isOnline: boolean }).isOnline] : [],
  );
