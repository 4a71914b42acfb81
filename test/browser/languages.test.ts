import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { BrowserContextOptions, Locator, Page } from 'playwright-core';
import { ERROR_REASONS } from '../../src/base/errors.js';
import { axe, openWorld, screenshot } from '../support/browser.js';
import { Person } from './person.js';

const languages = ['de', 'fr', 'es', 'pt', 'ar', 'hi', 'zh', 'en'] as const;
type Language = (typeof languages)[number];

/** Compiled tests are one folder deeper than their sources. */
const textsOf = (language: Language): Readonly<Record<string, string>> =>
  JSON.parse(readFileSync(new URL(`../../../web/texts/${language}.json`, import.meta.url), 'utf8'));

const sizes = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } } as const;

describe('The languages of the chat', function () {
  this.timeout(120_000);
  const world = openWorld();
  let names = 0;

  async function open(options: BrowserContextOptions, prepare?: string): Promise<Page> {
    const page = await (await world.browser.newContext(options)).newPage();
    page.setDefaultTimeout(20_000);
    if (prepare) await page.addInitScript(prepare);
    await page.goto(world.server.url);
    // The page comes in the language that the server is asked for, before its script has come.
    await page.locator('button[type="submit"]:enabled').waitFor();
    return page;
  }

  /** Signs up, by what is the same in every language. */
  async function signUp(page: Page): Promise<string> {
    const name = `lang-${++names}`;
    await page.locator('input[name="username"]').fill(name);
    await page.locator('input[name="password"]').fill(Person.password);
    await page.locator('button[type="submit"]').click();
    await page.locator('input[type="search"]').waitFor();
    return name;
  }

  /** A user of this language in a room with another one, who has written and been answered. */
  async function talk(language: Language, options: BrowserContextOptions) {
    const page = await open({ locale: language, ...options });
    const name = await signUp(page);
    const other = await Person.at(world.browser, world.server.url);
    await other.open(name);
    await other.say('hello (1), first');
    await page.locator('nav button').filter({ hasText: other.name }).click();
    const field = page.locator('.composer textarea');
    await field.fill('مرحبا (2)');
    await page.locator('.composer .send').click();
    await other.sees('مرحبا');
    await page
      .locator('article .mark')
      .getByText(textsOf(language)['messages.markRead'] ?? '')
      .first()
      .waitFor();
    return { page, other };
  }

  const boxOf = async (locator: Locator) => {
    const box = await locator.boundingBox();
    if (!box) throw new Error('it is not shown');
    return { start: box.x, end: box.x + box.width };
  };

  /** A password does not run below the button that shows it, however long its word is. */
  async function expectRoomForButton(page: Page): Promise<void> {
    const button = await boxOf(page.locator('.with-button button'));
    const field = await boxOf(page.locator('input[name="password"]'));
    expect(button.end <= field.start || button.start >= field.end, 'the button stands on the text').to.equal(
      true,
    );
  }

  it('say each refusal in the language of the user, and not in the words of the server', async () => {
    for (const language of languages) {
      const page = await open({ locale: language });
      let reason = '';
      await page.route('**/user/', (route) =>
        route.fulfill({ status: 403, json: { code: 'forbidden', reason, message: 'words of the server' } }),
      );
      await page.locator('input[name="username"]').fill('somebody');
      await page.locator('input[name="password"]').fill(Person.password);
      for (reason of ERROR_REASONS) {
        if (reason === 'host') continue;
        await page.locator('button[type="submit"]').click();
        const said = textsOf(language)[`reason.${reason}`] ?? '';
        await page.getByRole('alert').getByText(said, { exact: true }).waitFor();
      }
      await page.context().close();
    }
  });

  it('are those that the browser asks for, as far as they are there', async () => {
    for (const language of languages) {
      const texts = textsOf(language);
      const page = await open({ locale: language });
      expect(await page.locator('html').getAttribute('lang')).to.equal(language);
      expect(await page.locator('html').getAttribute('dir')).to.equal(language === 'ar' ? 'rtl' : 'ltr');
      expect(await page.locator('button[type="submit"]').textContent()).to.equal(texts['signIn.signUp']);
      await page.locator('button[type="submit"]').click();
      await page
        .getByRole('alert')
        .getByText(texts['signIn.missing'] ?? '')
        .waitFor();
      await expectRoomForButton(page);
      await page.context().close();
    }
  });

  it('can be chosen in the form and in the settings, and are those of the browser by default', async () => {
    const page = await open({ locale: 'fr-CA' });
    const select = page.locator('select').filter({ hasText: 'English' });
    const root = page.locator('html');
    const isIn = (language: Language): Promise<void> =>
      page.locator(`html[lang="${language}"][dir="${language === 'ar' ? 'rtl' : 'ltr'}"]`).waitFor();
    const button = (language: Language, name: string): Locator =>
      page.getByRole('button', { name: textsOf(language)[name] ?? '', exact: true });
    const names = await select.locator('option').allTextContents();
    expect(names).to.have.members([
      textsOf('fr')['signIn.asBrowser'],
      ...languages
        .map((language) => new Intl.DisplayNames(language, { type: 'language' }).of(language))
        .map((name = '') => name.charAt(0).toUpperCase() + name.slice(1)),
    ]);
    await isIn('fr');
    for (const language of ['ar', 'de'] as const) {
      await select.selectOption(language);
      await isIn(language);
      await button(language, 'signIn.signUp').waitFor();
    }
    await page.reload();
    await isIn('de');
    expect(await select.inputValue()).to.equal('de');
    await signUp(page);
    await button('de', 'account.title').click();
    await select.selectOption('zh');
    await isIn('zh');
    await button('zh', 'account.title').click();
    await select.selectOption('');
    await isIn('fr');
    expect(await root.getAttribute('dir')).to.equal('ltr');
    await page.context().close();
  });

  it('are chosen by the order of the user, whatever the region, and are English at last', async () => {
    for (const [wanted, shown] of [
      [['pt-BR', 'en'], 'pt'],
      [['zh-Hant-TW'], 'zh'],
      [['sv', 'fr-CA', 'de'], 'fr'],
      [['sv', 'en-US', 'fr'], 'en'],
      [['sv'], 'en'],
    ] as const) {
      const page = await open(
        {},
        `Object.defineProperty(navigator, 'languages', { value: ${JSON.stringify(wanted)} })`,
      );
      expect(await page.locator('html').getAttribute('lang'), wanted.join()).to.equal(shown);
      await page.context().close();
    }
  });

  it('have all texts, in whatever order their files come', async () => {
    // A worker would have the files, and take the page over between one and the other.
    const page = await open({ locale: 'ar', serviceWorkers: 'block' });
    await signUp(page);
    for (const late of [true, false]) {
      let go = (): void => {};
      const isThere = new Promise<void>((resolve) => {
        go = resolve;
      });
      await page.route(/\/ar-[^/]+\.js$/, async (route) => {
        const response = await route.fetch();
        const isOfForm = (await response.text()).includes(String(textsOf('ar')['signIn.forgot']));
        // One of the two waits until the page has the other.
        if (isOfForm === late) await isThere;
        await route.fulfill({ response });
        await (await route.request().response())?.finished();
        if (isOfForm !== late) go();
      });
      await page.reload();
      const search = page.locator('input[type="search"]');
      await search.waitFor();
      expect(await search.getAttribute('placeholder')).to.equal(textsOf('ar')['search.label']);
      await page.unroute(/\/ar-[^/]+\.js$/);
    }
    await page.context().close();
  });

  for (const [size, viewport] of Object.entries(sizes)) {
    it(`German has German texts and dates, and nothing in English (${size})`, async () => {
      const { page, other } = await talk('de', { viewport });
      const [english, german] = [textsOf('en'), textsOf('de')];
      await page.locator('.day').getByText('heute', { exact: true }).waitFor();
      await other.close();
      await page
        .getByRole('status')
        .getByText(/^zul. online heute um \d\d:\d\d$/)
        // The server takes somebody for online for 10 s more.
        .waitFor({ timeout: 50_000 });
      const onlyEnglish = new Set(
        Object.values(english).filter((text) => text.length > 4 && !Object.values(german).includes(text)),
      );
      const shown = await page.evaluate<string[]>(`[...document.querySelectorAll('*')].flatMap((element) => [
        element.ariaLabel, element.title, element.placeholder,
        ...[...element.childNodes].filter(({ nodeType }) => nodeType === 3).map(({ data }) => data.trim()),
      ]).filter((text) => text)`);
      expect(shown).to.include(german['messages.write']);
      expect(shown.filter((text) => onlyEnglish.has(text))).to.deep.equal([]);
      await screenshot(page, `chat-de-${size}`);
      expect(await axe(page)).to.deep.equal([]);
      await page.context().close();
    });

    it(`Arabic runs from right to left (${size})`, async () => {
      const { page, other } = await talk('ar', { viewport });
      const [mine, theirs] = [
        await boxOf(page.locator('.bubble.mine')),
        await boxOf(page.locator('.bubble.theirs')),
      ];
      expect(mine.start, 'own messages stand at the end of the line').to.be.below(theirs.start);
      expect(mine.end).to.be.below(theirs.end);
      expect(theirs.end, 'and those of others at its begin').to.be.above(
        viewport.width * (size === 'phone' ? 0.9 : 0.6),
      );
      const [send, field] = [
        await boxOf(page.locator('.composer button').last()),
        await boxOf(page.locator('.composer textarea')),
      ];
      expect(send.end).to.be.at.most(field.start);
      const empty = page.locator('.composer textarea');
      const style = await empty.evaluate((field) => {
        const { direction, unicodeBidi } = getComputedStyle(field);
        return [direction, unicodeBidi];
      });
      expect(style, 'the empty field begins where the line does').to.deep.equal(['rtl', 'isolate']);
      const [name, room] = [await boxOf(page.locator('.room h1 bdi')), await boxOf(page.locator('.room'))];
      expect(name.start, 'the name begins where the line does').to.be.above((room.start + room.end) / 2);
      if (size === 'desktop') {
        const list = await boxOf(page.locator('nav').first());
        expect(list.start).to.be.at.least(room.end - 1);
      }
      expect(
        await page
          .locator('.composer svg.pointing')
          .last()
          .evaluate((icon) => getComputedStyle(icon).transform),
        'the icon to send points along the line',
      ).to.match(/^matrix\(-1,/);
      const directions = await page
        .locator('article .text')
        .evaluateAll((texts) => texts.map((text) => getComputedStyle(text).direction));
      expect(directions, 'each text has its own direction').to.deep.equal(['ltr', 'rtl']);
      const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
      expect(overflow, 'it scrolls sideways').to.be.at.most(0);
      const long = `the beginning ${'of a long line '.repeat(20)}`;
      await other.say(long);
      await other.choose('the beginning', 'Pin');
      for (const line of ['.pin-text .shown', ...(size === 'desktop' ? ['.last .cut'] : [])]) {
        const cut = page.locator(line).filter({ hasText: 'the beginning' });
        await cut.waitFor();
        const style = await cut.evaluate((one) => [
          getComputedStyle(one).direction,
          one.scrollWidth > one.clientWidth && one.scrollLeft === 0,
        ]);
        expect(style, `${line} is cut at its end, which is on the right`).to.deep.equal(['ltr', true]);
      }
      await screenshot(page, `chat-ar-${size}`);
      expect(await axe(page)).to.deep.equal([]);
      await other.close();
      await page.context().close();
    });
  }
});
