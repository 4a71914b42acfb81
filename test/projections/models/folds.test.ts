import { expect } from 'chai';
import fc from 'fast-check';
import type { Recorded } from '../../../src/domain/events.js';
import { canBeInName } from '../../../src/domain/fields.js';
import { streamOf } from '../../../src/domain/ids.js';
import { sealedMessage } from '../../../src/domain/messages/messages.js';
import type { RoomState } from '../../../src/domain/streams.js';
import { allProjections } from '../../../src/projections/allProjections.js';
import {
  type ChatRow,
  chatsProjection,
  hasChat,
  lastSeqOf,
} from '../../../src/projections/models/chatRows.js';
import { messageKey } from '../../../src/projections/models/messageKeys.js';
import { messageOf, messagesProjection } from '../../../src/projections/models/messageRows.js';
import { loadStates } from '../../../src/projections/models/streamIndex.js';
import { foldCase, searchPrefixes, searchTerms } from '../../../src/projections/models/userNames.js';
import { usersModel, usersProjection } from '../../../src/projections/models/userRows.js';
import { runs } from '../../support/lanes.js';
import { MemoryRows } from '../../support/rowsMemory.js';
import { dump, foldBatch } from './fold.js';
import { scripts } from './scripts.js';
import { sealed, World } from './world.js';

const untouched = () => undefined;

describe('the folds of the read models', () => {
  it('give the same rows whatever the batches, and however often a stretch is folded again', async () => {
    const cuts = fc.array(
      fc.record({ size: fc.integer({ min: 1, max: 9 }), again: fc.integer({ min: 0, max: 9 }) }),
      {
        minLength: 1,
      },
    );
    await fc.assert(
      fc.asyncProperty(scripts, cuts, async ({ world }, batches) => {
        const projections = allProjections(world.open);
        const once = new MemoryRows();
        await foldBatch(once, projections, world.events);
        const bitByBit = new MemoryRows();
        for (let at = 0, i = 0; at < world.events.length; i++) {
          const { size, again } = batches[i % batches.length] ?? { size: 1, again: 0 };
          await foldBatch(bitByBit, projections, world.events.slice(Math.max(0, at - again), at + size));
          at += size;
        }
        const expected = await dump(once, projections, world.events);
        expect(await dump(bitByBit, projections, world.events)).to.deep.equal(expected);
      }),
      { numRuns: runs(60) },
    );
  });

  it('never move a read mark back, nor above the newest seq: unread is the newest seq less the mark', () => {
    fc.assert(
      fc.property(scripts, ({ world }) => {
        const chats = new Map<string, ChatRow>();
        for (const event of world.events.filter((one) => chatsProjection.keys(one).length > 0)) {
          const before = chats.get(event.stream);
          const chat = chatsProjection.evolve(before, event, event.stream, untouched);
          if (chat === null) throw new Error('a room was lost');
          chats.set(event.stream, chat);
          // The two may be friends without a chat.
          if (!hasChat(chat)) continue;
          for (const member of chat.members) {
            const mark = chat.marks[member] ?? Number.NaN;
            expect(mark).to.be.within(before?.marks[member] ?? 0, lastSeqOf(chat));
            const unread = messagesAfter(world.events, event, mark);
            expect(lastSeqOf(chat) - mark).to.equal(unread);
          }
        }
      }),
      { numRuns: runs(100) },
    );
  });

  it('agree with the state that is decided upon', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async ({ world, rooms }) => {
        const rows = new MemoryRows();
        const projections = allProjections(world.open);
        await foldBatch(rows, projections, world.events);
        const states = await loadStates(
          rows,
          rooms.map((room) => streamOf('room', room)),
        );
        const { chats } = await dump(rows, projections, world.events);
        for (const [stream, { value }] of states) {
          // Rooms' streams hold rooms' states.
          const state = value?.state as RoomState;
          const chat = chats?.[stream]?.value as ChatRow;
          if (!state.exists) throw new Error(`${stream} has a row, but does not exist`);
          if (state.roomType === 'GROUP') continue;
          expect(chat.marks).to.deep.equal(state.marks);
          expect(lastSeqOf(chat)).to.equal(state.lastSeq);
          expect(Object.keys(chat.active)).to.have.members(state.active);
          const events = world.events.filter((event) => event.stream === stream);
          expect(value?.version).to.equal(events.at(-1)?.version);
        }
      }),
      { numRuns: runs(40) },
    );
  });

  it('keep a mark that a later event would move back', () => {
    const world = new World();
    const [anna, ben] = [world.register('anna'), world.register('ben')];
    const roomId = world.openChat(anna, ben);
    for (const text of ['one', 'two']) world.send(anna, roomId, text);
    world.read(ben, roomId, 1);
    const early = world.events.at(-1);
    world.read(ben, roomId, 2);
    if (early === undefined) throw new Error('nothing was read');
    const events = world.events.filter(({ stream }) => stream === early.stream);
    const chat = [...events, early].reduce<ChatRow | null | undefined>(
      (row, event) => chatsProjection.evolve(row, event, event.stream, untouched),
      undefined,
    );
    expect(chat?.marks).to.deep.equal({ [anna]: 2, [ben]: 2 });
  });

  it('refuse an event of a room that was never created, rather than skip it', () => {
    const world = new World();
    const [anna, ben] = [world.register('anna'), world.register('ben')];
    world.send(anna, world.openChat(anna, ben), 'hello');
    const sent = world.events.at(-1);
    if (sent === undefined) throw new Error('nothing was sent');
    expect(() => chatsProjection.evolve(undefined, sent, sent.stream, untouched)).to.throw(
      /before the creation of room:/,
    );
  });
});

