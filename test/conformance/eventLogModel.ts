import { expect } from 'chai';
import fc from 'fast-check';
import { checkCommit, emptyHead } from '../../src/log/commit.js';
import { AppendError, type Commit, type EventLog } from '../../src/log/log.js';
import { commitAfter } from '../log/commitChain.js';
import { runs } from '../support/lanes.js';
import type { LogStore } from './eventLog.js';

/** One operation on a log. `at` selects among the existing commits. */
interface Step {
  readonly kind: 'append' | 'conflict' | 'repeat' | 'beyond' | 'read' | 'tail' | 'reopen';
  readonly at: number;
  readonly leaves: readonly string[];
}

const leaf = fc.string({ unit: 'binary', maxLength: 12 }).map((value) => JSON.stringify({ value }));
const step: fc.Arbitrary<Step> = fc.record({
  // Appends twice as often as anything else.
  kind: fc.constantFrom('append', 'append', 'conflict', 'repeat', 'beyond', 'read', 'tail', 'reopen'),
  at: fc.nat(20),
  leaves: fc.array(leaf, { maxLength: 4 }),
});
const steps = fc.array(step, { minLength: 10, maxLength: 30 });

/** Checks that any sequence of appends, repeats, conflicts, reads and reopenings acts as on an array. */
export async function followsItsModel(store: LogStore): Promise<void> {
  let partition = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      // A partition is not emptied between runs: the model starts with its content.
      let log = await store.open();
      partition = (partition + 1) % log.partitions;
      const model = await log.read(partition, 0, 10_000);
      for (const each of taken) {
        if (each.kind === 'reopen') {
          await log.close();
          log = await store.open();
        } else await take(log, model, partition, each);
      }
      expect(await log.read(partition, 0, 10_000)).to.deep.equal(model);
      await log.close();
    }),
    // A log cannot be emptied for a smaller example, so that the first failure is reported.
    { numRuns: runs(4), endOnFailure: true },
  );
}

async function take(log: EventLog, model: Commit[], partition: number, what: Step): Promise<void> {
  const head = model.reduce(checkCommit, emptyHead(partition));
  const there = model[what.at % Math.max(model.length, 1)];
  switch (what.kind) {
    case 'append': {
      const { commit } = commitAfter(head, what.leaves);
      expect(await log.append(commit)).to.deep.equal({ kind: 'committed' });
      model.push(commit);
      return;
    }
    case 'repeat':
      if (there) expect(await log.append(there)).to.deep.equal({ kind: 'committed' });
      return;
    case 'conflict': {
      const before = model.slice(0, (there?.position ?? 1) - 1).reduce(checkCommit, emptyHead(partition));
      const { commit } = commitAfter(before, what.leaves);
      if (there) expect(await log.append(commit)).to.deep.equal({ kind: 'lost', to: there });
      return;
    }
    case 'beyond': {
      const { commit } = commitAfter({ ...head, position: head.position + what.at + 1 }, []);
      expect(await log.append(commit).catch((error: unknown) => error)).to.be.instanceOf(AppendError);
      return;
    }
    case 'read':
      expect(await log.read(partition, what.at, 7)).to.deep.equal(model.slice(what.at, what.at + 7));
      return;
    case 'tail':
      expect(await log.tail(partition)).to.deep.equal(model.at(-1));
  }
}
