import { expect } from 'chai';
import fc from 'fast-check';
import { type PageRequest, pageAround } from '../../src/projections/models/messageRows.js';

/** The history of a room whose last message has this `seq`, as pages of it are read. */
const historyOf =
  (newest: number) =>
  async ({ before = Number.POSITIVE_INFINITY, after, limit }: PageRequest) => {
    const all = Array.from({ length: newest }, (_, i) => i + 1);
    const found = all.filter((seq) => seq > (after ?? 0) && seq < before);
    const messages = after === undefined ? found.slice(-limit) : found.slice(0, limit);
    return { messages, hasMore: found.length > limit };
  };

describe('a page around a message', () => {
  it('holds the message, half of the page from it on and the rest before it, and says whether more is before', async () => {
    const plan = fc.record({
      newest: fc.integer({ min: 1, max: 60 }),
      at: fc.integer({ min: 1, max: 60 }),
      limit: fc.integer({ min: 1, max: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ newest, at, limit }) => {
        const around = Math.min(at, newest);
        const { messages, hasMore } = await pageAround({ around, limit }, historyOf(newest));
        const [first = 0] = messages;
        expect(messages).to.include(around).and.to.have.length.within(1, limit);
        expect(messages).to.deep.equal(Array.from(messages, (_, i) => first + i));
        expect(hasMore).to.equal(first > 1);
        const half = Math.ceil(limit / 2);
        expect(messages.at(-1)).to.equal(Math.min(newest, around + half - 1));
        expect(first).to.equal(Math.max(1, around - (limit - half)));
      }),
    );
  });
});
