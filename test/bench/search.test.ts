import { expect } from 'chai';
import fc from 'fast-check';
import { RateSearch } from '../../bench/search.js';

describe('the search for the highest rate', () => {
  it('ends within its precision below any limit, in few tries', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 100_000 }), (limit) => {
        const search = new RateSearch(1000, 1.06);
        let tries = 0;
        for (let rate = search.next(); rate !== undefined; rate = search.next()) {
          search.report(rate, rate <= limit);
          tries++;
        }
        expect(search.best).to.be.at.most(limit);
        expect(search.best * 1.06).to.be.at.least(Math.min(limit, 100_000) - 1);
        expect(tries).to.be.at.most(17);
      }),
    );
  });

  it('gives up when not even a sixteenth of the first rate passes', () => {
    const search = new RateSearch(1000, 1.06);
    for (let rate = search.next(); rate !== undefined; rate = search.next()) search.report(rate, false);
    expect(search.best).to.equal(0);
  });

  it('takes a failure below a success for bad luck', () => {
    const search = new RateSearch(1000, 2);
    for (const rate of [1000, 2000, 4000, 8000]) {
      expect(search.next()).to.equal(rate);
      search.report(rate, rate === 2000);
    }
    expect(search.best).to.equal(2000);
    expect(search.next()).to.equal(undefined);
  });
});
