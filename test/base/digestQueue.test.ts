import { expect } from 'chai';
import { DigestQueue, type Numbered } from '../../src/base/collections.js';
import { upTo, withSeed } from '../support/random.js';

interface Item extends Numbered {
  readonly low: number;
  readonly high: number;
}

describe('a queue of digests', () => {
  it('finds what was pushed and not yet shifted, however it grows and shrinks', () => {
    return withSeed(async (random) => {
      const queue = new DigestQueue();
      const items: Item[] = [];
      // Few different halves, so that many items share a bucket, a half or the whole digest.
      const digest = () => ({ low: upTo(200, random) - 100, high: upTo(8, random) - 4 });
      for (let step = 0, offset = 0; step < 60; step++) {
        const isGrowing = upTo(2, random) === 0;
        for (let i = 0, count = upTo(800, random); i < count; i++)
          if (isGrowing) {
            const item = { ...digest(), offset: offset++, seq: upTo(1000, random) };
            items.push(item);
            queue.push(item, item.offset, item.seq);
          } else {
            items.shift();
            queue.shift();
          }
        expect(queue.length).to.equal(items.length);
        expect(queue.firstOffset).to.equal(items[0]?.offset ?? Number.POSITIVE_INFINITY);
        for (let i = 0; i < 100; i++) {
          const asked = digest();
          const same = items.filter(({ low, high }) => low === asked.low && high === asked.high);
          const expected = same.map(({ offset, seq }) => ({ offset, seq })).reverse();
          expect(queue.find(asked)).to.deep.equal(expected);
        }
      }
    });
  });
});
