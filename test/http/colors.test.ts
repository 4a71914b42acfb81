import { expect } from 'chai';
import fc from 'fast-check';
import { chooseColor } from '../../src/host/hostUsers.js';

describe('the color of a user', () => {
  const luminance = (color: string): number => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
      const part = Number.parseInt(color.slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };

  it('is #rrggbb, and white text can be read on it', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random) => {
        expect(chooseColor(random)).to.match(/^#[0-9a-f]{6}$/);
        expect(1.05 / (luminance(chooseColor(random)) + 0.05)).to.be.at.least(4.5);
      }),
    );
  });
});
