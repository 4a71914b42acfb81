import { expect } from 'chai';
import { Typing, type TypingNote } from '../../src/gateway/typing.js';
import { eventually } from '../support/eventually.js';

const room = 'room';

/** A node, where these are connected, and what its people are told; `others` are the nodes it tells. */
function node(here: readonly string[], others: readonly Typing[] = []) {
  const told: boolean[] = [];
  const typing = new Typing({
    push: ({ isTyping }: TypingNote) => told.push(isTyping),
    tell: (note) => {
      for (const other of others) other.hear(note);
    },
    isHere: (users) => users.some((user) => here.includes(user)),
  });
  return { typing, told };
}

describe('typing across nodes', () => {
  it('is told where the other member is connected, and ends there after 6 s, once', async () => {
    const theirs = node(['bob']);
    const mine = node(['ann'], [theirs.typing]);
    mine.typing.notify(['bob'], room, 'ann', true);
    expect(theirs.told).deep.equal([true]);
    await eventually('it has ended', () => theirs.told.length > 1);
    expect([theirs.told, mine.told]).deep.equal([[true, false], []]);
  });

  it('ends with a word from the typer, and then no more', () => {
    const theirs = node(['bob']);
    const mine = node(['ann', 'bob'], [theirs.typing]);
    for (const isTyping of [true, true, false]) mine.typing.notify(['bob'], room, 'ann', isTyping);
    expect([theirs.told, mine.told]).deep.equal([
      [true, true, false],
      [true, true, false],
    ]);
    mine.typing.stop();
    theirs.typing.stop();
  });

  it('ends with a message without a push, on every node', async () => {
    const theirs = node(['bob']);
    const mine = node(['bob'], [theirs.typing]);
    const other = node(['bob']);
    mine.typing.notify(['bob'], room, 'ann', true);
    other.typing.notify(['bob'], room, 'ann', true);
    mine.typing.sent(room, 'ann');
    theirs.typing.sent(room, 'ann');
    await eventually('the one that got no message has ended', () => other.told.length > 1);
    expect([theirs.told, mine.told]).deep.equal([[true], [true]]);
  });
});
