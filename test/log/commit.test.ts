import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  BrokenCommit,
  buildCommit,
  CommitTooLarge,
  checkCommit,
  emptyHead,
  headFrom,
  loadHead,
  nextRecordedAt,
} from '../../src/log/commit.js';
import type { Commit } from '../../src/log/log.js';
import { runs } from '../support/lanes.js';
import { chain, commitAfter } from './commitChain.js';

const proposal = { id: 'c', epoch: 1, recordedAt: '2026-01-01T00:00:00.000Z' };
const build = (leaves: string[]) => buildCommit({ ...proposal, head: emptyHead(0), leaves });

describe('a commit', () => {
  it('follows its head in position, offset and time', () => {
    const first = build(['a', 'b']);
    const second = buildCommit({
      ...proposal,
      head: first.head,
      recordedAt: '2025-12-31T00:00:00.000Z',
      leaves: ['c'],
    });
    expect(first.commit).to.include({ position: 1, firstOffset: 0, size: 2 });
    expect(second.commit).to.include({ position: 2, firstOffset: 2, size: 3 });
    expect(second.commit.recordedAt).to.equal(first.commit.recordedAt);
    expect(nextRecordedAt(first.head, Date.parse('2025-12-31T00:00:00.000Z'))).to.equal(
      first.commit.recordedAt,
    );
    expect(nextRecordedAt(first.head, Date.parse('2026-01-01T00:00:00.001Z'))).to.equal(
      '2026-01-01T00:00:00.001Z',
    );
  });

  it('has the hash of its documented encoding', () => {
    const previous = createHash('sha256').digest('base64');
    const { commit } = build(['{"a":"é"}', '{"b":1}']);
    const text =
      `["parley/commit/1",0,1,"c",1,"2026-01-01T00:00:00.000Z",0,2,"${commit.root}",null,"${previous}"]` +
      '\n{"a":"é"}\n{"b":1}';
    expect(commit.hash).to.equal(createHash('sha256').update(text).digest('base64'));
  });

  it('always has this hash', () => {
    const { commit, head } = build(['{"a":"é"}', '{"b":1}']);
    const fence = buildCommit({ ...proposal, id: 'f', head, epoch: 2, leaves: [] }).commit;
    expect([commit.root, commit.hash, fence.hash]).to.deep.equal([
      'N1JQ+ZN7cL1uWCIkLhd+CBUmQBLCQ5dXluQag5a/gyQ=',
      '8/ugqNWNvKzeFsMPhLmPtNXDBzpt3LRWPQzP9lSQClQ=',
      'S6/cGRee47W/vW7NqsXngaFJtkkBduJ5YxrMbYVit98=',
    ]);
  });

  it('stores the frontier without events, and at every 64th position', () => {
    expect(build([]).commit.frontier).to.deep.equal([]);
    const carrying = chain(130).filter((commit) => commit.frontier !== undefined);
    expect(carrying.map((commit) => commit.position)).to.deep.equal([64, 128]);
  });

  it('holds at most 256 events, 256 KiB, and 65,535 bytes per event', () => {
    const events = (n: number, length: number) => Array.from({ length: n }, () => 'é'.repeat(length / 2));
    expect(build(events(256, 1024)).commit.size).to.equal(256);
    expect(build(['x'.repeat(65_535)]).commit.size).to.equal(1);
    expect(() => build(events(257, 2)))
      .to.throw(CommitTooLarge)
      .with.property('what', 'events');
    expect(() => build([...events(255, 1024), 'x'.repeat(1025)]))
      .to.throw(CommitTooLarge)
      .with.property('what', 'bytes');
    expect(() => build(['é'.repeat(32_768)]))
      .to.throw(CommitTooLarge)
      .with.property('what', 'leafBytes');
  });

  it('accepts only leaves of one line of text', () => {
    for (const leaf of ['', 'a\nb', '\ud800', 'x\udc00y'])
      expect(() => build([leaf]), JSON.stringify(leaf))
        .to.throw(BrokenCommit)
        .with.property('field', 'leaves');
    expect(build(['😀\u0000\r\u2028']).commit.size).to.equal(1);
  });

  it('is refused with a smaller epoch than the last', () => {
    const { head } = commitAfter(emptyHead(0), ['a'], 7);
    expect(() => commitAfter(head, ['b'], 6))
      .to.throw(BrokenCommit)
      .with.property('field', 'epoch');
  });
});

