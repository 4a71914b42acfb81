import { expect } from 'chai';
import fc from 'fast-check';
import { applyChat } from '../../../src/client/store/chatFolds.js';
import { applyChatPage } from '../../../src/client/store/contractFolds.js';
import {
  applyDeletion,
  applyMessages,
  applyPage,
  applySentMessage,
} from '../../../src/client/store/messageFolds.js';
import {
  applyConnection,
  applyErasure,
  applyFriend,
  applyPresence,
  resetToPresent,
} from '../../../src/client/store/peopleFolds.js';
import { applyOpening } from '../../../src/client/store/roomStore.js';
import { setRefused, setWaiting } from '../../../src/client/store/sending.js';
import { viewRoom, viewSnapshot } from '../../../src/client/store/snapshot.js';
import { EMPTY_STATE, Observable, type State } from '../../../src/client/store/storeState.js';
import type { RoomView, Snapshot } from '../../../src/client/store/storeTypes.js';
import { ClientError, type Message } from '../../../src/client/types.js';
import { runs } from '../../support/lanes.js';
import { chatOf, messageOf, person, type Story, story, type Told, time } from './story.js';

const me = person('me');
const ada = person('ada');
const ben = person('ben');
const withAda = 'with ada';
const withBen = 'with ben';

/** Live, with both rooms open, and nothing told yet. */
const beginning = [withAda, withBen].reduce(
  applyOpening,
  applyConnection(EMPTY_STATE, { state: 'live', user: me, resumed: false }),
);

const view = (state: State, roomId = withAda): RoomView => viewRoom(roomId)(state, undefined);
const snapshot = (state: State): Snapshot => viewSnapshot()(state, undefined);
/** The ids that a room shows; those of unsent messages are marked. */
const ids = (state: State): string[] =>
  view(state).entries.map((entry) =>
    entry.state === 'stored' ? entry.message.messageId : `${entry.messageId} unsent`,
  );

const unsentOf = (id: string) => ({
  ...{ id, request: 'send message' as const, queuedAt: time(0) },
  data: { roomId: withAda, messageId: id, message: 'text' },
});

