import { expect } from 'chai';
import { defects } from './defects.js';
import { withDefect } from './injectDefect.js';

/** Seeds within which a defect must be found. */
const SEEDS = 1000;

describe(`simulation: a defect is found within ${SEEDS} seeds`, () => {
  for (const [name, defect] of Object.entries(defects))
    it(name, async () => {
      const simulate = await withDefect(defect);
      for (let seed = 1; seed <= SEEDS; seed++) {
        const { violations } = await simulate(seed);
        if (violations.length > 0) return;
      }
      expect.fail(`${SEEDS} seeds have not found it`);
    });
});
