import { expect } from 'chai';
import fc from 'fast-check';
import { asKeptState } from '../../../packages/client/src/kept/checkState.js';
import { LIMITS, trimState } from '../../../packages/client/src/kept/trimState.js';
import { applyConnection } from '../../../packages/client/src/store/chatFolds.js';
import { applyAnswer, foldAnswer } from '../../../packages/client/src/store/contractFolds.js';
import { applyClosing, applyOpening } from '../../../packages/client/src/store/roomStore.js';
import { shownMessages, viewRoom, viewSnapshot } from '../../../packages/client/src/store/snapshot.js';
import {
  EMPTY_STATE,
  Observable,
  roomOf,
  type State,
} from '../../../packages/client/src/store/storeState.js';
import { DEFAULT_PREFERENCES } from '../../../src/domain/userMessageChat.js';
import { runs } from '../../support/lanes.js';
import { ACTIONS, type Action, applyTold, GroupModel, people, type Stored } from './groupModel.js';
import { person } from './story.js';

/** What happens to a device: somebody acts, something arrives, it asks, or its connection is lost. */
type Step =
  | ({ readonly step: 'act'; readonly isOwn: boolean } & Action)
  | { readonly step: 'push' | 'twice' | 'ask page' | 'ask chat' | 'compute' | 'arrive' }
  | { readonly step: 'lose' | 'reload' | 'close' | 'open' };

const anAction = fc.record({
  does: fc.constantFrom(...ACTIONS),
  by: fc.nat(5),
  which: fc.nat(20),
  flag: fc.boolean(),
});
const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(anAction, fc.boolean())
      .map(([action, isOwn]) => ({ step: 'act' as const, ...action, isOwn })),
  },
  {
    weight: 6,
    arbitrary: fc
      .constantFrom('push', 'push', 'push', 'twice', 'ask page', 'ask chat', 'compute', 'arrive', 'lose')
      .map((step) => ({ step }) as Step),
  },
  { weight: 1, arbitrary: fc.constantFrom('reload', 'close', 'open').map((step) => ({ step }) as Step) },
);

interface Query {
  readonly name: 'fetch messages' | 'get chat';
  readonly before: number | undefined;
  answer?: object;
  readonly arrive: (answer: object) => void;
}

/** A device with a store, that sees a group over a connection which the steps of a test drive. */
class Device {
  readonly model = new GroupModel();
  store = observe(
    applyOpening(
      applyConnection(
        { ...EMPTY_STATE, preferences: DEFAULT_PREFERENCES, hasChats: true, hasFriends: true },
        { state: 'live', user: person('me'), resumed: false },
      ),
      this.model.roomId,
    ),
  );
  #waiting: Stored[] = [];
  #queries: Query[] = [];
  /** How much of the log was handled: the cursor. */
  #cursor = 0;
  #seen = 0;

  constructor() {
    this.#receive('get chat', { chat: this.model.chat });
  }

  take(step: Step): void {
    switch (step.step) {
      case 'act':
        this.model.act(step, step.isOwn);
        for (const one of this.model.log.slice(this.#seen)) if (one.isTold) this.#waiting.push(one);
        this.#seen = this.model.log.length;
        return;
      case 'push':
      case 'twice':
        return this.#push(step.step === 'twice' ? 2 : 1);
      case 'ask page':
        return this.#ask('fetch messages');
      case 'ask chat':
        return this.#ask('get chat');
      case 'compute':
        return this.#compute();
      case 'arrive':
        return this.#arrive();
      case 'lose':
        return this.#lose();
      case 'reload':
        return this.#reload();
      case 'close':
        return this.store.apply((state) => applyClosing(state, this.model.roomId));
      case 'open':
        return this.#open();
    }
  }

  #open(): void {
    const { roomId } = this.model;
    if (!roomOf(this.store.state, roomId).isOpen) this.store.apply((state) => applyOpening(state, roomId));
  }

  /** Everything arrives, the user is a member, and the history is fetched whole. */
  async settle(): Promise<void> {
    this.#open();
    if (!this.model.isIn) this.take({ step: 'act', isOwn: false, does: 'join', by: 0, which: 0, flag: true });
    while (this.#waiting.length > 0) this.#push(1);
    for (let pages = 0; ; pages++) {
      while (this.#queries.length > 0) {
        this.#compute();
        this.#arrive();
        await Promise.resolve();
      }
      await new Promise(setImmediate);
      const { history } = viewRoom(this.model.roomId)(this.store.state, undefined);
      if (history.state === 'complete') return;
      expect(pages, 'pages').to.be.lessThan(100);
      this.#ask('fetch messages');
    }
  }

  #receive(name: 'get chat', answer: { chat: GroupModel['chat'] }): void {
    this.store.receive((state) => applyAnswer(state, name, answer, { roomId: this.model.roomId }));
  }

  #push(times: number): void {
    const next = this.#waiting.shift();
    if (!next) return;
    for (let n = 0; n < times; n++) this.store.receive((state) => applyTold(state, next));
    if (this.#waiting.length === 0) this.#cursor = this.#seen;
    else this.#cursor = Math.max(this.#cursor, this.model.log.indexOf(next) + 1);
  }

  #ask(name: Query['name']): void {
    const { roomId } = this.model;
    const [oldest] = shownMessages(roomOf(this.store.state, roomId));
    const answered = new Promise<object>((arrive) => {
      this.#queries.push({ name, before: oldest?.seq, arrive });
    });
    // The steps give each query an answer of its kind.
    const fold = foldAnswer(this.store.state, name, { roomId }) as (state: State, answer: object) => State;
    void this.store.query(() => answered, fold);
  }

