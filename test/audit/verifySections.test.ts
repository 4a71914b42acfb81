import { expect } from 'chai';
import fc from 'fast-check';
import { sectionsOf } from '../../src/audit/verify/verifySection.js';
import { emptyHead, FRONTIER_EVERY_COMMITS } from '../../src/log/commit.js';

describe('the sections of a partition', () => {
  it('follow each other to its end, each but the first behind a commit with the frontier', () => {
    const places = fc.record({
      position: fc.nat(1000),
      more: fc.nat(5000),
      eventsPerCommit: fc.double({ min: 0, max: 256, noNaN: true }),
      events: fc.integer({ min: 1, max: 10_000 }),
    });
    fc.assert(
      fc.property(places, ({ position, more, eventsPerCommit, events }) => {
        const end = { position: position + more, size: Math.round((position + more) * eventsPerCommit) };
        const sections = sectionsOf({ ...emptyHead(3), position }, end, events);
        let reached = position;
        for (const { partition, after, upTo } of sections) {
          expect([partition, after]).to.deep.equal([3, reached]);
          if (after !== position) expect(after % FRONTIER_EVERY_COMMITS).to.equal(0);
          reached = upTo;
        }
        expect(reached).to.equal(end.position);
        expect(sections.length).to.be.at.least(1);
        if (sections.length > 1) expect(sections.every(({ after, upTo }) => upTo > after)).to.equal(true);
      }),
    );
  });
});
