import { expect } from 'chai';
import { openWorld } from '../support/browser.js';
import { parley } from '../support/parley.js';
import { Person, PHONE } from './person.js';

/** Runs in the page: each element that shows this text, or holds it as its value, with its direction. */
const directionsOf = (text: string): string => `[...document.querySelectorAll('body *')]
  .filter((element) => element.value?.includes?.('${text}') ||
    [...element.childNodes].some((node) => node.nodeType === 3 && node.data.includes('${text}')))
  .map((element) => element.tagName.toLowerCase() + '.' + element.className + ': ' + getComputedStyle(element).direction)`;

describe('The texts of the web chat', function () {
  this.timeout(120_000);
  const world = openWorld();
  let [ann, bob]: Person[] = [];
  const both = (): readonly [Person, Person] => {
    if (!ann || !bob) throw new Error('nobody is there');
    return [ann, bob];
  };
  beforeEach(async () => {
    const { browser, server } = world;
    [ann, bob] = await Promise.all([Person.at(browser, server.url), Person.at(browser, server.url)]);
    await ann.open(bob.name);
  });
  afterEach(async () => {
    for (const person of both()) {
      expect(person.strangers).to.deep.equal([]);
      await person.close();
    }
  });

  it('are not sent by the Enter that ends a composition, in any browser', async () => {
    const [writer] = both();
    await writer.composer.fill('にほん');
    const press = (key: string, more: object): Promise<boolean> => {
      const init = JSON.stringify({ key, bubbles: true, cancelable: true, ...more });
      return writer.page.evaluate<boolean>(
        `document.querySelector('textarea').dispatchEvent(new KeyboardEvent('keydown', ${init}))`,
      );
    };
    // Chromium and Firefox; then Safari, whose composition has ended before the key is told.
    for (const more of [
      { isComposing: true, keyCode: 229 },
      { isComposing: false, keyCode: 229 },
    ]) {
      expect(await press('Enter', more), 'the input method gets the key').to.equal(true);
      expect(await writer.composer.inputValue()).to.equal('にほん');
    }
    await writer.say('first');
    await writer.message('first').getByRole('button', { name: 'Reply' }).click();
    await press('Escape', { isComposing: false, keyCode: 229 });
    await writer.page.getByText('Replying to:').waitFor();
    await writer.say('日本');
    await writer.sees('日本', 'sent');
    expect(await writer.page.getByRole('article').count()).to.equal(2);
  });

  it('are not sent by Enter in another field, and neither is any form around a search', async () => {
    const [writer, reader] = both();
    const { page } = writer;
    await page.evaluate("addEventListener('submit', () => { document.title = 'submitted'; }, true)");
    const search = async (name: string): Promise<void> => {
      const field = page.getByRole('searchbox', { name });
      for (const words of ['', 'zzzz']) {
        await field.fill(words);
        await field.press('Enter');
      }
      expect(await page.title(), name).not.to.equal('submitted');
    };
    await writer.composer.fill('half of a thou');
    await page.getByRole('button', { name: 'Emoji', exact: true }).click();
    await search('Find an emoji');
    const rocket = page.getByRole('searchbox', { name: 'Find an emoji' });
    await rocket.fill('rocket');
    await page.getByRole('button', { name: 'rocket', exact: true }).waitFor();
    await rocket.press('Enter');
    // Escape empties a search first.
    await rocket.fill('');
    await page.keyboard.press('Escape');
    expect(await writer.composer.inputValue(), 'Enter picks the first one').to.equal('half of a thou🚀');
    await search('Find chats and people');
    await writer.search.fill('');
    await page.getByRole('button', { name: 'New group' }).first().click();
    await page.getByRole('textbox', { name: 'Group name' }).fill('Walk');
    await search('Search people');
    await page.getByRole('searchbox', { name: 'Search people' }).fill('');
    await page.keyboard.press('Escape');
    expect(await writer.composer.inputValue()).to.equal('half of a thou🚀');
    expect(await page.getByRole('article').count()).to.equal(0);
    expect(await reader.chat(writer.name).count()).to.equal(0);
  });

  it('have lines under a finger: there Enter starts one, and the button sends', async () => {
    const phone = await Person.at(world.browser, world.server.url, PHONE);
    const [, reader] = both();
    await phone.open(reader.name);
    expect(await phone.composer.getAttribute('enterkeyhint')).to.equal('enter');
    await phone.composer.pressSequentially('one\ntwo');
    expect(await phone.composer.inputValue()).to.equal('one\ntwo');
    await phone.page.getByRole('button', { name: 'Send' }).tap();
    await phone.sees('two', 'sent');
    expect(await phone.message('two').locator('.text').textContent()).to.equal('one\ntwo');
    expect(await phone.page.locator('textarea:focus').count(), 'the keyboard stays').to.equal(1);
    await phone.close();
    expect(await both()[0].composer.getAttribute('enterkeyhint')).to.equal('send');
  });

  it('have the direction of their own script, wherever they are shown', async () => {
    const [writer, reader] = both();
    const text = 'שלום, מה שלומך?';
    await writer.composer.fill(text);
    expect(await writer.page.evaluate(directionsOf(text)), 'the draft').to.deep.equal([
      'textarea.input: rtl',
    ]);
    await writer.composer.press('Enter');
    await reader.chat(writer.name).click();
    await reader.message(text).getByRole('button', { name: 'Reply' }).click();
    const shown: string[] = [];
    shown.push(...(await reader.page.evaluate<string[]>(directionsOf(text))));
    await reader.say(`${text} 2`);
    for (const person of both()) await person.sees(`${text} 2`);
    for (const { page } of [writer, reader])
      shown.push(...(await page.evaluate<string[]>(directionsOf(text))));
    expect(shown.length, 'bubbles, quotes, the reply, both lists').to.be.at.least(8);
    expect(shown.filter((one) => !one.endsWith(': rtl'))).to.deep.equal([]);
    // Each paragraph of a message has its own direction.
    await writer.composer.fill(`English first.\n${text}`);
    await writer.composer.press('Enter');
    await writer.sees('English first');
    const bidi = "getComputedStyle([...document.querySelectorAll('.text')].at(-1)).unicodeBidi";
    expect(await writer.page.evaluate<string>(bidi)).to.equal('plaintext');
  });

  it('have the direction of their own script in the console', async () => {
    const [writer] = both();
    const { page } = writer;
    const text = 'ערב טוב לכולם';
    await writer.say(text);
    await writer.sees(text, 'sent');
    expect((await parley(['role', 'auditor', writer.name], world.server.settings)).code).to.equal(0);
    await page.goto(`${world.server.url}/audit#/events?type=MessageSent`);
    const row = page.locator('summary', { hasText: text });
    const shown: string[] = [];
    const look = async (): Promise<void> => {
      shown.push(...(await page.evaluate<string[]>(directionsOf(text))).filter((one) => !/^pre/.test(one)));
    };
    await row.click();
    await look();
    const proof = await page.getByRole('link', { name: 'Verify proof' }).getAttribute('href');
    await page.getByRole('link', { name: 'Room at this time' }).click();
    await page.locator('.messages').getByText(text).waitFor();
    await look();
    await page.goto(`${world.server.url}/audit${proof}`);
    await page.getByText('The server decrypts the sealed text').waitFor();
    await look();
    expect(shown.length, 'events, the room, the proof').to.equal(3);
    expect(shown.filter((one) => !one.endsWith(': rtl'))).to.deep.equal([]);
  });

  it('are never cut: the page says how much is too long, and keeps the draft', async () => {
    const [writer, reader] = both();
    const { keyboard } = writer.page;
    await writer.composer.focus();
    await keyboard.insertText('a'.repeat(10_000));
    expect((await writer.composer.inputValue()).length).to.equal(10_000);
    await writer.page.getByRole('alert').getByText('1,808 characters too long').waitFor();
    expect(await writer.page.getByRole('button', { name: 'Send' }).isEnabled()).to.equal(false);
    await keyboard.press('Enter');
    expect((await writer.composer.inputValue()).length).to.equal(10_000);
    expect(await writer.page.getByRole('article').count()).to.equal(0);
    // An emoji is one character of the limit, though two or more of JavaScript.
    await writer.composer.fill('');
    await keyboard.insertText(`end ${'😀'.repeat(8188)}`);
    await writer.page.getByText('too long').waitFor({ state: 'hidden' });
    await keyboard.press('Enter');
    await writer.sees('end 😀', 'sent');
    await reader.chat(writer.name).click();
    await reader.sees('end 😀');
    const got = await reader.message('end 😀').locator('.text').textContent();
    expect([...(got ?? '')].length).to.equal(8192);
    await writer.composer.focus();
    await keyboard.insertText('😀'.repeat(8193));
    await writer.page.getByRole('alert').getByText('1 character too long').waitFor();
  });

  it('of a search are never cut: too long a name is said to be so', async () => {
    const [writer] = both();
    await writer.search.focus();
    await writer.page.keyboard.insertText('x'.repeat(40));
    expect(await writer.search.inputValue()).to.have.length(40);
    await writer.page.getByText('A user name has at most 32 characters.').waitFor();
  });
});
