import { expect } from 'chai';
import fc from 'fast-check';
import { ParleyError } from '../../src/base/errors.js';
import { type Command, decideCommand } from '../../src/domain/commands.js';
import type { Facts } from '../../src/domain/defineCommand.js';
import type { SealedMessage } from '../../src/domain/defineEvent.js';
import {
  changedBy,
  changeMessage,
  foldFor,
  type NewEvent,
  type Recorded,
  type State,
} from '../../src/domain/events.js';
import { roomIdOf } from '../../src/domain/ids.js';
import { sealedMessage } from '../../src/domain/messages/messages.js';
import type { RoomState } from '../../src/domain/streams.js';
import { earlierMessage, factsOf, NOW } from '../support/facts.js';
import { runs } from '../support/lanes.js';

const [ada, bob] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'] as const;
const roomId = roomIdOf(ada, bob);
const HOUR_MS = 3_600_000;
const later = (ms: number) => new Date(Date.parse(NOW) + ms).toISOString();

/** A pair's room as a writer would make it, with unsealed texts. */
class Room {
  readonly events: Recorded[] = [];
  readonly messages = new Map<string, SealedMessage>();
  readonly #bodies = new Map<string, { text: string; mentions?: string[] }[]>();
  state: State = foldFor(`room:${roomId}`).initial;

  constructor() {
    this.run({ kind: 'init chat', actor: ada, friendId: bob });
  }

