import { expect } from 'chai';
import type { Locator } from 'playwright-core';
import { axe, openWorld, screenshot } from '../support/browser.js';
import { focusedName, tabTo } from './keyboard.js';
import { hold, menuItem, type Person, PHONE, peopleIn } from './person.js';

describe('Chats in the list of the web chat', function () {
  this.timeout(120_000);
  const world = openWorld({ CONTACTS: 'consent' });
  const somebody = peopleIn(world);
  const look = async ({ page }: Person, view: string): Promise<void> => {
    await screenshot(page, `list-${view}`);
    expect(await axe(page), view).to.deep.equal([]);
  };
  const requestsOf = ({ page }: Person): Locator => page.getByRole('button', { name: /^Requests/ });
  const inRequests = ({ page }: Person, name: string): Locator =>
    page.getByRole('navigation', { name: 'Requests' }).getByRole('button', { name });

  it('moves a chat up with what is not sent yet, and shows it', async () => {
    const [ann, bob, carl] = [await somebody(), await somebody(), await somebody()];
    for (const other of [bob, carl]) {
      await ann.open(other.name);
      await ann.say(`Hello, ${other.name}`);
      await ann.sees(`Hello, ${other.name}`, 'sent');
    }
    await ann.page.evaluate('navigator.serviceWorker.ready.then(() => true)');
    await world.server.kill();
    await ann.chat(bob.name).click();
    await ann.say('written offline');
    const unsent = ann.chat(bob.name).filter({ hasText: 'sending, You: written offline' });
    await unsent.waitFor();
    const names = (): Promise<string[]> => ann.page.locator('.row .chat b.name').allInnerTexts();
    expect(await names()).to.deep.equal([bob.name, carl.name]);
    await ann.storesUnsent('written offline');
    await ann.page.reload();
    await unsent.waitFor();
    expect(await names(), 'after a reload').to.deep.equal([bob.name, carl.name]);
    await world.server.start();
    await ann.page.evaluate("dispatchEvent(new Event('online'))");
    await ann.sees('written offline', 'sent');
    await ann.chat(bob.name).filter({ hasText: 'You: written offline' }).waitFor();
    await unsent.waitFor({ state: 'hidden' });
    expect(await names()).to.deep.equal([bob.name, carl.name]);
  });

  it('pins, mutes and archives a chat by its menu: mouse, keyboard, long press', async () => {
    const ann = await somebody(PHONE);
    const [bob, carl] = [await somebody(), await somebody()];
    for (const other of [bob, carl]) {
      await ann.open(other.name);
      await ann.say(`Hello, ${other.name}`);
      await ann.sees(`Hello, ${other.name}`, 'sent');
      await ann.page.getByRole('button', { name: 'Back to chats' }).tap();
    }
    const names = (): Promise<string[]> => ann.page.locator('.row .chat b.name').allInnerTexts();
    expect(await names()).to.deep.equal([carl.name, bob.name]);
    await hold(ann.page, ann.chat(bob.name), menuItem(ann.page, 'Pin'));
    await look(ann, 'menu-phone');
    await menuItem(ann.page, 'Pin').tap();
    await ann.chat(bob.name).getByText('pinned').waitFor();
    expect(await names(), 'pinned ones come first').to.deep.equal([bob.name, carl.name]);
    expect(new URL(ann.page.url()).hash, 'the long press has not opened the chat').to.equal('');

    // The same by keyboard alone, and by mouse.
    const { keyboard } = ann.page;
    await ann.chat(carl.name).focus();
    await keyboard.press('Shift+F10');
    await menuItem(ann.page, 'Pin').waitFor();
    await keyboard.press('ArrowDown');
    await keyboard.press('Enter');
    await menuItem(ann.page, 'For 8 hours').waitFor();
    await keyboard.press('End');
    await keyboard.press('Enter');
    await ann.chat(carl.name).getByText('muted').waitFor();
    await ann.chat(carl.name).click({ button: 'right' });
    await menuItem(ann.page, 'Unmute').waitFor();
    await keyboard.press('Escape');
    await menuItem(ann.page, 'Unmute').waitFor({ state: 'hidden' });
    await ann.chat(carl.name).click({ button: 'right' });
    await menuItem(ann.page, 'Archive').click();
    await ann.chat(carl.name).waitFor({ state: 'hidden' });
    // A message does not bring back what is muted.
    await carl.chat(ann.name).or(requestsOf(carl)).first().click();
    await inRequests(carl, ann.name).click();
    await carl.page.getByRole('button', { name: 'Accept' }).click();
    await carl.say('Are you there?');
    await ann.page.getByRole('button', { name: /^Archived/ }).tap();
    const archived = ann.page
      .getByRole('navigation', { name: 'Archived' })
      .getByRole('button', { name: carl.name });
    await archived.getByText('Are you there?').waitFor();
    await look(ann, 'archive-phone');
    await archived.click({ button: 'right' });
    await menuItem(ann.page, 'Unmute').click();
    await archived.getByText('muted').waitFor({ state: 'hidden' });
    await carl.say('And now?');
    await ann.page.getByText('No archived chats.').waitFor();
    await ann.page.getByRole('button', { name: 'Back to all chats' }).tap();
    await ann.chat(carl.name).getByText('And now?').waitFor();
  });

  it('finds chats and people by Ctrl-K, each once and nothing else, and moves in them by arrow keys', async () => {
    const [ann, bob, carl] = [await somebody(), await somebody(), await somebody()];
    // Is found too, and has no chat with her.
    await somebody();
    await ann.open(bob.name);
    await ann.say('Hello');
    await ann.sees('Hello', 'sent');
    const { keyboard } = ann.page;
    for (const key of ['Control+k', 'Meta+k']) {
      await ann.composer.focus();
      await keyboard.press(key);
      await ann.page.locator('input[type=search]:focus').waitFor();
    }
    await keyboard.type(carl.name);
    await ann.page.getByRole('button', { name: `${carl.name}: open chat` }).waitFor();
    expect(await ann.chat(bob.name).count(), 'a chat of another name').to.equal(0);
    await look(ann, 'search-wide');
    await keyboard.press('ArrowDown');
    expect(await focusedName(ann.page)).to.equal(`${carl.name}: open chat`);
    await keyboard.press('Enter');
    await ann.page.getByRole('textbox', { name: `Message to ${carl.name}` }).waitFor();
    await keyboard.press('Control+k');
    await keyboard.type('zzzz');
    await ann.page.getByText('Nothing found.').waitFor();
    expect(await ann.page.locator('.side [data-row]').count()).to.equal(0);
    await keyboard.press('Escape');
    await ann.chat(bob.name).waitFor();
    await keyboard.press('Control+k');
    await keyboard.type('-');
    const chats = ann.page.getByRole('list', { name: 'Chats' });
    const people = ann.page.getByRole('list', { name: 'People' });
    await people.waitFor();
    const named = (name: string) => ({ name: `${name}: open chat` });
    await chats.getByRole('button', named(carl.name)).waitFor();
    expect(await ann.page.getByRole('button', named(bob.name)).count()).to.equal(1);
    await keyboard.press('ArrowDown');
    await keyboard.press('ArrowDown');
    await keyboard.press('ArrowUp');
    expect(await focusedName(ann.page)).to.equal(
      await chats.getByRole('button').first().getAttribute('aria-label'),
    );
    await keyboard.press('Control+k');
    await keyboard.type(bob.name);
    // What was found by the text before is not taken for it.
    await ann.page.getByText('1 found').waitFor();
    // Enter takes the first.
    await keyboard.press('Enter');
    await ann.sees('Hello');
  });

  it('closes what is open by Back, one after the other, and only then the room', async () => {
    const [ann, bob] = [await somebody(PHONE), await somebody()];
    const { page } = ann;
    const isOpen = (name: string): Promise<boolean> =>
      page.getByRole('heading', { name, exact: true }).isVisible();
    await ann.open(bob.name);
    await page.getByRole('button', { name: bob.name, exact: true }).tap();
    await page.getByRole('button', { name: 'Block' }).tap();
    await page.getByText(`Block ${bob.name}?`).waitFor();
    await page.goBack();
    await page.getByText(`Block ${bob.name}?`).waitFor({ state: 'detached' });
    expect(await isOpen('Profile')).to.equal(true);
    await page.goBack();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    // What was closed otherwise takes no press of its own.
    await page.getByRole('button', { name: bob.name, exact: true }).tap();
    await page.getByRole('button', { name: 'Close', exact: true }).tap();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await ann.composer.isVisible(), 'the room').to.equal(true);
    await page.getByRole('button', { name: 'Emoji' }).tap();
    await page.getByRole('dialog').waitFor();
    await page.goBack();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await ann.composer.isVisible(), 'the room').to.equal(true);
    await page.getByRole('button', { name: 'Chat menu' }).tap();
    await menuItem(page, 'Pin').waitFor();
    await page.goBack();
    await menuItem(page, 'Pin').waitFor({ state: 'detached' });
    expect(await ann.composer.isVisible(), 'the room').to.equal(true);
    await ann.composer.fill('half of a thou');
    await page.goBack();
    await ann.chat(bob.name).getByText('Draft: half of a thou').waitFor();
  });

  it('keeps the focus of the keyboard where it acts: after an option of a message, and after adding somebody', async () => {
    const [ann, bob] = [await somebody(), await somebody()];
    await ann.search.fill(bob.name);
    await ann.page.getByRole('button', { name: `Add ${bob.name} as a friend` }).press('Enter');
    await ann.page.locator('.found').getByText('Friend', { exact: true }).waitFor();
    expect(await focusedName(ann.page)).to.equal(`${bob.name}: open chat`);
    await ann.page.keyboard.press('Enter');
    await ann.say('Hello');
    await ann.sees('Hello', 'sent');
    await ann.message('Hello').getByRole('button', { name: 'Message options' }).press('Enter');
    await ann.page.getByRole('button', { name: 'Pin', exact: true }).press('Enter');
    await ann.page.getByRole('region', { name: 'Pinned messages' }).waitFor();
    expect(await focusedName(ann.page)).to.equal('Message options');
  });

  it('makes a group by keyboard alone, and leads the focus back out of menus and dialogs', async () => {
    const [ann, bob] = [await somebody(), await somebody()];
    const { keyboard } = ann.page;
    await tabTo(ann.page, 'New group');
    await keyboard.press('Enter');
    await ann.page.locator('#group-name:focus').waitFor();
    await keyboard.type('Keys only');
    await tabTo(ann.page, 'Search people');
    await keyboard.type(bob.name);
    await ann.page.getByRole('checkbox', { name: bob.name }).waitFor();
    await keyboard.press('ArrowDown');
    await keyboard.press('Space');
    await ann.page.getByRole('button', { name: `Do not add ${bob.name}` }).waitFor();
    await tabTo(ann.page, 'Create group');
    await keyboard.press('Enter');
    await bob.chat('Keys only').waitFor();
    // The field of the new room takes the focus when it is drawn, which may be later than the list.
    await ann.page.locator('textarea:focus').waitFor();
    await ann.chat('Keys only').focus();
    await keyboard.press('Shift+F10');
    await menuItem(ann.page, 'Pin').waitFor();
    await keyboard.press('Escape');
    expect(await focusedName(ann.page), 'behind a menu').to.contain('Keys only');
    await keyboard.press('Shift+F10');
    await menuItem(ann.page, 'Group details').focus();
    await keyboard.press('Enter');
    await ann.page.getByRole('list', { name: 'Members' }).waitFor();
    await keyboard.press('Escape');
    await ann.page.getByRole('dialog').waitFor({ state: 'hidden' });
    await ann.page.locator('.chat:focus', { hasText: 'Keys only' }).waitFor();
  });
});
