import { expect } from 'chai';
import fc from 'fast-check';
import { backoffDelay } from '../../packages/client/src/options.js';

const timing = { baseMs: 500, capMs: 30_000 };

describe('back-off', () => {
  it('doubles the upper bound of a wait, up to the cap', () => {
    const most = [0, 1, 2, 3, 10].map((failures) => backoffDelay(failures, 1, timing));
    expect(most).to.deep.equal([500, 1000, 2000, 4000, 30_000]);
  });

  it('spreads waits evenly up to the bound, whatever the number of failures', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.nat(2000), random, (failures, r) => {
        const delay = backoffDelay(failures, r, timing);
        expect(delay).to.be.at.least(0);
        expect(delay).to.be.at.most(30_000);
        expect(delay).to.equal(r * backoffDelay(failures, 1, timing));
      }),
    );
  });
});
