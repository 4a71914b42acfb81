import { expect } from 'chai';
import fc from 'fast-check';
import { findLastTrue } from '../../src/log/checkLog.js';

describe('the search for the last place of which something is true', () => {
  const ranges = fc.record({ low: fc.integer({ min: -1, max: 50 }), span: fc.nat(3000) });

  it('finds it wherever it is, in few rounds of so many looks at most', async () => {
    await fc.assert(
      fc.asyncProperty(
        ranges,
        fc.nat(),
        fc.integer({ min: 1, max: 20 }),
        async ({ low, span }, at, width) => {
          const high = low + span;
          const last = low + (at % (span + 1));
          let rounds = 0;
          const found = await findLastTrue({ low, high, width }, async (places) => {
            rounds++;
            expect(places).to.have.length.within(1, width);
            expect(places).to.deep.equal([...new Set(places)].sort((a, b) => a - b));
            for (const place of places) expect(place).to.be.within(low + 1, high);
            return places.map((place) => place <= last);
          });
          expect(found).to.equal(last);
          expect(rounds).to.be.at.most(Math.ceil(Math.log(span + 1) / Math.log(width + 1)) + 1);
        },
      ),
    );
  });
});
