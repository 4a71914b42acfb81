import { expect } from 'chai';
import type { CDPSession, Page } from 'playwright-core';
import { axe, openWorld, strangers } from '../support/browser.js';

/** What a phone loads of the first page, to the moment when it can be used. */
interface Load {
  readonly page: Page;
  readonly bytes: number;
  readonly requests: readonly string[];
  readonly refused: readonly string[];
}

describe('The first page', () => {
  const world = openWorld();

  /** Loads it as a phone on a slow line does, which shows what moves while it loads. */
  async function load(path = '/'): Promise<Load> {
    const context = await world.browser.newContext({ viewport: { width: 375, height: 740 }, isMobile: true });
    const page = await context.newPage();
    const refused = strangers(page);
    const network: CDPSession = await context.newCDPSession(page);
    await network.send('Network.enable');
    await network.send('Network.emulateNetworkConditions', {
      ...{ offline: false, latency: 150 },
      ...{ downloadThroughput: 200_000, uploadThroughput: 90_000 },
    });
    let bytes = 0;
    network.on('Network.loadingFinished', ({ encodedDataLength }) => {
      bytes += encodedDataLength;
    });
    const requests: string[] = [];
    page.on('request', (request) => requests.push(request.url().slice(world.server.url.length)));
    await page.addInitScript(`
      window.shifted = 0;
      new PerformanceObserver((list) => {
        for (const { value } of list.getEntries()) window.shifted += value;
      }).observe({ type: 'layout-shift', buffered: true });
    `);
    await page.goto(world.server.url + path);
    await page.locator('#username, .search input').first().waitFor();
    await page.waitForLoadState('networkidle');
    return { page, bytes, requests, refused };
  }

  it('transfers less than 100 KiB, in at most ten requests to this server alone', async () => {
    const { bytes, requests, refused } = await load();
    expect(bytes)
      .to.be.greaterThan(0)
      .and.at.most(100 * 1024);
    expect(requests.length, requests.join('\n')).to.be.within(1, 10);
    expect(refused).to.deep.equal([]);
  });

  it('has at most 60 kB of scripts and styles, compressed', async () => {
    const { requests } = await load();
    const files = requests.filter((path) => /\.(?:js|css)$/.test(path));
    expect(files).to.have.length.at.least(2);
    let bytes = 0;
    for (const path of files) {
      const answer = await fetch(world.server.url + path, { headers: { 'accept-encoding': 'br' } });
      expect(answer.headers.get('content-encoding'), path).to.equal('br');
      bytes += Number(answer.headers.get('content-length') ?? Number.NaN);
      await answer.arrayBuffer();
    }
    expect(bytes).to.be.at.most(60_000);
  });

  for (const path of ['/', '/audit', '/admin', '/docs', '/docs/protocol'])
    it(`moves nothing while it loads ${path}`, async () => {
      const { page } = await load(path);
      // Above 0.1 people notice (web.dev, Cumulative Layout Shift).
      expect(await page.evaluate<number>('window.shifted')).to.be.below(0.1);
      await page.evaluate(
        `document.body.prepend(Object.assign(document.createElement('p'), { textContent: 'x' }))`,
      );
      await page.evaluate(`document.querySelector('p').style.height = '300px'`);
      await page.waitForFunction('window.shifted > 0.1');
    });

  it('says to browsers and search engines what it is', async () => {
    const { page } = await load();
    expect(await page.title()).to.match(/Parley/);
    const attribute = (selector: string, name: string) => page.locator(selector).first().getAttribute(name);
    expect(await attribute('html', 'lang')).to.equal('en');
    expect(await attribute('meta[name="description"]', 'content')).to.match(/\w{3,} \w{3,}/);
    expect(await attribute('meta[name="viewport"]', 'content')).to.include('width=device-width');
    expect(await attribute('link[rel="icon"]', 'href')).to.match(/./);
    expect(await axe(page)).to.deep.equal([]);
  });
});
