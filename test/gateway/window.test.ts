import { expect } from 'chai';
import fc from 'fast-check';
import { SlidingWindow } from '../../src/base/rateLimits.js';

describe('a window of abuse', () => {
  it('is full exactly when the last `limit` hits lie within its span', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 50 }), { maxLength: 60 }), (gaps) => {
        const window = new SlidingWindow(5, 100);
        const times: number[] = [];
        let now = 0;
        for (const gap of gaps) {
          now += gap;
          times.push(now);
          const fifth = times.at(-5);
          expect(window.hit(now)).equal(fifth !== undefined && now - fifth <= 100);
        }
      }),
    );
  });
});
