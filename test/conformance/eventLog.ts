import { expect } from 'chai';
import { checkCommit, emptyHead } from '../../src/log/commit.js';
import { AppendError, type Commit, type EventLog, HoleError } from '../../src/log/log.js';
import { chain, commitAfter } from '../log/commitChain.js';
import { followsItsModel } from './eventLogModel.js';

/** A place for one log, empty at first. Logs opened there are closed at the end. */
export interface LogStore {
  /** Opens the log, or creates it. Several may be open at once. */
  open(partitions?: number): Promise<EventLog>;
  /** Removes a commit behind the log's back. */
  remove(partition: number, position: number): Promise<void>;
  /** Delivers the next commit to the store, but loses the answer. */
  loseNextAnswer?(): void;
  /** Closes all open logs and removes the store. */
  discard(): Promise<void>;
}

/** One promise of the contract. `run` rejects if a log breaks it. */
export interface Check {
  readonly name: string;
  /** Only for stores behind a network, where answers can be lost. */
  readonly network?: true;
  run(store: LogStore): Promise<void>;
}

const committed = { kind: 'committed' } as const;

async function appendAll(log: EventLog, commits: readonly Commit[]): Promise<void> {
  for (const commit of commits) expect(await log.append(commit)).to.deep.equal(committed);
}

/** Texts that JSON, a database or a driver could change. */
const delicate = [
  '{"b":1,"a":2.0,"c":1e3,"d": "spaced" }',
  '{"nfc":"\u00e9","nfd":"e\u0301","hangul":"\u1112\u1161\u11ab"}',
  '{"astral":"😀","escaped":"\\ud83d\\ude00","slash":"\\/","quote":"\\u0022"}',
  '{"separators":"\u2028\u2029","bom":"\ufeff","nul":"\\u0000","noncharacter":"\uffff"}',
  '{"same":1,"same":2}',
  ' {"leading":true}\t',
  `{"$set":{"a.b":"$c"},"long":"${'x'.repeat(60_000)}"}`,
];