describe('the folds of the store', () => {
  it('end in the same view, in whatever order and however often facts arrive', () => {
    const plan = fc.tuple(story(withAda, me, ada), story(withBen, me, ben)).chain((stories) => {
      const needed = stories.flatMap((one) => one.needed);
      const told = stories.flatMap((one) => [...one.needed, ...one.more]);
      const order = fc.shuffledSubarray([...told, ...needed], { minLength: told.length + needed.length });
      return fc.record({ stories: fc.constant(stories), one: order, other: order });
    });
    fc.assert(
      fc.property(plan, ({ stories, one, other }) => {
        const state = fold(one);
        const again = fold(other);
        expect(snapshot(again)).to.deep.equal(snapshot(state));
        for (const [i, roomId] of [withAda, withBen].entries()) {
          expect(view(again, roomId)).to.deep.equal(view(state, roomId));
          tells(state, roomId, stories[i]);
        }
      }),
      { numRuns: runs(300) },
    );
  });

  it('show each sent message once, wherever its answer, push or page arrives', () => {
    const sent = [1, 2, 3, 4, 5, 6].map((seq) => messageOf(withAda, me, seq));
    const step = fc.record({
      upTo: fc.integer({ min: 1, max: sent.length }),
      does: fc.constantFrom('queue', 'refuse', 'answer', 'push', 'page'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const written = new Set<string>();
        let stored = 0;
        let state = beginning;
        for (const { upTo, does } of steps) {
          const { messageId } = messageOf(withAda, me, upTo);
          // What the server has is in order: with a message, all before it.
          const known = sent.slice(0, upTo);
          if (does === 'queue') {
            const others = state.waiting.filter(({ id }) => id !== messageId);
            state = setWaiting(state, [...others, unsentOf(messageId)]);
            written.add(messageId);
          } else if (does === 'refuse') {
            const [refused] = state.waiting.filter(({ id }) => id === messageId);
            const others = state.waiting.filter(({ id }) => id !== messageId);
            const error = new ClientError({ code: 'forbidden' });
            if (refused) state = setRefused(setWaiting(state, others), { entry: unsentOf(messageId), error });
          } else {
            stored = Math.max(stored, upTo);
            if (does === 'push') state = known.reduce(applySentMessage, state);
            else
              state =
                does === 'page' ? applyPage(state, withAda, known) : applyMessages(state, withAda, known);
          }
        }
        const inOrder = sent.slice(0, stored).map(({ messageId }) => messageId);
        const unsent = [...written].filter((id) => !inOrder.includes(id)).map((id) => `${id} unsent`);
        expect(ids(state).slice(0, stored)).to.deep.equal(inOrder);
        expect(ids(state).slice(stored)).to.have.members(unsent);
      }),
      { numRuns: runs(300) },
    );
  });

  it('show no message beyond a gap, and all once it is filled', () => {
    const at = (seq: number) => messageOf(withAda, ada, seq);
    const seqs = (state: State): unknown[] =>
      view(state).entries.map((entry) => entry.state === 'stored' && entry.message.seq);
    const broken = applyPage(applySentMessage(beginning, at(7)), withAda, [1, 2, 4, 5].map(at));
    expect(seqs(broken)).to.deep.equal([7]);
    expect(view(broken).history).to.deep.equal({ state: 'more' });
    const filled = applyPage(broken, withAda, [at(6)]);
    expect(seqs(filled)).to.deep.equal([4, 5, 6, 7]);
    expect(seqs(applyPage(filled, withAda, [at(3)]))).to.deep.equal([1, 2, 3, 4, 5, 6, 7]);
  });

  it('show nothing of an erased user again, whichever fact arrives first', () => {
    const text = messageOf(withAda, ada, 1);
    const wiped = { ...text, message: null, erased: true as const };
    const texts = (state: State): unknown[] =>
      view(state).entries.map((entry) => entry.state === 'stored' && entry.message.message);
    // A page of an earlier moment comes behind the push, and a later page before it.
    expect(texts(applyPage(applyErasure(beginning, ada.userId), withAda, [text]))).to.deep.equal([null]);
    expect(texts(applyPage(applyPage(beginning, withAda, [text]), withAda, [wiped]))).to.deep.equal([null]);
    expect(texts(applyPage(applyPage(beginning, withAda, [wiped]), withAda, [text]))).to.deep.equal([null]);
  });

  it('show nothing of a deleted message again, whichever fact arrives first', () => {
    const text = messageOf(withAda, ada, 1);
    const { messageId } = text;
    const deletion = { roomId: withAda, messageId, seq: 1, by: 'system' };
    const gone = { ...text, message: null, deleted: { by: 'system' } };
    const erased = { ...text, message: null, erased: true as const };
    const told = (state: State) => applyDeletion(state, deletion);
    const page = (message: Message) => (state: State) => applyPage(state, withAda, [message]);
    for (const facts of [
      [page(text), told],
      [page(text), told, told],
      [page(text), page(gone), told],
      [page(gone), page(text)],
      [page(erased), told],
      [page(gone), page(erased)],
    ]) {
      const state = facts.reduce<State>((before, fact) => fact(before), beginning);
      const shown = view(state).entries.map((entry) => entry.state === 'stored' && entry.message);
      expect(shown).to.deep.equal([gone]);
    }
    expect(told(beginning), 'of an unknown message').to.equal(beginning);
  });

  it('keep the identity of everything that did not change', () => {
    const both = [chatOf(withAda, [me, ada], []), chatOf(withBen, [me, ben], [])].reduce(
      applyChat,
      [ada, ben].reduce(applyFriend, beginning),
    );
    const store = new Observable(both, () => {});
    const [snapshots, views] = [store.watch(viewSnapshot()), store.watch(viewRoom(withAda))];
    const before = { snapshot: snapshots.get(), view: views.get() };
    store.apply((state) => applySentMessage(state, messageOf(withBen, ben, 1)));
    const after = { snapshot: snapshots.get(), view: views.get() };
    expect(after.view).to.equal(before.view);
    expect(after.snapshot.friends).to.equal(before.snapshot.friends);
    expect(after.snapshot.chats.map(({ roomId }) => roomId)).to.deep.equal([withBen, withAda]);
    expect(after.snapshot.chats).to.include(before.snapshot.chats.find(({ roomId }) => roomId === withAda));
    store.apply((state) => applySentMessage(state, { ...messageOf(withBen, ben, 1) }));
    expect(snapshots.get()).to.equal(after.snapshot);
    store.apply((state) => applyFriend(state, { ...ben }));
    expect(snapshots.get()).to.equal(after.snapshot);
  });

  it('forget presence that a new connection does not confirm', () => {
    const chat = chatOf(withAda, [me, ada], []);
    const there = { isOnline: true, lastSeen: null };
    const before = applyPresence(
      applyChatPage(beginning, { chats: [chat], presence: { ada: there } }, {}),
      ben.userId,
      {
        state: 'online',
      },
    );
    const lost = applyConnection(before, { state: 'waiting', delayMs: 1, code: 1006, reason: '' });
    expect(snapshot(lost).chats[0]?.presence).to.deep.equal({ state: 'online' });
    const again = applyChatPage(lost, { chats: [chat], presence: { ben: there } }, {});
    expect(snapshot(again).chats[0]?.presence).to.deep.equal({ state: 'unknown' });
    expect(again.presence.get(ben.userId)).to.deep.equal({ state: 'online' });
  });

  it('forget everything but unsent messages when the server was restored', () => {
    const known = applySentMessage(
      applyChat(beginning, chatOf(withAda, [me, ada], [])),
      messageOf(withAda, ada, 1),
    );
    const state = resetToPresent(setWaiting(known, [unsentOf('mine')]));
    expect(ids(state)).to.deep.equal(['mine unsent']);
    expect(snapshot(state)).to.deep.include({ me, chats: [], isLoaded: false });
    expect(view(state).history).to.deep.equal({ state: 'loading' });
  });
});

function fold(told: readonly Told[]): State {
  return told.reduce((state, one) => one(state), beginning);
}

/** The room's view is what the server has: each message once, in order, with the marks that it had. */
function tells(state: State, roomId: string, told: Story | undefined): void {
  const { entries, other, myMark, otherMark } = view(state, roomId);
  const all = told?.messages ?? [];
  expect(entries).to.deep.equal(
    all.map((message) => ({
      ...{ state: 'stored', message, isRead: message.seq <= otherMark },
      sender: message.senderId === me.userId ? me : other,
    })),
  );
  expect(other?.erased === true).to.equal(told?.isErased);
  const line = snapshot(state).chats.find((one) => one.roomId === roomId);
  expect(line?.lastMessage).to.deep.equal(all.at(-1) ?? null);
  expect(line?.unread).to.equal(all.length - myMark);
}
