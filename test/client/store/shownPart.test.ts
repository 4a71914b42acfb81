import { expect } from 'chai';
import fc from 'fast-check';
import { afterTimeout } from '../../../packages/client/src/options.js';
import { applyChat, applyConnection } from '../../../packages/client/src/store/chatFolds.js';
import { foldAnswer } from '../../../packages/client/src/store/contractFolds.js';
import { createTyping } from '../../../packages/client/src/store/livePresence.js';
import {
  applyChangedMessage,
  applyDeletion,
  applySentMessage,
} from '../../../packages/client/src/store/messageFolds.js';
import { openRoom } from '../../../packages/client/src/store/roomStore.js';
import { createMarks, Sending } from '../../../packages/client/src/store/sending.js';
import { EMPTY_STATE, Observable } from '../../../packages/client/src/store/storeState.js';
import type { Client, Message, RequestInput } from '../../../packages/client/src/types.js';
import { runs } from '../../support/lanes.js';
import { chatOf, messageOf, person } from './story.js';

const [me, ada] = [person('me'), person('ada')];
const roomId = 'a room';
const PAGE = 6;

/** The messages that this user may see are those of these windows. */
const WINDOWS: [number, number | null][] = [
  [3, 17],
  [25, null],
];

type Step =
  | { readonly does: 'push' | 'newest' | 'earlier' | 'later' | 'answer' }
  | { readonly does: 'show' | 'show id' | 'edit' | 'delete'; readonly seq: number };

const aStep: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom('push', 'newest', 'earlier', 'later', 'answer', 'answer').map((does) => ({ does })),
  fc.record({
    does: fc.constantFrom('show', 'show id', 'edit', 'delete'),
    seq: fc.integer({ min: 1, max: 50 }),
  }),
);

/** A room that is open on a device, and the server that has all of it. */
class World {
  /** By `seq`; what is not in a window is here too. */
  readonly messages: Message[] = [];
  /** Requests whose answers are on their way. */
  readonly #held: (() => void)[] = [];
  readonly store;
  readonly room;
  requests = 0;

  constructor(count: number) {
    const windows = { roomType: 'GROUP' as const, members: 2, windows: WINDOWS };
    for (let seq = 1; seq <= count; seq++) this.messages.push(messageOf(roomId, ada, seq));
    const chat = { ...chatOf(roomId, [me, ada], this.messages), ...windows };
    this.store = new Observable(
      applyChat(applyConnection(EMPTY_STATE, { state: 'live', user: me, resumed: false }), chat),
      (error) => {
        throw error;
      },
    );
    // The room asks for messages only.
    const client = { request: this.#request } as unknown as Pick<Client, 'request'>;
    const { store } = this;
    this.room = openRoom(
      roomId,
      {
        ...{ client, store, setMark: createMarks(client, store) },
        sending: new Sending({
          client,
          store,
          options: {},
          onError: () => {},
          onStored: () => {},
          onRefusal: () => {},
        }),
        typing: createTyping(client, store, { after: afterTimeout, now: Date.now }),
      },
      () => {},
    );
  }

  get visible(): readonly Message[] {
    return this.messages.filter(({ seq }) => WINDOWS.some(([from, to]) => seq >= from && seq <= (to ?? seq)));
  }

  /** As the server answers: at once, though the answer may be long on its way. */
  readonly #request = (name: 'fetch messages', data: RequestInput<'fetch messages'>) => {
    this.requests++;
    const { before = Number.POSITIVE_INFINITY, after = 0, around, limit = PAGE } = data;
    const all = this.visible;
    const at = all.findIndex(({ messageId, seq }) => messageId === around || seq >= Number(around));
    const between = all.filter(({ seq }) => seq > after && seq < before);
    const messages =
      around !== undefined
        ? at < 0
          ? []
          : all.slice(Math.max(0, at - limit / 2), at + limit / 2)
        : data.after !== undefined
          ? between.slice(0, limit)
          : between.slice(-limit);
    const answer = new Promise<object>((resolve) => {
      this.#held.push(() => resolve({ messages, hasMore: true }));
    });
    const fold = foldAnswer(this.store.state, name, data) as Parameters<typeof this.store.query<object>>[1];
    return this.store.query(() => answer, fold);
  };

