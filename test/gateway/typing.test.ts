import { expect } from 'chai';
import { Typing, type TypingNote } from '../../src/gateway/typing.js';
import { type VirtualTime, virtualTime } from '../support/virtualTime.js';

const room = 'room';

/** A node, where these are connected, and what its people are told; `others` are the nodes it tells. */
function node(time: VirtualTime, here: readonly string[], others: readonly Typing[] = []) {
  const told: boolean[] = [];
  const typing = new Typing({
    push: ({ isTyping }: TypingNote) => told.push(isTyping),
    tell: (note) => {
      for (const other of others) other.receive(note);
    },
    isAnyHere: (to) => !('group' in to) && to.some((user) => here.includes(user)),
    setTimer: time.setTimer,
  });
  return { typing, told };
}

describe('typing across nodes', () => {
  it('is told where the other member is connected, and ends there after 6 s, once', async () => {
    const time = virtualTime();
    const theirs = node(time, ['bob']);
    const mine = node(time, ['ann'], [theirs.typing]);
    mine.typing.notify(['bob'], room, 'ann', true);
    await time.advance(5999);
    expect(theirs.told).deep.equal([true]);
    await time.advance(60_000);
    expect([theirs.told, mine.told]).deep.equal([[true, false], []]);
  });

  it('goes on for 6 s more with each notice', async () => {
    const time = virtualTime();
    const { typing, told } = node(time, ['bob']);
    typing.notify(['bob'], room, 'ann', true);
    await time.advance(5000);
    typing.notify(['bob'], room, 'ann', true);
    await time.advance(5999);
    expect(told).deep.equal([true, true]);
    await time.advance(1);
    expect(told).deep.equal([true, true, false]);
  });

  it('ends with a notice of the user who types, and then no more', async () => {
    const time = virtualTime();
    const theirs = node(time, ['bob']);
    const mine = node(time, ['ann', 'bob'], [theirs.typing]);
    for (const isTyping of [true, true, false]) mine.typing.notify(['bob'], room, 'ann', isTyping);
    await time.advance(60_000);
    expect([theirs.told, mine.told]).deep.equal([
      [true, true, false],
      [true, true, false],
    ]);
  });

  it('ends with a message without a push, on every node', async () => {
    const time = virtualTime();
    const theirs = node(time, ['bob']);
    const mine = node(time, ['bob'], [theirs.typing]);
    const other = node(time, ['bob']);
    mine.typing.notify(['bob'], room, 'ann', true);
    other.typing.notify(['bob'], room, 'ann', true);
    mine.typing.endByMessage(room, 'ann');
    theirs.typing.endByMessage(room, 'ann');
    await time.advance(60_000);
    expect([theirs.told, mine.told, other.told]).deep.equal([[true], [true], [true, false]]);
  });
});
