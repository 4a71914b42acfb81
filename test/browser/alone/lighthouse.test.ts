import { expect } from 'chai';
import lighthouse from 'lighthouse';
import { openBrowser } from '../../support/browser.js';
import { type ServerProcess, startServer } from '../../support/server.js';

/** The port on which Lighthouse connects to this test's Chromium. */
const DEBUGGING_PORT = 9339;
const categories = ['performance', 'accessibility', 'best-practices', 'seo'] as const;

describe('The first page', function () {
  this.timeout(240_000);
  let server: ServerProcess;
  let close = async () => {};
  before(async function () {
    const browser = await openBrowser([`--remote-debugging-port=${DEBUGGING_PORT}`]);
    if (!browser) return this.skip();
    close = () => browser.close();
    server = await startServer({ engine: 'sqlite' });
  });
  after(async () => {
    await close();
    await server?.stop();
  });

  async function examined() {
    const onlyCategories = [...categories];
    const result = await lighthouse(server.url, { port: DEBUGGING_PORT, onlyCategories, logLevel: 'error' });
    if (!result) throw new Error('Lighthouse has no result');
    return result.lhr;
  }

  it('has a Lighthouse score of at least 95 in every category', async () => {
    // Takes the best of three rounds: other load on this machine can only lower a score.
    const best = new Map<string, number>();
    for (let round = 0; round < 3 && !categories.every((name) => (best.get(name) ?? 0) >= 95); round++) {
      const report = await examined();
      for (const name of categories) {
        const score = Math.round((report.categories[name]?.score ?? 0) * 100);
        best.set(name, Math.max(score, best.get(name) ?? 0));
      }
      for (const { id, score, displayValue } of Object.values(report.audits))
        if (score !== null && score < 0.9) console.log(`      ${id} ${score} ${displayValue ?? ''}`);
    }
    console.log(`      ${[...best].map(([name, score]) => `${name} ${score}`).join(', ')}`);
    for (const name of categories) expect(best.get(name), name).to.be.at.least(95);
  });

  it('transfers less than 100 KiB', async () => {
    const report = await examined();
    const bytes = report.audits['total-byte-weight']?.numericValue;
    console.log(`      ${bytes} bytes`);
    expect(bytes)
      .to.be.greaterThan(0)
      .and.at.most(100 * 1024);
  });
});
