import { expect } from 'chai';
import { outline } from '../../site/outline.js';
import { axe, looks, openWorld, screenshot, strangers } from '../support/browser.js';
import { isSoak } from '../support/lanes.js';

const decision = '/docs/decisions/0011-the-documentation-is-built-and-run';
const urls = [...outline.flatMap(({ pages }) => pages.map(({ url }) => url)), decision];
/** The pages to take screenshots of. */
const pictured = ['/docs', '/docs/concepts', '/docs/protocol', '/docs/reference', '/docs/security'];
/** The pages whose contrast is measured in the short form. */
const colored = ['/docs', '/docs/concepts', '/docs/reference', '/docs/security'];

describe('The documentation in a browser', function () {
  this.timeout(300_000);
  const world = openWorld();

  for (const [look, { name, options }] of looks.entries())
    it(`is accessible, and loads nothing from other hosts (${name})`, async () => {
      const page = await world.browser.newPage(options);
      const asked = strangers(page);
      for (const [i, url] of urls.entries()) {
        await page.goto(world.server.url + url);
        // All pages have one stylesheet: in CI the pages take turns with the looks, and a few show the colours.
        if (isSoak || i % looks.length === look)
          expect(await axe(page, { hasContrast: isSoak || colored.includes(url) }), url).to.deep.equal([]);
        const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
        expect(overflow, `${url} scrolls sideways`).to.be.at.most(0);
        if (pictured.includes(url))
          await screenshot(page, `docs${url.replaceAll('/', '-').slice(5)}-${name}`);
      }
      expect(asked).to.deep.equal([]);
      await page.close();
    });

  it('can be read from page to page without JavaScript', async () => {
    const context = await world.browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(`${world.server.url}/docs`);
    const pages = outline.flatMap((part) => part.pages);
    for (const { url } of pages.slice(1)) {
      await page.locator('a[rel=next]').click();
      // To its end: the page is there before the whole of it.
      await page.waitForURL(world.server.url + url);
      expect(await page.locator('nav[aria-label="Pages"] [aria-current="page"]').count()).to.equal(1);
      expect(await page.getByRole('searchbox').count(), 'a search without its script').to.equal(0);
    }
    await context.close();
  });

  for (const { name, options } of looks)
    it(`is searched by keyboard alone, without another host (${name})`, async () => {
      const page = await world.browser.newPage(options);
      const asked = strangers(page);
      await page.goto(`${world.server.url}/docs`);
      await page.keyboard.press('/');
      await page.keyboard.type('lost master key');
      const results = page.getByRole('search').getByRole('link');
      await results.first().waitFor();
      expect(await page.getByRole('status').textContent()).to.match(/^\d+ sections?/);
      expect(await results.first().locator('mark').count()).to.be.above(0);
      expect(await axe(page)).to.deep.equal([]);
      await screenshot(page, `docs-search-${name}`);

      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('ArrowDown');
      const chosen = (await results.nth(1).getAttribute('href')) ?? '';
      expect(await page.evaluate('document.activeElement.getAttribute("href")')).to.equal(chosen);
      await page.keyboard.press('Enter');
      await page.waitForURL(world.server.url + chosen);

      await page.keyboard.press('Control+k');
      await page.keyboard.type('zzzz qqqq');
      await page.getByText('Nothing found').waitFor();
      await page.keyboard.press('Escape');
      expect(await page.getByRole('status').isVisible()).to.equal(false);
      expect(asked).to.deep.equal([]);
      await page.close();
    });

  it('says when the search cannot be loaded, and tries again', async () => {
    const page = await world.browser.newPage();
    await page.goto(`${world.server.url}/docs/concepts`);
    await page.route('**/search.*.json', (route) => route.abort());
    const field = page.getByRole('searchbox');
    await field.fill('cursor');
    await page.getByText('The search could not be loaded').waitFor();
    await page.unroute('**/search.*.json');
    await field.fill('cursors');
    await page.getByRole('search').getByRole('link').first().click();
    expect(await page.getByRole('status').isVisible()).to.equal(false);
    await page.close();
  });

  it('offers a REST client at /docs/rest', async () => {
    const page = await world.browser.newPage();
    const asked = strangers(page);
    await page.goto(`${world.server.url}/docs/rest`);
    await page.getByText('/user/signin', { exact: true }).waitFor();
    // The policy blocks the inline styles of Swagger UI, which works without them.
    expect(asked.filter((text) => !text.includes('Content Security Policy'))).to.deep.equal([]);
    expect(await page.getByRole('link', { name: /Website|Send email/ }).count()).to.equal(0);
    await page.getByRole('link', { name: 'Audit console' }).waitFor();
    const left = async (selector: string) => (await page.locator(selector).first().boundingBox())?.x;
    expect(await left('h1'), 'the title is above the text').to.equal(await left('#rest .info hgroup'));
    await page.close();
  });
});
