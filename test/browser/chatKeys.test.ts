import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { Rest } from '../../packages/client/src/rest.js';
import { axe, openWorld, screenshot } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';
import { focusedName, opensAtOnce } from './keyboard.js';
import { menuItem, type Person, peopleIn } from './person.js';

/** More than two pages of the history. */
const MESSAGES = 130;

/** Runs in the page: the text of the message that has the focus itself, and how far it is from the top of the window. */
const FOCUSED = `(() => {
  const article = document.querySelector('article:focus');
  return article && { text: article.querySelector('.text').textContent, top: Math.round(article.getBoundingClientRect().top) };
})()`;

describe('The web chat by keyboard alone', function () {
  this.timeout(120_000);
  const world = openWorld({ RATE_LIMIT: 'off' });
  const somebody = peopleIn(world);

  /** Somebody with this number of messages of somebody else. */
  async function reader(count: number): Promise<Person> {
    const ann = await somebody();
    const { username, password } = await signUp(world.server, `writer-to-${ann.name}`);
    const { token } = await new Rest(world.server.url).signIn(username, password);
    const socket = await RawSocket.open(world.server.wsUrl, token);
    const [found] = await new Rest(world.server.url).search(token, ann.name);
    const { roomId } = (await socket.request('init chat', { friendId: found?.userId ?? '' })).room;
    for (let n = 1; n <= count; n++) {
      const message = n === count ? `message ${n} https://example.com` : `message ${n}`;
      await socket.request('send message', { roomId, messageId: randomUUID(), message });
    }
    await socket.close();
    await ann.chat('writer').focus();
    await ann.page.keyboard.press('Enter');
    await ann.sees(`message ${count}`);
    await ann.page.locator('textarea:focus').waitFor();
    return ann;
  }

  const focused = ({ page }: Person) => page.evaluate<{ text: string; top: number } | null>(FOCUSED);
  /** Waits until the message with this text has the focus. */
  const focusIsOn = ({ page }: Person, text: string): Promise<void> =>
    page.locator('article:focus').getByText(text, { exact: true }).waitFor();
  /** From the field back to the messages. */
  async function enter({ page }: Person): Promise<void> {
    for (let n = 0; n < 4; n++) {
      await page.keyboard.press('Shift+Tab');
      if (await page.evaluate("document.activeElement.matches('.scroller, .scroller *')")) return;
    }
    throw new Error('the keyboard does not lead to the messages');
  }

  it('walks through the messages as one stop, and keeps its place while earlier ones come', async () => {
    const ann = await reader(MESSAGES);
    const { keyboard } = ann.page;
    const last = `message ${MESSAGES} https://example.com`;
    await enter(ann);
    await focusIsOn(ann, last);
    await screenshot(ann.page, 'keys-message');
    expect(await axe(ann.page)).to.deep.equal([]);
    await keyboard.press('ArrowUp');
    await focusIsOn(ann, `message ${MESSAGES - 1}`);
    await keyboard.press('ArrowDown');
    await focusIsOn(ann, last);
    await keyboard.press('Tab');
    expect(await focused(ann), 'Tab leaves the messages').to.equal(null);
    await keyboard.press('Shift+Tab');
    await focusIsOn(ann, last);

    await keyboard.press('Home');
    const first = await focused(ann);
    expect(first?.text).to.not.equal(last);
    // What is loaded then is above it, and takes nothing from it.
    await eventually('earlier messages', async () => {
      const row = ann.page.locator('li', { has: ann.page.locator('article:focus') });
      return Number(await row.getAttribute('data-index')) > 20;
    });
    const then = await focused(ann);
    expect(then?.text).to.equal(first?.text);
    expect(then?.top).to.be.closeTo(first?.top ?? Number.NaN, 6);
    await eventually('the first message', async () => {
      await keyboard.press('Home');
      return (await focused(ann))?.text === 'message 1';
    });
    // The row that has the focus stays in the page when it is scrolled out of view.
    await ann.page.locator('.scroller').hover();
    await eventually('out of view', async () => {
      await ann.page.mouse.wheel(0, 500);
      return ((await focused(ann))?.top ?? 0) < -1000;
    });
    expect((await focused(ann))?.text).to.equal('message 1');
    await keyboard.press('End');
    await focusIsOn(ann, last);
  });

  it('reaches all that can be pressed in a message, and leads back to the field', async () => {
    const ann = await reader(3);
    const { page } = ann;
    const { keyboard } = page;
    const last = 'message 3 https://example.com';
    await enter(ann);
    await focusIsOn(ann, last);
    const names: string[] = [];
    for (const _ of [1, 2, 3, 4]) {
      await keyboard.press('ArrowRight');
      names.push(await focusedName(ann.page));
    }
    expect(names).to.deep.equal(['https://example.com', 'React', 'Reply', 'Message options']);
    await keyboard.press('ArrowLeft');
    expect(await focusedName(ann.page)).to.equal('Reply');
    await keyboard.press('ArrowUp');
    await focusIsOn(ann, 'message 2');
    const menu = page.getByRole('dialog', { name: 'Message options' });
    for (const key of ['Enter', 'Shift+F10']) {
      await keyboard.press(key);
      await menu.waitFor();
      await keyboard.press('Escape');
      await menu.waitFor({ state: 'hidden' });
      await focusIsOn(ann, 'message 2');
    }
    await keyboard.press('Enter');
    await menu.getByRole('button', { name: 'React with 👍' }).press('Enter');
    const reaction = ann.message('message 2').locator('.reaction');
    await reaction.waitFor();
    await focusIsOn(ann, 'message 2');
    await keyboard.press('ArrowRight');
    await page.locator('.reaction:focus').waitFor();
    await keyboard.press('Enter');
    await reaction.waitFor({ state: 'detached' });
    // The button is gone: the message has the focus.
    await focusIsOn(ann, 'message 2');
    await keyboard.press('Escape');
    await page.locator('textarea:focus').waitFor();
    await enter(ann);
    await focusIsOn(ann, 'message 2');
    await keyboard.type('yes');
    expect(await ann.composer.inputValue()).to.equal('yes');
  });

  it('opens the next box with a key that follows at once on the one that closes a box', async () => {
    const ann = await reader(1);
    await enter(ann);
    await opensAtOnce(ann.page, 'Message options');
    await ann.page.getByRole('button', { name: 'New group' }).focus();
    await opensAtOnce(ann.page, 'New group');
  });

  it('has one stop in the list of chats, and the menu of each chat', async () => {
    const ann = await somebody();
    const others = [await somebody(), await somebody(), await somebody()];
    for (const { name } of others) {
      await ann.open(name);
      await ann.say(`Hello, ${name}`);
      await ann.sees(`Hello, ${name}`, 'sent');
    }
    const [third, second] = others.map(({ name }) => name);
    const { page } = ann;
    const { keyboard } = page;
    const stops = page.locator('nav :is(a, button):not([tabindex="-1"])');
    expect(await stops.count()).to.equal(1);
    await ann.search.focus();
    await keyboard.press('Tab');
    // The open one.
    expect(await focusedName(ann.page)).to.contain(others[2]?.name);
    await keyboard.press('ArrowDown');
    expect(await focusedName(ann.page)).to.contain(second);
    await keyboard.press('ArrowRight');
    expect(await focusedName(ann.page)).to.equal('Chat menu');
    await keyboard.press('Enter');
    await menuItem(page, 'Pin').waitFor();
    await keyboard.press('Escape');
    await menuItem(page, 'Pin').waitFor({ state: 'hidden' });
    expect(await focusedName(ann.page)).to.equal('Chat menu');
    await keyboard.press('ArrowDown');
    expect(await focusedName(ann.page), 'from the button too').to.contain(third);
    await keyboard.press('Tab');
    expect(await page.evaluate("document.activeElement.closest('nav')"), 'Tab leaves the list').to.equal(
      null,
    );
    await keyboard.press('Shift+Tab');
    expect(await focusedName(ann.page)).to.contain(third);
    expect(await stops.count()).to.equal(1);
    expect(await axe(page)).to.deep.equal([]);
  });
});
