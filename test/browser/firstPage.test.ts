import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { CDPSession, Page } from 'playwright-core';
import { axe, openWorld, strangers } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { Person } from './person.js';

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
    // A slow browser is idle between the form and its scripts too.
    await page.locator('[type="submit"]:enabled, .search input').first().waitFor();
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

  /** How many bytes of scripts and styles these requests load, compressed. */
  async function sizeOf(requests: readonly string[]): Promise<number> {
    const files = new Set(requests.filter((path) => /\.(?:js|css)$/.test(path)));
    expect(files.size).to.be.at.least(2);
    let bytes = 0;
    for (const path of files) {
      const answer = await fetch(world.server.url + path, { headers: { 'accept-encoding': 'br' } });
      expect(answer.headers.get('content-encoding'), path).to.equal('br');
      bytes += Number(answer.headers.get('content-length') ?? Number.NaN);
      await answer.arrayBuffer();
    }
    return bytes;
  }

  it('has at most 20 kB with its scripts and styles, compressed', async () => {
    const { requests } = await load();
    const answer = await fetch(world.server.url, {
      headers: { accept: 'text/html', 'accept-encoding': 'br' },
    });
    expect(answer.headers.get('content-encoding')).to.equal('br');
    const page = Number(answer.headers.get('content-length') ?? Number.NaN);
    expect(page + (await sizeOf(requests))).to.be.at.most(20_000);
  });

  it('asks for no style, and for no large script before the form is painted', async () => {
    const { page, requests } = await load();
    expect(requests.filter((path) => path.endsWith('.css'))).to.deep.equal([]);
    await eventually('the form is painted', () =>
      page.evaluate<boolean>("performance.getEntriesByName('first-contentful-paint').length > 0"),
    );
    // The loader waits 300 ms for the first paint: a browser that takes longer is asked for the scripts before it.
    const early = await page.evaluate<string[]>(`(() => {
      const [painted] = performance.getEntriesByName('first-contentful-paint');
      const loaded = performance.getEntriesByType('resource').filter(({ initiatorType }) => initiatorType !== 'other');
      const loader = loaded.find(({ name }) => name.includes('/afterPaint-'));
      const end = Math.min(painted.startTime, loader.responseEnd + 300);
      return loaded
        .filter(({ startTime }) => startTime < end)
        .map(({ name, encodedBodySize }) => name.replace(/.*\\//, '').replace(/-.*/, '') + (encodedBodySize < 500 ? '' : ' is large'));
    })()`);
    expect(early).to.deep.equal(['afterPaint']);
  });

  it('takes the form away from a signed-in user before the large scripts have come', async () => {
    const ann = await Person.at(world.browser, world.server.url);
    const storageState = await ann.page.context().storageState();
    const page = await (await world.browser.newContext({ storageState })).newPage();
    await page.route(/\/assets\/index-/, () => {});
    const answer = await page.goto(world.server.url, { waitUntil: 'commit' });
    expect(await answer?.text()).to.contain('id="password"');
    await page.locator('#app[data-drawn]:empty').waitFor({ state: 'attached' });
    await page.context().close();
    await ann.close();
  });

  it('and a conversation have at most 72.5 kB, compressed', async () => {
    const requests: string[] = [];
    const ann = await Person.at(
      world.browser,
      world.server.url,
      { serviceWorkers: 'block' },
      async (page) => {
        page.on('request', (request) => requests.push(request.url().slice(world.server.url.length)));
      },
    );
    const bob = await Person.at(world.browser, world.server.url);
    await ann.open(bob.name);
    await ann.say('hello');
    await ann.sees('hello', 'sent');
    expect(await sizeOf(requests)).to.be.at.most(72_500);
    await ann.close();
    await bob.close();
  });

  it('shows no form beside the chats to a signed-in user, also without a cache', async () => {
    const ann = await Person.at(world.browser, world.server.url);
    const storageState = await ann.page.context().storageState();
    const page = await (await world.browser.newContext({ storageState })).newPage();
    await page.goto(world.server.url);
    await page.getByRole('searchbox').waitFor();
    expect(await page.locator('.sign-in').count()).to.equal(0);
    await page.context().close();
    await ann.close();
  });

  /** What the form is made of, without what only its script can do. */
  const shown = (page: Page): Promise<string[]> =>
    page.evaluate<string[]>(`[...document.querySelectorAll('#app *')].map((element) => [
      element.localName,
      ...[...element.attributes].filter(({ name }) => name !== 'disabled').map(({ name, value }) => name + '=' + value).sort(),
      ...[...element.childNodes].filter(({ nodeType }) => nodeType === 3).map(({ data }) => data).join(''),
    ].join(' '))`);

  const languages = readdirSync(fileURLToPath(new URL('../../../web/texts/', import.meta.url))).map((file) =>
    file.replace('.json', ''),
  );

  it('has the form in it as its script draws it, in every language', async () => {
    expect(languages).to.have.length.above(5);
    for (const locale of languages) {
      const still = await world.browser.newPage({ locale, javaScriptEnabled: false });
      await still.goto(world.server.url);
      const drawn = await world.browser.newPage({ locale });
      // The page without the form.
      await drawn.goto(`${world.server.url}/?without`);
      await drawn.locator('button[type="submit"]:enabled').waitFor();
      expect(await shown(still), locale).to.deep.equal(await shown(drawn));
      await still.close();
      await drawn.close();
    }
  });

  describe('before its script has come', () => {
    let page: Page;
    let release: () => void;
    beforeEach(async () => {
      page = await world.browser.newPage();
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      const isAsked = page.waitForRequest(/\/assets\/index-/);
      await page.route(/\/assets\/index-/, async (route) => {
        await released;
        await route.continue();
      });
      await page.goto(world.server.url, { waitUntil: 'commit' });
      await isAsked;
    });
    afterEach(() => page.close());

    it('keeps what is typed, and the script then enables the form', async () => {
      const name = page.getByLabel('User name');
      await name.fill('early-bird');
      const submit = page.getByRole('button', { name: 'Sign up' });
      expect(await submit.isDisabled()).to.equal(true);
      release();
      await page.locator('button[type="submit"]:enabled').waitFor();
      expect(await page.locator('form').count()).to.equal(1);
      expect(await name.inputValue()).to.equal('early-bird');
      expect(await name.evaluate('document.activeElement.id')).to.equal('username');
      await page.getByLabel('Password').fill(Person.password);
      await submit.click();
      await page.getByRole('searchbox').waitFor();
    });

    it('keeps an Enter, which sends the form once', async () => {
      const sent: string[] = [];
      page.on('request', (request) => request.method() === 'POST' && sent.push(request.url()));
      await page.getByLabel('User name').fill('early-enter');
      await page.getByLabel('Password').fill('short');
      for (const _ of [1, 2]) await page.getByLabel('Password').press('Enter');
      release();
      await page.locator('#password[aria-invalid="true"]').waitFor();
      await page.getByLabel('Password').fill(Person.password);
      await page.getByLabel('Password').press('Enter');
      await page.getByRole('searchbox').waitFor();
      expect(sent.map((url) => new URL(url).pathname)).to.deep.equal(['/user/', '/user/', '/user/signin']);
    });
  });

  it('says when the chat cannot be loaded, and tries again', async () => {
    const page = await world.browser.newPage();
    const asked = strangers(page);
    await page.route(/\/assets\/list-/, (route) => route.abort());
    await page.goto(world.server.url);
    await page.getByLabel('User name').fill('without-chat');
    await page.getByLabel('Password').fill(Person.password);
    await page.getByRole('button', { name: 'Sign up' }).click();
    await page.getByRole('alert').getByText('Cannot reach the server.').waitFor();
    await page.unrouteAll();
    await page.getByRole('button', { name: 'Try now' }).click();
    await page.getByRole('searchbox').waitFor();
    expect(asked).to.deep.equal([]);
    await page.close();
  });

  for (const path of ['/', '/audit', '/admin', '/docs', '/docs/protocol'])
    it(`moves nothing while it loads ${path}`, async () => {
      const { page } = await load(path);
      // Above 0.1 people notice (web.dev, Cumulative Layout Shift).
      expect(await page.evaluate<number>('window.shifted')).to.be.below(0.1);
      // Not `waitForFunction`, whose polling the policy of the page forbids. A slow browser does not see each move.
      await eventually('a move is seen', async () => {
        await page.evaluate("document.body.style.marginTop = document.body.style.marginTop ? '' : '300px'");
        return (await page.evaluate<number>('window.shifted')) > 0.1;
      });
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