/** The promises of every event log. */
export const checks: readonly Check[] = [
  {
    name: 'keeps its id and its partitions for ever',
    async run(store) {
      const made = await store.open();
      await made.close();
      const again = await store.open(made.partitions);
      expect([again.id, again.partitions]).to.deep.equal([made.id, made.partitions]);
      expect(made.id).to.match(/^[0-9a-f-]{36}$/);
    },
  },
  {
    name: 'is made once, however many open it at the same time',
    async run(store) {
      const logs = await Promise.all([store.open(), store.open(), store.open()]);
      expect(new Set(logs.map((log) => log.id)).size).to.equal(1);
    },
  },
  {
    name: 'refuses to open with another number of partitions, naming both',
    async run(store) {
      await store.open(2);
      const error = await rejection(store.open(3));
      expect(error.name).to.equal('LogMismatch');
      expect(error.message).to.match(/\b2\b.*\b3\b/);
    },
  },
  {
    name: 'is empty at first',
    async run(store) {
      const log = await store.open();
      expect(await log.tail(0)).to.equal(undefined);
      expect(await log.read(0, 0, 10)).to.deep.equal([]);
    },
  },
  {
    name: 'gives back the very commits that were appended, fencing ones and frontiers too',
    async run(store) {
      const log = await store.open(2);
      const commits = chain(66, 1, (n) => (n % 5 === 1 ? [] : [`{"n":${n}}`, `{"m":${n}}`]));
      await appendAll(log, commits);
      expect(await readAll(log, 1)).to.deep.equal(commits);
      expect(await log.tail(1)).to.deep.equal(commits.at(-1));
    },
  },
  {
    name: 'tells where commits lie, of those that there are',
    async run(store) {
      const log = await store.open(2);
      const commits = chain(40, 1, (n) => Array.from({ length: n % 4 }, (_, i) => `{"n":${n},"i":${i}}`));
      await appendAll(log, commits);
      const asked = [39, 1, 7, 8, 40, 41, 1000];
      const there = commits.filter(({ position }) => asked.includes(position));
      const placeOf = ({ position, recordedAt, firstOffset, size }: Commit) => ({
        ...{ position, recordedAt, firstOffset, size },
      });
      expect((await log.places(1, asked)).map((place) => ({ ...place }))).to.deep.equal(there.map(placeOf));
      expect(await log.places(0, asked)).to.deep.equal([]);
      expect(await log.places(1, [])).to.deep.equal([]);
    },
  },
  {
    name: 'keeps the bytes of every leaf',
    async run(store) {
      const log = await store.open();
      const commits = chain(delicate.length, 0, (n) => delicate.slice(0, n));
      await appendAll(log, commits);
      const there = await readAll(log, 0);
      expect(there.map(bytesOf)).to.deep.equal(commits.map(bytesOf));
      expect(bytesOf(await log.tail(0))).to.deep.equal(bytesOf(commits.at(-1)));
    },
  },
  {
    name: 'holds commits as large as they may be, and reads on past them',
    async run(store) {
      const log = await store.open();
      const commits = chain(20, 0, () => Array.from({ length: 256 }, (_, i) => `${i}`.padEnd(1024, 'x')));
      await appendAll(log, commits);
      const first = await log.read(0, 0, 20);
      expect(first).to.deep.equal(commits.slice(0, first.length)).and.not.to.be.empty;
      expect(await readAll(log, 0)).to.deep.equal(commits);
    },
  },
  {
    name: 'still has after being opened again whatever it acknowledged',
    async run(store) {
      const commits = chain(3);
      for (const [i, commit] of commits.entries()) {
        const log = await store.open();
        expect(await log.append(commit)).to.deep.equal(committed);
        await log.close();
        expect(await readAll(await store.open(), 0)).to.deep.equal(commits.slice(0, i + 1));
      }
    },
  },
  {
    name: 'acknowledges a commit that is appended again, and stores it once',
    async run(store) {
      const log = await store.open();
      const commits = chain(3);
      await appendAll(log, commits);
      await appendAll(log, commits);
      await appendAll(await store.open(), commits);
      expect(await readAll(log, 0)).to.deep.equal(commits);
    },
  },
  {
    name: 'answers lost, with the commit that is there, to another one at a taken position',
    async run(store) {
      const log = await store.open();
      const mine = chain(3);
      await appendAll(log, mine);
      for (const [i, other] of chain(3).entries())
        expect(await log.append(other)).to.deep.equal({ kind: 'lost', to: mine[i] });
      expect(await readAll(log, 0)).to.deep.equal(mine);
    },
  },
  {
    name: 'answers lost to who has not seen another writer append',
    async run(store) {
      const [one, two] = [await store.open(), await store.open()];
      const [first, second] = twoOf(chain(2));
      await appendAll(one, [first]);
      await two.tail(0);
      await appendAll(one, [second]);
      const late = commitAfter(checkCommit(emptyHead(0), first), ['"late"']).commit;
      expect(await two.append(late)).to.deep.equal({ kind: 'lost', to: second });
    },
  },
  {
    name: 'lets one of many that race for a position have it',
    async run(store) {
      const logs = [await store.open(), await store.open(), await store.open()];
      let head = emptyHead(0);
      for (let position = 1; position <= 5; position++) {
        const tries = logs.map((log, i) => ({ log, ...commitAfter(head, [`"${i}"`]) }));
        const outcomes = await Promise.all(tries.map(({ log, commit }) => log.append(commit)));
        const winners = tries.filter((_, i) => outcomes[i]?.kind === 'committed');
        expect(winners).to.have.length(1);
        for (const outcome of outcomes)
          if (outcome.kind === 'lost') expect(outcome.to).to.deep.equal(winners[0]?.commit);
        head = winners[0]?.head ?? head;
      }
    },
  },
  {
    name: 'refuses a position that does not follow its tail, and stores nothing there',
    async run(store) {
      const log = await store.open();
      const commits = chain(4);
      const refuse = async (n: number) => {
        const error = await rejection(log.append(commitAt(commits, n)));
        expect(error).to.be.instanceOf(AppendError);
      };
      await refuse(2);
      await log.read(0, 2, 10);
      await refuse(3);
      await appendAll(log, commits.slice(0, 2));
      await refuse(4);
      expect(await rejection(log.append({ ...commitAt(commits, 1), position: 0 }))).to.be.instanceOf(
        AppendError,
      );
      expect(await readAll(log, 0)).to.deep.equal(commits.slice(0, 2));
    },
  },
  {
    name: 'refuses one commit id for two different commits',
    async run(store) {
      const log = await store.open();
      const [mine, other] = twoOf([
        commitAt(chain(1), 1),
        commitAt(
          chain(1, 0, () => ['"other"']),
          1,
        ),
      ]);
      await appendAll(log, [mine]);
      expect(await rejection(log.append({ ...other, id: mine.id }))).to.be.instanceOf(AppendError);
      expect(await readAll(log, 0)).to.deep.equal([mine]);
    },
  },
  {
    name: 'shows a commit to every reader once it is acknowledged',
    async run(store) {
      const [writer, reader] = [await store.open(), await store.open()];
      for (const commit of chain(10)) {
        await appendAll(writer, [commit]);
        for (const log of [reader, writer]) {
          expect((await log.tail(0))?.position).to.equal(commit.position);
          expect(await log.read(0, commit.position - 1, 10)).to.deep.equal([commit]);
        }
      }
    },
  },
  {
    name: 'reads from any position, as many as asked for at most',
    async run(store) {
      const log = await store.open();
      const commits = chain(7);
      await appendAll(log, commits);
      for (const [after, limit] of [
        [0, 3],
        [3, 3],
        [6, 3],
        [7, 3],
        [9, 3],
        [2, 1],
        [0, 0],
      ] as const)
        expect(await log.read(0, after, limit), `${limit} after ${after}`).to.deep.equal(
          commits.slice(after, after + limit),
        );
    },
  },
  {
    name: 'throws HoleError at a hole, never skips it',
    async run(store) {
      const log = await store.open();
      await appendAll(log, chain(5));
      await store.remove(0, 3);
      for (const after of [0, 1, 2]) {
        const error = await rejection(log.read(0, after, 10));
        expect(error).to.be.instanceOf(HoleError).and.include({ partition: 0, missing: 3 });
      }
      expect((await log.read(0, 3, 10)).map((commit) => commit.position)).to.deep.equal([4, 5]);
    },
  },
  {
    name: 'reads behind several places at once, as many of each partition as asked for',
    async run(store) {
      const log = await store.open(3);
      const [zero, two] = [chain(7, 0), chain(5, 2)];
      await Promise.all([appendAll(log, zero), appendAll(log, two)]);
      const all = [
        { partition: 2, after: 1 },
        { partition: 1, after: 0 },
        { partition: 0, after: 3 },
      ];
      for (const limit of [1, 3, 4, 100])
        expect(await log.readNext(all, limit), `at most ${limit} each`).to.deep.equal([
          ...zero.slice(3, 3 + limit),
          ...two.slice(1, 1 + limit),
        ]);
      expect(await log.readNext([{ partition: 2, after: 4 }], 9)).to.deep.equal(two.slice(4));
      expect(await log.readNext([{ partition: 0, after: 7 }], 9)).to.deep.equal([]);
      expect(await log.readNext([], 9)).to.deep.equal([]);
      expect(await log.readNext(all, 0)).to.deep.equal([]);
    },
  },
  {
    name: 'reads on behind several places, however large the commits are',
    async run(store) {
      const log = await store.open(2);
      const large = (partition: number) =>
        chain(12, partition, () => Array.from({ length: 256 }, (_, i) => `${i}`.padEnd(1024, 'x')));
      const all = [large(0), large(1)];
      for (const commits of all) await appendAll(log, commits);
      const found: Commit[][] = [[], []];
      for (let page: Commit[] = [], left = 24; left > 0; left -= page.length) {
        const places = found.map((commits, partition) => ({ partition, after: commits.length }));
        page = await log.readNext(places, 100);
        expect(page, 'a read makes progress').not.to.be.empty;
        for (const commit of page) found[commit.partition]?.push(commit);
      }
      expect(found).to.deep.equal(all);
    },
  },
  {
    name: 'throws HoleError when one of several partitions has a hole',
    async run(store) {
      const log = await store.open(2);
      await Promise.all([appendAll(log, chain(5, 0)), appendAll(log, chain(5, 1))]);
      await store.remove(1, 3);
      const read = (after: number) =>
        log.readNext(
          [
            { partition: 0, after: 0 },
            { partition: 1, after },
          ],
          10,
        );
      expect(await rejection(read(0)))
        .to.be.instanceOf(HoleError)
        .and.include({ partition: 1, missing: 3 });
      expect(await read(3)).to.have.length(7);
    },
  },
  {
    name: 'keeps partitions apart',
    async run(store) {
      const log = await store.open(2);
      const [zero, one] = [chain(3, 0), chain(2, 1)];
      await Promise.all([appendAll(log, zero), appendAll(log, one)]);
      expect(await readAll(log, 0)).to.deep.equal(zero);
      expect(await readAll(log, 1)).to.deep.equal(one);
      for (const partition of [2, -1, 0.5]) {
        await rejection(log.tail(partition));
        await rejection(log.append(commitAt(chain(1, partition), 1)));
      }
    },
  },
  {
    name: 'waits for what is in flight when it closes, and does nothing after',
    async run(store) {
      const log = await store.open();
      const [first, second] = twoOf(chain(2));
      const appended = log.append(first);
      await log.close();
      expect(await appended).to.deep.equal(committed);
      await rejection(log.append(second));
      await log.close();
      expect(await readAll(await store.open(), 0)).to.deep.equal([first]);
    },
  },
  {
    name: 'does not take an unknown outcome for a failure',
    network: true,
    async run(store) {
      const log = await store.open();
      const commits = chain(3);
      for (const commit of commits) {
        store.loseNextAnswer?.();
        expect(await log.append(commit)).to.deep.equal(committed);
      }
      expect(await readAll(log, 0)).to.deep.equal(commits);
    },
  },
  { name: 'does what its model does, whatever comes', run: followsItsModel },
];

