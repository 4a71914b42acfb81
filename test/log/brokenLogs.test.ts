import { expect } from 'chai';
import type { EventLog } from '../../src/log/log.js';
import { checks, type LogStore } from '../conformance/eventLog.js';
import {
  acceptsAnyPosition,
  acknowledgesTooSoon,
  forgetsCommitIds,
  misplaces,
  readsNextOfFirst,
  readsNextPastHoles,
  readsStale,
  reencodes,
  reusesPositions,
  skipsHoles,
  spoiled,
  unanswered,
} from './brokenLogs.js';
import { sqliteStore } from './stores.js';

const model = 'does what its model does, whatever comes';
const bytes = 'keeps the bytes of every leaf';
const unknown = 'does not take an unknown outcome for a failure';

/** Logs broken on purpose, and the checks that must detect each. */
const controls: { name: string; store(good: LogStore): LogStore; found: string[] }[] = [
  {
    name: 'skips holes',
    store: (good) => spoiled(good, skipsHoles),
    found: ['throws HoleError at a hole, never skips it'],
  },
  {
    name: 'takes the limit of each partition for one of all',
    store: (good) => spoiled(good, readsNextOfFirst),
    found: ['reads behind several places at once, as many of each partition as asked for'],
  },
  {
    name: 'reads several partitions past a hole',
    store: (good) => spoiled(good, readsNextPastHoles),
    found: ['throws HoleError when one of several partitions has a hole'],
  },
  {
    name: 'says wrong where commits lie',
    store: (good) => spoiled(good, misplaces),
    found: ['tells where commits lie, of those that there are'],
  },
  {
    name: 'accepts any position',
    store: (good) => spoiled(good, acceptsAnyPosition),
    found: ['refuses a position that does not follow its tail, and stores nothing there', model],
  },
  {
    name: 'reuses positions',
    store: (good) => spoiled(good, reusesPositions),
    found: [
      'answers lost, with the commit that is there, to another one at a taken position',
      'answers lost to who has not seen another writer append',
      model,
    ],
  },
  {
    name: 'acknowledges before a commit is durable',
    store: (good) => spoiled(good, acknowledgesTooSoon),
    found: ['still has after being opened again whatever it acknowledged', model],
  },
  {
    name: 'takes an unknown outcome for a failure',
    store: (good) => unanswered(good, () => Promise.reject(new Error('timed out'))),
    found: [unknown],
  },
  {
    name: 'takes its own commit for another after an unknown outcome',
    store: (good) => unanswered(good, async (_, commit) => ({ kind: 'lost', to: commit })),
    found: [unknown],
  },
  {
    name: 'forgets commit ids',
    store: (good) => spoiled(good, forgetsCommitIds),
    found: ['acknowledges a commit that is appended again, and stores it once', model],
  },
  {
    name: 'reads stale',
    store: (good) => spoiled(good, readsStale),
    found: ['shows a commit to every reader once it is acknowledged'],
  },
  {
    name: 'stores JSON anew',
    store: (good) =>
      spoiled(
        good,
        reencodes((leaf) => JSON.stringify(JSON.parse(leaf))),
      ),
    found: [bytes],
  },
  {
    name: 'normalises Unicode',
    store: (good) =>
      spoiled(
        good,
        reencodes((leaf) => leaf.normalize('NFC')),
      ),
    found: [bytes],
  },
];

async function run(name: string, store: LogStore): Promise<void> {
  const check = checks.find((each) => each.name === name);
  if (!check) throw new Error(`there is no check named “${name}”`);
  try {
    await check.run(store);
  } finally {
    await store.discard();
  }
}

describe('the checks of an event log', () => {
  for (const { name, store, found } of controls)
    for (const check of found)
      it(`find out one that ${name}: ${check}`, async () => {
        const error: unknown = await run(check, store(await sqliteStore())).catch(
          (thrown: unknown) => thrown,
        );
        expect(error, 'this log is broken, and the check did not see it').to.be.instanceOf(Error);
      });

  it('accept a log that is wrapped but not broken', async () => {
    const settle = (log: EventLog, commit: Parameters<EventLog['append']>[0]) => log.append(commit);
    for (const { name } of checks) await run(name, unanswered(await sqliteStore(), settle));
  });
});
