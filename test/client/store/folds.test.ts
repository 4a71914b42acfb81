import { expect } from 'chai';
import fc from 'fast-check';
import {
  applyChat,
  applyConnection,
  applyErasure,
  applyFriend,
  applyMembership,
  applyPresence,
  resetToPresent,
} from '../../../packages/client/src/store/chatFolds.js';
import { applyChatPage } from '../../../packages/client/src/store/contractFolds.js';
import {
  applyDeletion,
  applyMark,
  applyMessages,
  applyPage,
  applyReaction,
  applySentMessage,
} from '../../../packages/client/src/store/messageFolds.js';
import { applyOpening } from '../../../packages/client/src/store/roomStore.js';
import { setRefused, setWaiting } from '../../../packages/client/src/store/sending.js';
import { viewRoom, viewSnapshot } from '../../../packages/client/src/store/snapshot.js';
import { EMPTY_STATE, Observable, type State } from '../../../packages/client/src/store/storeState.js';
import type { RoomView, Snapshot } from '../../../packages/client/src/store/storeTypes.js';
import { ClientError, type Message } from '../../../packages/client/src/types.js';
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

  it('count a reaction of somebody beyond the named ones once, however often it is told', () => {
    const named = Array.from({ length: 20 }, (_, i) => `user ${i}`);
    const all = { emoji: '👍', userIds: named, count: 25 };
    const message = { ...messageOf(withAda, ada, 1), reactions: [all] };
    const push = (userId: string, on: boolean) => (state: State) =>
      applyReaction(state, { roomId: withAda, messageId: message.messageId, userId, emoji: '👍', on });
    const countOf = (...pushes: ((state: State) => State)[]): unknown => {
      const state = pushes.reduce((before, told) => told(before), applyPage(beginning, withAda, [message]));
      const [entry] = view(state).entries;
      return (
        entry?.state === 'stored' &&
        entry.message.reactions?.map(({ userIds, count }) => [userIds.length, count])
      );
    };
    expect(countOf(push('new', true), push('new', true))).to.deep.equal([[20, 26]]);
    expect(countOf(push('new', true), push('new', false), push('new', false))).to.deep.equal([[20, 25]]);
    expect(countOf(push('unnamed', false), push('unnamed', false))).to.deep.equal([[20, 24]]);
    expect(countOf(push('user 3', false), push('user 3', false))).to.deep.equal([[19, 24]]);
    expect(countOf(push('user 3', true))).to.deep.equal([[20, 25]]);
  });

  it('count a member of a large group once, and show marks of others in small groups only', () => {
    const users = Array.from({ length: 32 }, (_, i) => person(`user ${i}`));
    const chat = { ...chatOf(withAda, [me, ...users.slice(1)], [], { me: 0 }), roomType: 'GROUP' as const };
    const group = (members: number): State =>
      applyChat(beginning, { ...chat, members, windows: [[1, null]] });
    const told = (state: State, userId: string, isIn: boolean): State =>
      [1, 2].reduce((next) => applyMembership(next, { roomId: withAda, userId, at: 0 }, isIn), state);
    const membersOf = (state: State): unknown => view(state).chat?.members;
    expect(membersOf(told(group(40), 'new', true))).to.equal(41);
    expect(membersOf(told(told(group(40), 'new', true), 'new', false))).to.equal(40);
    expect(membersOf(told(group(40), 'unnamed', false))).to.equal(39);
    expect(membersOf(told(group(40), 'user 3', false))).to.equal(39);
    expect(membersOf(told(group(32), 'user 3', true))).to.equal(32);
    expect(membersOf(told(group(32), 'stranger', false))).to.equal(32);
    const read = (state: State): State =>
      users.reduce(
        (next, { userId }) => applyMark(next, withAda, userId, 1),
        applyPage(state, withAda, [messageOf(withAda, me, 1)]),
      );
    expect(view(read(group(32))).otherMark).to.equal(1);
    expect(view(read(group(33))).otherMark).to.equal(0);
  });

  it('count only what lies in the windows, and see no gap between two of them', () => {
    const at = (seq: number) => messageOf(withAda, ada, seq);
    const windows: [number, number | null][] = [
      [3, 4],
      [8, null],
    ];
    const chat = chatOf(withAda, [me, ada], [at(9)], { me: 3 });
    const group = applyChat(beginning, { ...chat, roomType: 'GROUP', members: 2, windows });
    expect(snapshot(group).chats[0]?.unread).to.equal(3);
    const seqs = (state: State): unknown[] =>
      view(state).entries.map((entry) => entry.state === 'stored' && entry.message.seq);
    const some = applyPage(group, withAda, [4, 8, 9].map(at));
    expect([seqs(some), view(some).history]).to.deep.equal([[4, 8, 9], { state: 'more' }]);
    expect(view(applyPage(some, withAda, [at(3)])).history).to.deep.equal({ state: 'complete' });
    const left = applyMembership(some, { roomId: withAda, userId: 'me', at: 9 }, false);
    expect(view(left)).to.include({ isMember: false });
    expect(view(left).chat?.windows).to.deep.equal([
      [3, 4],
      [8, 9],
    ]);
    const said = applyMembership(group, { roomId: withAda, userId: 'me', at: 7 }, false);
    expect(view(said).chat?.windows, 'a window in which nothing was said').to.deep.equal([[3, 4]]);
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
