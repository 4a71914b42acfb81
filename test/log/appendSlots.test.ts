import { expect } from 'chai';
import fc from 'fast-check';
import { AppendSlots, SLOTS } from '../../src/log/appendSlots.js';
import { COMMIT_LIMITS, pack } from '../../src/log/commit.js';
import type { Commit } from '../../src/log/log.js';
import { chain } from './commitChain.js';

/** Both sides of one memory, in one thread. */
function twoSides(): { caller: AppendSlots; log: AppendSlots } {
  const caller = new AppendSlots();
  return { caller, log: new AppendSlots(caller.memory) };
}

function commitOf(leaves: readonly string[]): Commit {
  const [commit] = chain(1, 0, () => [...leaves]);
  if (!commit) throw new Error('there is no commit');
  return commit;
}

describe('the slots through which commits reach the thread of the log', () => {
  it('pass commits on as they are, whatever their leaves are', () => {
    const leaf = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 });
    const commits = fc.array(
      fc.array(
        leaf.filter((text) => !text.includes('\n')),
        { maxLength: 20 },
      ),
      { minLength: 1, maxLength: SLOTS },
    );
    const property = fc.property(commits, (all) => {
      const { caller, log } = twoSides();
      const given = all.map(commitOf);
      for (const [slot, commit] of given.entries()) caller.call(slot, commit);
      const taken = log.take().map((call) => {
        if (call.kind !== 'append') throw new Error('no append');
        const { leaves, ...fields } = call.commit;
        return { slot: call.slot, ...fields, text: Buffer.from(leaves).toString() };
      });
      expect(taken).to.deep.equal(given.map((commit, slot) => ({ slot, ...pack(commit) })));
    });
    fc.assert(property);
  });

  it('hold the largest commit, and refuse a larger one without sending it', () => {
    const { caller, log } = twoSides();
    const bytes = COMMIT_LIMITS.bytes / COMMIT_LIMITS.events;
    const largest = commitOf(Array.from({ length: COMMIT_LIMITS.events }, () => 'x'.repeat(bytes)));
    caller.call(0, largest);
    expect(log.take()).to.have.length(1);
    const larger = { ...largest, leaves: [...largest.leaves, 'x'.repeat(8192)] };
    expect(() => caller.call(0, larger)).to.throw(RangeError);
    caller.call(1, 'checkpoint');
    expect(log.take()).to.deep.equal([{ slot: 1, kind: 'checkpoint' }]);
  });

  it('are taken once, in any mixture of calls', () => {
    const { caller, log } = twoSides();
    caller.call(2, 'checkpoint');
    caller.call(5, commitOf(['a']));
    caller.call(7, 'close');
    expect(log.take().map(({ slot, kind }) => [slot, kind])).to.deep.equal([
      [2, 'checkpoint'],
      [5, 'append'],
      [7, 'close'],
    ]);
    caller.call(3, 'checkpoint');
    expect(log.take().map(({ slot }) => slot)).to.deep.equal([3]);
  });
});