/** Registers the whole suite for one adapter, inside a `describe`. Each check gets a new store. */
export function eventLogConformance(where: 'network' | 'file', makeStore: () => Promise<LogStore>): void {
  for (const check of checks.filter(({ network }) => where === 'network' || !network))
    it(check.name, async () => {
      const store = await makeStore();
      try {
        await check.run(store);
      } finally {
        await store.discard();
      }
    });
}

async function readAll(log: EventLog, partition: number): Promise<Commit[]> {
  const commits: Commit[] = [];
  for (;;) {
    const page = await log.read(partition, commits.length, 1000);
    if (page.length === 0) return commits;
    commits.push(...page);
  }
}

/** Returns the error of a promise. Rejects if the promise resolves. */
async function rejection(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome, 'should have been refused').to.be.instanceOf(Error);
  return outcome as Error; // Checked in the line above.
}

const bytesOf = (commit: Commit | undefined): string[] | undefined =>
  commit?.leaves.map((leaf) => Buffer.from(leaf).toString('base64'));

function commitAt(commits: readonly Commit[], position: number): Commit {
  const commit = commits[position - 1];
  if (!commit) throw new RangeError(`no commit at ${position}`);
  return commit;
}

function twoOf<T>([first, second]: readonly T[]): readonly [T, T] {
  if (first === undefined || second === undefined) throw new RangeError('two are needed');
  return [first, second];
}
