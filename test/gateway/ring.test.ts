import { expect } from 'chai';
import fc from 'fast-check';
import { Ring, type RingEntry } from '../../src/gateway/ring.js';

const users = ['ann', 'bob', 'cem'];
const entries = fc
  .array(
    fc.record({
      partition: fc.nat({ max: 1 }),
      to: fc.subarray(users, { minLength: 1 }),
      bytes: fc.integer({ min: 10, max: 400 }),
      mark: fc.option(fc.constantFrom('m1', 'm2'), { nil: undefined }),
    }),
    { maxLength: 60 },
  )
  .map((list) => {
    const sizes = [0, 0];
    return list.map(({ partition, to, bytes, mark }): RingEntry => {
      const offset = sizes[partition] ?? 0;
      sizes[partition] = offset + 1;
      return { partition, offset, to, frame: Buffer.alloc(bytes), ...(mark === undefined ? {} : { mark }) };
    });
  });

describe('the ring of recent pushes', () => {
  it('gives a user all that a cursor has missed, in order, or says that it cannot', () => {
    fc.assert(
      fc.property(
        entries,
        fc.constantFrom(...users),
        fc.tuple(fc.nat({ max: 30 }), fc.nat({ max: 30 })),
        (all, user, at) => {
          const ring = new Ring(4000, [0, 0]);
          for (const entry of all) ring.add(entry);
          const missed = all.filter(
            ({ to, offset, partition }) => to.includes(user) && offset >= (at[partition] ?? 0),
          );
          const newest = missed.filter(
            (entry, i) =>
              entry.mark === undefined || !missed.slice(i + 1).some(({ mark }) => mark === entry.mark),
          );
          const given = ring.since(user, at);
          if (given) expect(given).deep.equal(newest);
          else expect(all.reduce((sum, { frame }) => sum + frame.length + 160, 0)).above(4000);
        },
      ),
    );
  });

  it('knows nothing of what was before it', () => {
    const ring = new Ring(4000, [5, 7]);
    expect(ring.since('ann', [5, 6])).equal(undefined);
    expect(ring.since('ann', [5, 7])).deep.equal([]);
  });

  it('keeps within its bytes', () => {
    const ring = new Ring(1000, [0]);
    for (let offset = 0; offset < 100; offset++)
      ring.add({ partition: 0, offset, to: ['ann'], frame: Buffer.alloc(40) });
    expect(ring.since('ann', [94])).equal(undefined);
    expect(ring.since('ann', [95])?.map(({ offset }) => offset)).deep.equal([95, 96, 97, 98, 99]);
  });
});
