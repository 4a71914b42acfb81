import { randomUUID } from 'node:crypto';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import fc from 'fast-check';
import { checkPartitionChain, LogEndsEarly, readRange, readRangeBackward } from '../../src/log/checkLog.js';
import { BrokenCommit } from '../../src/log/commit.js';
import { type Commit, HoleError } from '../../src/log/log.js';
import { openLogReader } from '../../src/log/logFileReader.js';
import { runs } from '../support/lanes.js';
import { rejection } from '../support/rejection.js';
import { chain } from './commitChain.js';
import { sqliteStore } from './stores.js';

const LENGTH = 300;

/** A log of one partition with these commits. */
const holding = (commits: readonly Commit[]) => ({
  read: (_: number, after: number, limit: number) => commits.slice(after, after + limit),
  tail: () => commits.at(-1),
});

describe('a check of a partition', () => {
  const commits = chain(LENGTH, 0, (n) =>
    Array.from({ length: n % 4 }, () => JSON.stringify({ id: randomUUID() })),
  );
  const last = commits[LENGTH - 1];

  it('of an intact log ends with the last commit', async () => {
    const { position, size, hash } = await checkPartitionChain(holding(commits), 0);
    expect({ position, size, hash }).to.deep.equal({ position: LENGTH, size: last?.size, hash: last?.hash });
  });

  it('of an empty partition succeeds', async () => {
    expect(await checkPartitionChain(holding([]), 0)).to.include({ position: 0, size: 0 });
  });

  it('detects any changed field of any commit', async () => {
    const other = chain(LENGTH, 0, (n) =>
      Array.from({ length: n % 4 }, () => JSON.stringify({ id: randomUUID() })),
    );
    const fields = [
      'id',
      'leaves',
      'root',
      'hash',
      'size',
      'firstOffset',
      'epoch',
      'recordedAt',
      'position',
    ] as const;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: LENGTH - 1 }),
        fc.constantFrom(...fields),
        async (at, field) => {
          const mine = commits[at];
          const another = {
            ...other[at],
            epoch: 2,
            recordedAt: '2026-01-02T00:00:00.000Z',
            size: 0,
            firstOffset: -1,
            position: LENGTH + 1,
          };
          fc.pre(field !== 'leaves' || (mine?.leaves.length ?? 0) > 0);
          const changed = commits.with(at, { ...mine, [field]: another[field] } as Commit); // Changes one field, to a value of the same type.
          expect(await rejection(checkPartitionChain(holding(changed), 0))).to.be.instanceOf(BrokenCommit);
        },
      ),
    );
  });

  it('detects a log that cannot be read to its end', async () => {
    const short = { ...holding(commits.slice(0, 10)), tail: () => last };
    expect(await rejection(checkPartitionChain(short, 0))).to.be.instanceOf(LogEndsEarly);
  });

  describe('on disk', () => {
    it('detects one flipped bit of an event, and a missing commit', async () => {
      const store = await sqliteStore();
      const log = await store.open(1);
      for (const commit of commits) await log.append(commit);
      await log.close();
      const check = async () => {
        const reader = openLogReader(store.file);
        try {
          return await checkPartitionChain(reader, 0);
        } finally {
          reader.close();
        }
      };
      expect((await check()).hash).to.equal(last?.hash);

      const db = new DatabaseSync(store.file);
      const written = commits.filter(({ leaves }) => leaves.length > 0);
      const flip = (position: number, at: number, bit: number) => {
        const row = db.prepare('SELECT leaves FROM commits_0 WHERE position = ?').get(position);
        const bytes = Buffer.from(row.leaves);
        const index = at % bytes.length;
        bytes.writeUInt8(bytes.readUInt8(index) ^ (1 << bit), index);
        db.prepare('UPDATE commits_0 SET leaves = ? WHERE position = ?').run(bytes, position);
      };
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...written),
          fc.nat(10_000),
          fc.nat(7),
          async ({ position }, at, bit) => {
            flip(position, at, bit);
            const error = await rejection(check());
            flip(position, at, bit);
            expect(error).to.be.instanceOf(BrokenCommit).and.include({ position });
          },
        ),
        { numRuns: runs(50) },
      );
      db.close();

      await store.remove(0, 150);
      expect(await rejection(check()))
        .to.be.instanceOf(HoleError)
        .and.include({ missing: 150 });
      await store.discard();
    });
  });
});

describe('a range of commits', () => {
  const commits = chain(LENGTH, 0, (n) =>
    Array.from({ length: n % 40 === 0 ? 90 : n % 4 }, () => JSON.stringify({ id: randomUUID() })),
  );
  const positionsOf = async (read: AsyncIterable<Commit>): Promise<number[]> => {
    const positions: number[] = [];
    for await (const { position } of read) positions.push(position);
    return positions;
  };

  it('is read to its end from either side, however short the reads of the log are', async () => {
    const place = fc.nat(LENGTH);
    await fc.assert(
      fc.asyncProperty(place, place, fc.integer({ min: 1, max: 30 }), async (a, b, longest) => {
        const log = {
          read: (_: number, after: number, limit: number) =>
            commits.slice(after, after + Math.min(limit, longest)),
        };
        const range = { partition: 0, after: Math.min(a, b), upTo: Math.max(a, b) };
        const all = Array.from({ length: range.upTo - range.after }, (_, i) => range.after + i + 1);
        expect(await positionsOf(readRange(log, range))).to.deep.equal(all);
        expect(await positionsOf(readRangeBackward(log, range))).to.deep.equal(all.toReversed());
      }),
      { numRuns: runs(100) },
    );
  });
});