describe('the key of a message', () => {
  it('sorts within a room as seq does, up to the greatest safe integer', () => {
    const seq = fc.maxSafeNat();
    fc.assert(
      fc.property(seq, seq, (a, b) => {
        expect(messageKey('room', a) < messageKey('room', b)).to.equal(a < b);
      }),
    );
    expect(messageKey('room', 2 ** 32 - 1) < messageKey('room', 2 ** 32)).to.equal(true);
  });

  it('gives back the room and the seq, and the row all the rest', () => {
    const id = fc.oneof(fc.uuid(), fc.string());
    const sent = fc.record({ roomId: id, senderId: id, messageId: fc.uuid(), seq: fc.maxSafeNat() });
    const time = fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true });
    fc.assert(
      fc.property(sent, time, fc.option(fc.uuid()), (message, at, replyTo) => {
        const { roomId, senderId, messageId, seq } = message;
        const data = { roomId, messageId, seq, text: 'sealed', ...(replyTo === null ? {} : { replyTo }) };
        const place = { partition: 0, offset: 1, position: 1, version: 2, leaf: '' };
        const [stream, recordedAt] = [streamOf('room', roomId), at.toISOString()];
        const text = { actor: senderId, recordedAt, commandId: '', data };
        const event = { ...place, ...text, stream, type: 'MessageSent' as const };
        const key = messageKey(roomId, seq);
        const value = messagesProjection.evolve(undefined, event, key, untouched);
        expect(messageOf({ key, partition: 0, offset: 1, value })).to.deep.equal(sealedMessage(event));
      }),
    );
  });
});

describe('the index of names', () => {
  it('finds a name by every part of it, in any case', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_.-]{3,32}$/);
    fc.assert(
      fc.property(name, fc.nat(31), fc.nat(31), (username, a, b) => {
        const part = username.slice(Math.min(a, b), Math.max(a, b) + 1).toLowerCase();
        const terms = searchTerms(username, 'username');
        expect(terms.some((term) => term.startsWith(part))).to.equal(true);
        expect(terms[0]).to.equal(`\u0001${username.toLowerCase()}\u0001`);
      }),
    );
  });

  it('finds a display name by every part of it, in any case and of any script', () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((text) => canBeInName(text));
    fc.assert(
      fc.property(name, fc.nat(19), fc.nat(19), (displayName, a, b) => {
        const characters = Array.from(displayName);
        const part = characters.slice(Math.min(a, b), Math.max(a, b) + 1).join('');
        const terms = searchTerms(displayName, 'displayName');
        const has = (prefix: string) => terms.some((term) => term.startsWith(prefix));
        const exact = (q: string) => searchPrefixes(q)[1] ?? '';
        const begin = (q: string) => searchPrefixes(q)[3] ?? '';
        for (const q of [part, part.toUpperCase()]) if (part !== '') expect(has(foldCase(q))).to.equal(true);
        expect(has(exact(displayName))).to.equal(true);
        expect(has(begin(characters[0] ?? ''))).to.equal(true);
        expect(has(exact(`${displayName}x`))).to.equal(false);
      }),
    );
  });

  it('holds the plain name, which the row never does', async () => {
    const { value, entry } = await registered(new World(), 'Zelda');
    expect(value.username).to.equal(sealed('Zelda'));
    expect(JSON.stringify(value)).not.to.match(/zelda/i);
    expect(entry?.terms).to.deep.equal(['\u0001zelda\u0001', 'zelda', 'elda', 'lda', 'da', 'a']);
  });

  it('is empty for a user whose key is gone', async () => {
    const { entry } = await registered(new World(), 'zelda', (world, userId) => world.destroyKey(userId));
    expect(entry).to.equal(undefined);
  });

  it('is not written without the opened name', () => {
    const world = new World();
    world.register('zelda');
    expect(() => entryOf(world)).to.throw(/were not opened/);
  });
});

function messagesAfter(events: readonly Recorded[], until: Recorded, mark: number): number {
  return events.filter(
    (event) =>
      event.type === 'MessageSent' &&
      event.stream === until.stream &&
      event.offset <= until.offset &&
      event.data.seq > mark,
  ).length;
}

async function registered(world: World, name: string, then?: (world: World, userId: string) => void) {
  const userId = world.register(name);
  then?.(world, userId);
  const projection = usersProjection(world.open);
  await projection.prepare?.(world.events, []);
  return entryOf(world);
}

function entryOf(world: World) {
  const [event] = world.events;
  if (event?.type !== 'UserRegistered') throw new Error('nobody registered');
  const key = event.data.userId;
  const value = usersProjection(world.open).evolve(undefined, event, key, untouched);
  if (value === null) throw new Error('the row was lost');
  return { value, entry: usersModel.indexes.suffix?.({ key, partition: 0, offset: 0, value }) };
}
