import { expect } from 'chai';
import fc from 'fast-check';
import { positionOfSize } from '../../src/log/find.js';
import type { Commit } from '../../src/log/log.js';

describe('the position of a size', () => {
  it('is that of the last commit that ends at or before it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 3 }), { maxLength: 40 }),
        fc.nat({ max: 130 }),
        async (counts, size) => {
          let total = 0;
          const sizes = counts.map((count) => (total += count));
          // Only what the search looks at.
          const commits = sizes.map((end, i) => ({ partition: 0, position: i + 1, size: end })) as Commit[];
          const log = {
            tail: async () => commits.at(-1),
            read: async (_: number, after: number, limit: number) => commits.slice(after, after + limit),
          };
          expect(await positionOfSize(log, 0, size)).equal(sizes.filter((end) => end <= size).length);
        },
      ),
    );
  });
});