describe('checking a commit', () => {
  const [first, second, fence] = (() => {
    const a = build(['a', 'b']);
    const b = buildCommit({ ...proposal, head: a.head, id: 'd', leaves: ['c'] });
    return [a, b, buildCommit({ ...proposal, head: b.head, id: 'e', leaves: [] })] as const;
  })();

  it('returns the writer’s head', () => {
    expect(checkCommit(emptyHead(0), first.commit)).to.deep.equal(first.head);
    expect(checkCommit(first.head, second.commit)).to.deep.equal(second.head);
  });

  const other = 'A'.repeat(43).concat('=');
  const changes: [keyof Commit, Partial<Commit>][] = [
    ['partition', { partition: 1 }],
    ['position', { position: 3 }],
    ['epoch', { epoch: 0 }],
    ['recordedAt', { recordedAt: '2025-01-01T00:00:00.000Z' }],
    ['firstOffset', { firstOffset: 1 }],
    ['size', { size: 4 }],
    ['root', { leaves: ['C'] }],
    ['root', { root: other }],
    ['frontier', { frontier: [other] }],
    ['hash', { id: 'x' }],
    ['hash', { epoch: 2 }],
    ['hash', { recordedAt: '2026-01-01T00:00:00.001Z' }],
    ['hash', { hash: other }],
    ['hash', { frontier: second.head.frontier }],
  ];
  for (const [field, change] of changes)
    it(`finds ${field} wrong after ${JSON.stringify(change)}`, () => {
      expect(() => checkCommit(first.head, { ...second.commit, ...change }))
        .to.throw(BrokenCommit)
        .with.property('field', field);
    });

  it('detects a missing or wrong frontier', () => {
    const { frontier, ...bare } = fence.commit;
    expect(() => checkCommit(second.head, bare))
      .to.throw(BrokenCommit)
      .with.property('field', 'hash');
    expect(() => checkCommit(second.head, { ...fence.commit, frontier: [] })).to.throw(
      BrokenCommit,
      'frontier',
    );
  });

  it('detects a commit that follows another one', () => {
    const twin = buildCommit({ ...proposal, head: emptyHead(0), id: 'twin', leaves: ['a', 'b'] });
    expect(() => checkCommit(twin.head, second.commit))
      .to.throw(BrokenCommit)
      .with.property('field', 'hash');
  });
});

describe('the head at a tail', () => {
  const lengths = [0, 1, 2, 63, 64, 65, 127, 128, 129, 150];
  const commits = chain(150, 3, (n) => (n % 40 === 7 ? [] : [`leaf ${n}`, `more ${n}`]));
  const headAt = (length: number) => commits.slice(0, length).reduce(checkCommit, emptyHead(3));

  for (const length of lengths)
    it(`is found from 64 commits at most (${length} are there)`, () => {
      expect(headFrom(3, commits.slice(Math.max(0, length - 64), length))).to.deep.equal(headAt(length));
    });

  it('is loaded from the log in pages', async () => {
    const read = async (_: number, after: number, limit: number) =>
      commits.slice(after, after + Math.min(limit, 5));
    const log = { read, tail: async () => commits.at(-1) };
    expect(await loadHead(log, 3)).to.deep.equal(headAt(150));
    expect(await loadHead({ read, tail: async () => undefined }, 3)).to.deep.equal(emptyHead(3));
  });

  it('cannot be computed from too few commits', () => {
    expect(() => headFrom(0, chain(60).slice(1)))
      .to.throw(BrokenCommit)
      .with.property('field', 'position');
  });

  it('rejects a frontier that does not hash to the root', () => {
    const fence = { ...commitAfter(emptyHead(0), []).commit, frontier: ['x'] };
    expect(() => headFrom(0, [fence]))
      .to.throw(BrokenCommit)
      .with.property('field', 'frontier');
  });

  it('is the same after any number of reloads', () => {
    const leaf = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 8 })
      .map((text) => JSON.stringify(text));
    fc.assert(
      fc.property(fc.array(fc.array(leaf, { maxLength: 5 }), { maxLength: 70 }), (batches) => {
        let head = emptyHead(0);
        const built = batches.map((leaves) => {
          const next = commitAfter(head, leaves);
          head = next.head;
          return next.commit;
        });
        expect(headFrom(0, built.slice(-64))).to.deep.equal(head);
        expect(built.reduce(checkCommit, emptyHead(0))).to.deep.equal(head);
      }),
      { numRuns: runs(30) },
    );
  });
});
