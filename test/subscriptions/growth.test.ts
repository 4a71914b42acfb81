import { expect } from 'chai';
import fc from 'fast-check';
import { Growth } from '../../src/subscriptions/subscriptionSenders.js';
import { runs } from '../support/lanes.js';

describe('the growth of a partition', () => {
  it('tells since when there is something beyond a place, also to who keeps up all the time', () => {
    const growth = new Growth();
    growth.note(10, 1000);
    expect(growth.beyond(10)).to.equal(undefined);
    expect(growth.beyond(9)).to.equal(1000);
    growth.note(10, 2000);
    growth.note(12, 3000);
    growth.note(15, 4000);
    expect([9, 10, 11, 12, 14, 15].map((size) => growth.beyond(size))).to.deep.equal([
      ...[1000, 3000, 3000, 4000, 4000],
      undefined,
    ]);
  });

  it('is late by an eighth of the time at most, however long it grows', () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30_000 }), fc.nat(), (seconds, place) => {
        const growth = new Growth();
        for (let n = 1; n <= seconds; n++) growth.note(n, n);
        const since = (place % seconds) + 1;
        const late = (growth.beyond(since - 1) ?? Number.NaN) - since;
        expect(late).to.be.within(0, (seconds - since) / 8);
      }),
      { numRuns: runs(100) },
    ));
});
