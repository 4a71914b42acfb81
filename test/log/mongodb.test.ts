import { expect } from 'chai';
import {
  MongoClient,
  MongoInvalidArgumentError,
  MongoNetworkError,
  MongoServerError,
  MongoWriteConcernError,
} from 'mongodb';
import { type Clock, systemClock } from '../../src/base/clock.js';
import { isPermanentFailure } from '../../src/base/mongo.js';
import { checkCommit, emptyHead } from '../../src/log/commit.js';
import { type Commit, type EventLog, StorageError } from '../../src/log/log.js';
import { MongoLog, openMongoLog } from '../../src/log/mongoLog.js';
import { COMMITS } from '../../src/log/mongoLogMeta.js';
import { eventLogConformance } from '../conformance/eventLog.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { withSeed } from '../support/random.js';
import { chain, commitAfter } from './commitChain.js';
import { mongoStore } from './stores.js';
import { fates, UnreliableClient } from './unreliableCalls.js';

async function needsServer(this: Mocha.Context): Promise<void> {
  if ((await mongoUrl()) === undefined) this.skip();
}

/** Back-offs are short, so that the many that are needed fit a test. */
const hasty: Clock = {
  ...systemClock,
  setTimer: (run, ms) => systemClock.setTimer(run, ms > 1000 ? ms : ms / 20),
};

const PARTITIONS = 6;
const APPENDS = 12;

/** Appends as a writer does, and returns what was acknowledged and what was lost to another writer. */
async function appendMany(log: EventLog, partition: number): Promise<{ own: Commit[]; lost: Commit[] }> {
  const [own, lost]: [Commit[], Commit[]] = [[], []];
  for (let head = emptyHead(partition); own.length + lost.length < APPENDS; ) {
    const next = commitAfter(head, ['1']);
    const outcome = await log.append(next.commit);
    head = outcome.kind === 'committed' ? next.head : checkCommit(head, outcome.to);
    (outcome.kind === 'committed' ? own : lost).push(next.commit);
  }
  return { own, lost };
}

describe('the event log on MongoDB', () => {
  before(needsServer);

  eventLogConformance('network', mongoStore);
});

describe('the event log on MongoDB, besides the common contract,', () => {
  let store: Awaited<ReturnType<typeof mongoStore>>;

  before(needsServer);

  beforeEach(async () => {
    store = await mongoStore();
  });

  afterEach(() => store.discard());

  it('has one index: the place of a commit', async () => {
    const log = await store.open();
    await log.append(commitAfter(emptyHead(0), ['1']).commit);
    expect(await store.indexes(COMMITS)).to.deep.equal([{ _id: 1 }]);
  });

  it('finds the holder of a position after a lost answer and a competing writer', async () => {
    const [one, two] = [await store.open(), await store.open()];
    const [mine, theirs] = [
      commitAfter(emptyHead(0), ['"mine"']).commit,
      commitAfter(emptyHead(0), ['"theirs"']).commit,
    ];
    store.proxy.loseAnswerTo('insert');
    const outcomes = await Promise.all([one.append(mine), two.append(theirs)]);
    const winner = await one.tail(0);
    expect(store.proxy.lost).to.equal(1);
    expect(outcomes).to.deep.equal(
      [mine, theirs].map((commit) =>
        commit.id === winner?.id ? { kind: 'committed' } : { kind: 'lost', to: winner },
      ),
    );
  });

  it('settles each commit by itself, whatever becomes of the calls of two writers', () =>
    withSeed(async (random) => {
      const url = await freshDatabase();
      const store = await openMongoLog({ url, partitions: PARTITIONS });
      const { id, history, partitions } = store;
      const clients = [1, 2].map(() => new UnreliableClient(new MongoClient(url), random));
      const logs = clients.map((client) => new MongoLog({ id, history, partitions }, client, hasty));
      const answers = await Promise.all(
        logs.flatMap((log) =>
          Array.from({ length: PARTITIONS }, (_, partition) => appendMany(log, partition)),
        ),
      );
      for (const log of logs) await log.close();
      const ids = new Set<string>();
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const commits = await store.read(partition, 0, 10_000);
        // Throws unless each follows the one before.
        commits.reduce(checkCommit, emptyHead(partition));
        for (const { id } of commits) ids.add(id);
      }
      await store.close();
      for (const { own, lost } of answers) {
        for (const { id } of own) expect(ids.has(id), `${id} was acknowledged`).to.equal(true);
        for (const { id } of lost) expect(ids.has(id), `${id} was lost`).to.equal(false);
      }
      expect(ids.size).to.equal(answers.flatMap(({ own }) => own).length);
      for (const fate of fates)
        expect(
          clients.some(({ counts }) => counts.has(fate)),
          fate,
        ).to.equal(true);
    }));

  it('retries until the server is back', async () => {
    const log = await store.open();
    const [first, second] = chain(2);
    if (!first || !second) throw new Error('two are needed');
    await log.append(first);
    await store.proxy.goDown();
    const appended = log.append(second);
    expect(await log.tail(0).catch((error: unknown) => error)).to.be.instanceOf(Error);
    await store.proxy.comeBack();
    expect(await appended).to.deep.equal({ kind: 'committed' });
    expect(await log.read(0, 0, 10)).to.deep.equal([first, second]);
  });

  it('abandons an unsettled append only when it is closed', async () => {
    const log = await store.open();
    await store.proxy.goDown();
    const appended = log.append(commitAfter(emptyHead(0), []).commit).catch((error: unknown) => error);
    await log.close();
    expect(await appended)
      .to.be.instanceOf(StorageError)
      .with.property('cause')
      .that.is.instanceOf(Error);
  });

  it('stops at a refusal, and retries temporary errors', () => {
    const answer = (code: number) => new MongoServerError({ message: 'no', code });
    for (const refusal of [
      answer(13),
      answer(121),
      answer(14031),
      new MongoInvalidArgumentError('no'),
      new TypeError(),
    ])
      expect(isPermanentFailure(refusal), String(refusal)).to.equal(true);
    const passing = [
      Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' }),
      answer(10107), // NotWritablePrimary
      answer(11600), // InterruptedAtShutdown
      answer(123_456), // An unknown code.
      new MongoNetworkError('reset'),
      new MongoWriteConcernError({ ok: 1, writeConcernError: { code: 64, errmsg: 'timed out' } }),
    ];
    for (const error of passing) expect(isPermanentFailure(error), String(error)).to.equal(false);
  });
});