  /** The server reads what it answers: at least what it had pushed when it was asked, which is all that it holds. */
  #compute(): void {
    const query = this.#queries.find(({ answer }) => answer === undefined);
    if (!query) return;
    const { model } = this;
    query.answer = structuredClone(
      query.name === 'get chat' ? { chat: model.chat } : model.page(query.before),
    );
  }

  #arrive(): void {
    const query = this.#queries.find(({ answer }) => answer !== undefined);
    if (!query?.answer) return;
    this.#queries = this.#queries.filter((one) => one !== query);
    query.arrive(query.answer);
  }

  /** The connection is lost and made again: a replay from the cursor; queries are asked once more. */
  #lose(): void {
    this.#waiting = this.model.replay(this.#cursor);
    for (const query of this.#queries) delete query.answer;
  }

  /** The page is closed and opened again: it has what a browser kept, and neither the queries nor their answers. */
  #reload(): void {
    const stored = structuredClone(trimState(this.store.state, { ...LIMITS, messages: 3 }));
    const kept = asKeptState(stored, 'me');
    if (!kept) throw new Error('what is kept cannot be read');
    this.store = observe(applyOpening(kept, this.model.roomId));
    this.#queries = [];
    this.#lose();
    // As after every connection.
    this.store.apply((state) => applyConnection(state, { state: 'replaying', user: person('me') }));
    this.#ask('get chat');
  }
}

function observe(state: State): Observable<State> {
  return new Observable(state, (error) => {
    throw error;
  });
}

describe('what a store shows of a group', () => {
  it('is what the server has, however pushes, answers, losses, replays and reloads come in between', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { maxLength: 80, size: 'max' }), async (steps) => {
        const device = new Device();
        for (const step of steps) {
          device.take(step);
          await Promise.resolve();
        }
        await device.settle();
        const { model, store } = device;
        const view = viewRoom(model.roomId)(store.state, undefined);
        const shown = view.entries.map((entry) => (entry.state === 'stored' ? entry.message : entry));
        expect(shown).to.deep.equal(model.visible);
        expect(view.myMark).to.equal(model.mark);
        expect(view.otherMark).to.equal(model.otherMark);
        expect(view.participants).to.deep.equal(model.participants);
        const { chats, archived, requests } = viewSnapshot()(store.state, undefined);
        expect(requests).to.deep.equal([]);
        const line = [...chats, ...archived][0];
        const { participants: _, readUpTo: __, pinnedMessages, ...chat } = model.chat;
        expect(line).to.deep.include({ ...chat, isMember: true });
        // A replay does not say in which order messages were pinned.
        expect(line?.pinnedMessages?.toSorted()).to.deep.equal(pinnedMessages?.toSorted());
        expect(archived).to.have.length(chat.archived ? 1 : 0);
      }),
      { numRuns: runs(200) },
    );
  });

  it('has people to come and go', () => {
    expect(people).to.have.length(4);
  });
});