  run(command: Command, known: Partial<Facts> = {}) {
    const message: Facts['message'] = ({ messageId }) => {
      const found = this.messages.get(messageId);
      return (
        found &&
        earlierMessage({ ...found, text: found.text ?? '', bodies: this.#bodies.get(messageId) ?? [] })
      );
    };
    const decision = decideCommand(command, this.state, factsOf({ message, ...known }));
    if ('refused' in decision) {
      const { code, details } = decision.refused instanceof ParleyError ? decision.refused : expect.fail();
      return { code, ...(details.reason ? { reason: details.reason } : {}), made: 0 };
    }
    // Deciders make events by their declarations.
    for (const event of decision.events) this.#add(event as NewEvent, command, known.now ?? NOW);
    return { answer: decision.answer, made: decision.events.length };
  }

  #add(event: NewEvent, command: Command, recordedAt: string): void {
    const version = this.events.length + 1;
    const actor = 'actor' in command ? command.actor : 'system';
    const place = { partition: 0, offset: version - 1, version, actor, recordedAt, commandId: 'c' };
    const recorded: Recorded = { ...event, ...place };
    this.events.push(recorded);
    this.state = foldFor(event.stream).evolve(this.state, recorded);
    if (recorded.type === 'MessageSent') this.messages.set(recorded.data.messageId, sealedMessage(recorded));
    const changed = changedBy(recorded);
    const before = changed && this.messages.get(changed.messageId);
    if (before) this.messages.set(changed.messageId, changeMessage(before, recorded));
    if (recorded.type !== 'MessageEdited') return;
    const { messageId, text, mentions } = recorded.data;
    const body = { text, ...(mentions ? { mentions } : {}) };
    this.#bodies.set(messageId, [...(this.#bodies.get(messageId) ?? []), body]);
  }
}

const send = (messageId = 'm', actor: string = ada): Command => ({
  ...{ kind: 'send message', actor, roomId, messageId, message: `text of ${messageId}` },
});
const edit = (editId: string, message: string, actor: string = ada): Command => ({
  ...{ kind: 'edit message', actor, roomId, messageId: 'm', editId, message },
});
const remove = (actor: string = ada): Command => ({ kind: 'delete message', actor, roomId, messageId: 'm' });
const react = (actor: string, emoji: string, on = true, messageId = 'm'): Command => ({
  ...{ kind: 'react', actor, roomId, messageId, emoji, on },
});

const within = (editWindowMs: number, deleteWindowMs: number, ms: number) => ({
  now: later(ms),
  limits: { ...factsOf().limits, editWindowMs, deleteWindowMs },
});

describe('a text that the host holds back', () => {
  const refused = { held: { why: 'refused', detail: 'no_links' } } as const;
  const notAsked = { held: { why: 'not asked' } } as const;

  it('is refused, by its word or until it can be asked', () => {
    const room = new Room();
    expect(room.run({ ...send(), ...refused } as Command)).to.deep.equal({
      ...{ code: 'forbidden', reason: 'host', made: 0 },
    });
    expect(room.run({ ...send(), ...notAsked } as Command)).to.deep.equal({ code: 'overloaded', made: 0 });
    room.run(send());
    const changed = edit('e', 'another text');
    expect(room.run({ ...changed, ...refused } as Command)).to.include({ code: 'forbidden', reason: 'host' });
    expect(room.run({ ...changed, ...notAsked } as Command)).to.include({ code: 'overloaded', made: 0 });
    expect(room.events.filter(({ type }) => type === 'MessageSent')).to.have.length(1);
  });

  it('that exists already gets its answer all the same', () => {
    const room = new Room();
    const messageIn = (outcome: object) => (outcome as { answer: { message: object } }).answer.message;
    for (const command of [send(), edit('e', 'another text')]) {
      const made = room.run(command);
      for (const held of [refused, notAsked]) {
        const again = room.run({ ...command, ...held } as Command);
        expect(again.made).to.equal(0);
        expect(messageIn(again)).to.deep.equal(messageIn(made));
      }
    }
  });
});

describe('the windows of edits and deletions', () => {
  it('end after the time of the setting; 0 is never, infinity without end', () => {
    for (const [windowMs, ms, isOpen] of [
      [HOUR_MS, HOUR_MS - 1, true],
      [HOUR_MS, HOUR_MS, false],
      [0, 0, false],
      [Number.POSITIVE_INFINITY, 1e12, true],
    ] as const) {
      const room = new Room();
      room.run(send());
      const expected = isOpen ? { made: 1 } : { code: 'forbidden', made: 0 };
      expect(room.run(edit('e', 'new'), within(windowMs, 0, ms)), `edit ${windowMs}/${ms}`).to.include(
        expected,
      );
      expect(room.run(remove(), within(0, windowMs, ms)), `delete ${windowMs}/${ms}`).to.include(expected);
    }
  });

  it('do not keep the repeat of what was done from its answer', () => {
    const room = new Room();
    room.run(send());
    room.run(edit('e', 'new'));
    const closed = within(HOUR_MS, HOUR_MS, 2 * HOUR_MS);
    expect(room.run(edit('e', 'new'), closed))
      .to.deep.include({ made: 0 })
      .and.to.have.property('answer');
    expect(room.run(edit('e', 'other'), closed)).to.include({ code: 'conflict' });
    room.run(remove());
    expect(room.run(remove(), closed)).to.deep.equal({ answer: { changed: false }, made: 0 });
    expect(room.run(edit('e', 'new'), closed)).to.include({ code: 'conflict', reason: 'gone' });
  });
});

describe('a message that was erased with its sender', () => {
  it('is not changed any more, and may still be deleted by who is left, if it is theirs', () => {
    const room = new Room();
    room.run(send('m', ada));
    room.run(send('theirs', bob));
    room.run({ kind: 'erase member', roomId, userId: bob });
    expect(room.run(react(ada, '👍', true, 'theirs'))).to.include({ code: 'conflict', reason: 'gone' });
    expect(room.run(edit('e', 'new'))).to.include({ code: 'forbidden' });
    expect(room.run(remove())).to.include({ made: 1 });
  });
});

describe('the commands that change messages', () => {
  it('keep their promises in any order, and a repeat changes nothing', () => {
    const actor = fc.constantFrom(ada, bob);
    const messageId = fc.constantFrom('m', 'n');
    const emoji = fc.integer({ min: 0, max: 11 }).map((i) => String.fromCodePoint(0x1f600 + i));
    const command: fc.Arbitrary<Command> = fc.oneof(
      fc.tuple(messageId, actor).map(([id, by]) => send(id, by)),
      fc
        .tuple(fc.constantFrom('e', 'f', 'g'), fc.constantFrom('x', 'y'), actor)
        .map(([id, text, by]) => edit(id, text, by)),
      fc.tuple(actor, emoji, fc.boolean(), messageId).map((args) => react(...args)),
      fc.record({
        kind: fc.constant('pin message' as const),
        actor,
        roomId: fc.constant(roomId),
        messageId,
        on: fc.boolean(),
      }),
      fc.record({
        kind: fc.constant('delete message' as const),
        actor,
        roomId: fc.constant(roomId),
        messageId,
      }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
        const room = new Room();
        for (const one of commands) {
          const first = room.run(one);
          const { length } = room.events;
          const again = room.run(one);
          expect(room.events, 'a repeat').to.have.length(length);
          if ('answer' in first && one.kind !== 'delete message' && one.kind !== 'pin message') {
            // Only the first time the message is new, and makes a contact.
            const { contact: _, isNew: __, ...answer } = { contact: 0, isNew: 0, ...first.answer };
            expect(again).to.deep.equal({ answer, made: 0 });
          }
        }
        const { pins, lastSeq } = room.state as Extract<RoomState, { exists: true }>;
        expect(lastSeq).to.equal(room.messages.size);
        for (const message of room.messages.values()) {
          const { rev = 0, edits = [], reactions = [], deleted, pinned } = message;
          expect(edits).to.have.length(rev);
          expect(new Set(edits).size, 'each edit once').to.equal(rev);
          for (const user of [ada, bob])
            expect(reactions.filter(([, users]) => users.includes(user)).length).to.be.at.most(10);
          for (const [, users] of reactions)
            expect(new Set(users).size).to.equal(users.length).and.be.above(0);
          expect(pins.includes(message.messageId), 'pinned').to.equal(pinned === true);
          if (deleted) {
            expect(deleted.by, 'only its sender').to.equal(message.senderId);
            expect(message).to.not.have.any.keys(
              'data',
              'mentions',
              'rev',
              'editedAt',
              'edits',
              'first',
              'reactions',
            );
          }
        }
      }),
      { numRuns: runs(500) },
    );
  });
});