  take(step: Step): void {
    const found = 'seq' in step ? this.visible.find(({ seq }) => seq === step.seq) : undefined;
    switch (step.does) {
      case 'push': {
        const message = messageOf(roomId, ada, this.messages.length + 1);
        this.messages.push(message);
        return this.store.receive((state) => applySentMessage(state, message));
      }
      case 'newest':
        return void this.room.show();
      case 'earlier':
        return void this.room.earlier();
      case 'later':
        return void this.later();
      case 'answer':
        return this.#held.shift()?.();
      case 'show':
        return void this.room.show(step.seq);
      case 'show id':
        return void (found && this.room.show(found.messageId));
      case 'edit': {
        if (!found || found.deleted) return;
        const message = { ...found, message: 'changed', rev: (found.rev ?? 0) + 1 };
        this.messages[found.seq - 1] = message;
        return this.store.receive((state) => applyChangedMessage(state, message));
      }
      case 'delete': {
        if (!found || found.deleted) return;
        const { message: _, rev: __, ...rest } = found;
        this.messages[found.seq - 1] = { ...rest, message: null, deleted: { by: 'ada' } };
        const push = { roomId, messageId: found.messageId, seq: found.seq, by: 'ada' };
        return this.store.receive((state) => applyDeletion(state, push));
      }
    }
  }

  /** Goes a page forward. */
  async later(): Promise<void> {
    const last = this.room.get().entries.at(-1);
    if (last?.state === 'stored') await this.room.show(last.message.seq + 1);
  }

  /** All that was asked is answered. */
  async settle(): Promise<void> {
    while (this.#held.length > 0) {
      this.#held.shift()?.();
      await new Promise(setImmediate);
    }
  }

  /** The `seq`s that are shown: what the server has there, each message once, as it is now. */
  check(): readonly number[] {
    const { entries, isAtEnd } = this.room.get();
    const shown = entries.flatMap((entry) => (entry.state === 'stored' ? [entry.message] : []));
    const [first, last] = [shown[0], shown.at(-1)];
    const all = this.visible;
    expect(shown).to.deep.equal(
      all.filter(({ seq }) => first && last && seq >= first.seq && seq <= last.seq),
    );
    expect(isAtEnd).to.equal(last === undefined || last.seq === all.at(-1)?.seq);
    expect(entries.length - shown.length, 'unsent ones').to.equal(0);
    return shown.map(({ seq }) => seq);
  }
}

describe('the part of a history that a room shows', () => {
  it('is what the server has there, wherever it leads and whatever comes meanwhile', async () => {
    const plan = fc.record({
      count: fc.integer({ min: 30, max: 60 }),
      steps: fc.array(aStep, { maxLength: 40 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ count, steps }) => {
        const world = new World(count);
        for (const step of steps) {
          world.take(step);
          await new Promise(setImmediate);
          world.check();
        }
        await world.settle();
        world.check();
      }),
      { numRuns: runs(150) },
    );
  });

  it('holds the message that it leads to, by one request, and goes on in both directions without a gap', async () => {
    for (const by of ['id', 'seq'] as const) {
      const world = new World(200);
      await world.settle();
      const { room } = world;
      const { requests } = world;
      const shown = room.show(by === 'id' ? `${roomId} 60` : 60);
      await world.settle();
      await shown;
      expect(world.requests - requests, 'requests').to.equal(1);
      expect(world.check()).to.include(60).and.not.include(200);
      expect(room.get().isAtEnd).to.equal(false);
      world.take({ does: 'push' });
      expect(world.check(), 'a message that comes meanwhile').not.to.include(201);
      while (!room.get().isAtEnd) {
        const later = world.later();
        await world.settle();
        await later;
        world.check();
      }
      while (room.get().history.state !== 'complete') {
        const earlier = room.earlier();
        await world.settle();
        await earlier;
        world.check();
      }
      expect(world.check()).to.have.length(world.visible.length);
    }
  });

  it('is the newest one again on request, when this user writes, and after the room was closed', async () => {
    for (const does of ['show', 'send', 'close'] as const) {
      const world = new World(100);
      await world.settle();
      const shown = world.room.show(30);
      await world.settle();
      await shown;
      expect(world.room.get().isAtEnd).to.equal(false);
      if (does === 'show') void world.room.show();
      else if (does === 'send') world.room.send('my own');
      else world.room.close();
      const { isAtEnd, entries } = world.room.get();
      expect(isAtEnd, does).to.equal(true);
      expect(entries.at(-1)?.state).to.equal(does === 'send' ? 'sending' : 'stored');
    }
  });

  it('leads to the first message behind a `seq` that this user may not see', async () => {
    const world = new World(100);
    await world.settle();
    const shown = world.room.show(20);
    await world.settle();
    await shown;
    expect(world.check()).to.include(25);
  });
});
