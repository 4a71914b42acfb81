import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { openWorld } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { Person } from './person.js';

describe('The web chat', function () {
  this.timeout(120_000);
  const world = openWorld({ PRESENCE_GRACE: '100ms' });
  const people: Person[] = [];
  const somebody = async (
    options?: BrowserContextOptions,
    prepare?: (page: Page) => Promise<void>,
  ): Promise<Person> => {
    const person = await Person.at(world.browser, world.server.url, options, prepare);
    people.push(person);
    return person;
  };
  /** Two users who have each sent a message to the other. */
  async function two(): Promise<readonly [Person, Person]> {
    const [ann, bob] = [await somebody(), await somebody()];
    await ann.open(bob.name);
    await ann.say('Hello, Bob');
    await bob.chat(ann.name).click();
    await bob.say('Hello, Ann');
    await ann.sees('Hello, Ann');
    return [ann, bob];
  }

  afterEach(async () => {
    for (const person of people.splice(0)) {
      expect(person.strangers).to.deep.equal([]);
      await person.close();
    }
  });

  it('shows a conversation with typing, presence and delivery marks', async () => {
    const [ann, bob] = await two();
    await ann.sees('Hello, Bob', 'read');
    await bob.chat(ann.name).getByText(', online').waitFor({ state: 'attached' });
    // It is shown for 6 s.
    await Promise.all([
      ann.page.getByText('typing…', { exact: true }).waitFor(),
      bob.composer.pressSequentially('Well'),
    ]);
    await bob.composer.press('Enter');
    await ann.sees('Well');
    await ann.page.getByText('typing…', { exact: true }).waitFor({ state: 'hidden' });
  });

  it('counts unread messages in the chat list and in the title', async () => {
    const [ann, bob] = [await somebody(), await somebody()];
    await ann.open(bob.name);
    for (const text of ['one', 'two', 'three']) await ann.say(text);
    await bob.chat(ann.name).getByText('3 unread').waitFor();
    await eventually('three in the title', async () => (await bob.page.title()) === '(3) Parley');
    await ann.sees('three', 'sent');
    await bob.chat(ann.name).click();
    await ann.sees('three', 'read');
    await eventually('none in the title', async () => (await bob.page.title()) === 'Parley');
  });

  it('replies to a message, and leads to the quoted message', async () => {
    const [ann, bob] = await two();
    await ann.message('Hello, Ann').getByRole('button', { name: 'Reply' }).click();
    await ann.say('How are you?');
    await bob.message('How are you?').getByRole('button', { name: 'Hello, Ann' }).click();
    await bob.message('Hello, Ann').first().waitFor();
  });

  it('keeps the open room and its messages after a reload', async () => {
    const [ann, bob] = await two();
    await ann.page.reload();
    await ann.sees('Hello, Bob', 'read');
    await ann.say('Here again');
    await bob.sees('Here again');
  });

  it('sends a message that was written offline after the reconnect, once', async () => {
    const [ann, bob] = await two();
    await ann.page.context().setOffline(true);
    // An offline browser keeps its open connection, so the server must end it.
    await world.server.kill();
    await ann.banner.getByText('No connection').waitFor();
    await ann.say('written offline');
    await ann.sees('written offline', 'sending');
    await world.server.start();
    await ann.page.context().setOffline(false);
    await ann.sees('written offline', 'read');
    await bob.sees('written offline');
    await ann.banner.getByText('No connection').waitFor({ state: 'hidden' });
    expect(await bob.message('written offline').count()).to.equal(1);
  });

  it('reconnects at once on “Try now” and when the network is back', async () => {
    const [ann] = await two();
    // The page's timers never fire from here on.
    await ann.page.clock.install();
    await ann.page.clock.pauseAt(new Date(Date.now() + 60_000));
    for (const ask of [
      () => ann.banner.getByRole('button', { name: 'Try now' }).click(),
      () => ann.page.evaluate("dispatchEvent(new Event('online'))"),
    ]) {
      await world.server.kill();
      await ann.banner.getByText('No connection').waitFor();
      await world.server.start();
      await ask();
      await ann.banner.getByText('No connection').waitFor({ state: 'hidden' });
    }
  });

  it('sees at once that the browser has lost its network, and shows nobody as online then', async () => {
    const [ann, bob] = await two();
    const { page } = ann;
    const lost = ann.banner.getByText('No connection');
    const online = page
      .locator('.dot')
      .or(page.getByText('online', { exact: true }))
      .filter({ visible: true });
    await eventually('Bob is online', async () => (await online.count()) > 0);
    // The page's timers never fire from here on: the event alone must do it.
    await page.clock.install();
    await page.clock.pauseAt(new Date(Date.now() + 60_000));
    process.kill(world.server.pid, 'SIGSTOP');
    try {
      await page.evaluate("dispatchEvent(new Event('offline'))");
      await lost.waitFor();
      expect(await online.count(), `${bob.name} is not known to be online`).to.equal(0);
    } finally {
      process.kill(world.server.pid, 'SIGCONT');
    }
    // The connection has outlived it.
    await lost.waitFor({ state: 'hidden' });
    await eventually('Bob is online', async () => (await online.count()) > 0);
  });

  it('shows one banner from the loss of the connection until it is back, over all attempts', async () => {
    const [ann] = await two();
    const { page } = ann;
    await world.server.kill();
    await ann.banner.getByText('No connection').waitFor();
    await page.evaluate(`{
      const banner = document.querySelector('.connection');
      window.heights = new Set([banner.offsetHeight]);
      window.attempts = 0;
      new MutationObserver(() => {
        window.heights.add(banner.offsetHeight);
        if (banner.textContent.includes('Connecting')) window.attempts++;
      }).observe(banner, { childList: true, subtree: true, characterData: true });
    }`);
    await eventually('it has tried again', async () => (await page.evaluate<number>('window.attempts')) > 1);
    expect(await page.evaluate('[...window.heights].length')).to.equal(1);
    await world.server.start();
    await ann.banner.getByText('No connection').waitFor({ state: 'hidden' });
  });

  it('keeps unsent messages after a reload, and sends them once', async () => {
    const [ann, bob] = await two();
    await world.server.kill();
    await ann.banner.getByText('No connection').waitFor();
    await ann.say('before the reload');
    await ann.sees('before the reload', 'sending');
    await ann.storesUnsent('before the reload');
    await world.server.start();
    await ann.page.reload();
    await bob.sees('before the reload');
    await ann.sees('before the reload', 'read');
    expect(await bob.message('before the reload').count()).to.equal(1);
  });

  it('keeps a draft when the server is killed while a user types', async () => {
    const [ann, bob] = await two();
    await ann.composer.pressSequentially('half a sent');
    await world.server.kill();
    await ann.composer.pressSequentially('ence');
    await ann.banner.getByText('No connection').waitFor();
    await world.server.start();
    await ann.banner.getByText('No connection').waitFor({ state: 'hidden' });
    expect(await ann.composer.inputValue()).to.equal('half a sentence');
    await ann.composer.press('Enter');
    await bob.sees('half a sentence');
    for (const person of [ann, bob]) expect(await person.message('Hello').allInnerTexts()).to.have.length(2);
  });

  it('shows one conversation in several tabs, and signs out of all of them', async () => {
    const [ann, bob] = await two();
    const tab = await ann.page.context().newPage();
    await tab.goto(ann.page.url());
    await tab.getByRole('article').filter({ hasText: 'Hello, Ann' }).waitFor();
    await ann.say('from the first tab');
    await tab.getByRole('article').filter({ hasText: 'from the first tab' }).waitFor();
    await bob.sees('from the first tab');
    await tab.getByRole('button', { name: 'Account and settings' }).click();
    await tab.getByRole('button', { name: 'Sign out' }).click();
    for (const page of [tab, ann.page]) await page.getByLabel('User name').waitFor();
    await bob.page.getByText(/^last seen/).waitFor();
  });

  it('lets one person use two accounts in two windows of one browser', async () => {
    const ann = await somebody();
    const opening = ann.page.waitForEvent('popup');
    await ann.page.getByRole('link', { name: 'Open a second window' }).click();
    const second = await opening;
    await second.getByLabel('User name').fill(`${ann.name}-too`);
    await second.getByLabel('Password').fill(Person.password);
    await second.getByRole('button', { name: 'Sign up' }).first().click();
    await second.getByRole('searchbox').fill(ann.name);
    await second.getByRole('button', { name: `${ann.name}: open chat` }).click();
    await second.getByRole('textbox', { name: /^Message to/ }).fill('Hello, me');
    await second.keyboard.press('Enter');
    await ann.chat(`${ann.name}-too`).click();
    await ann.sees('Hello, me');
  });

  it('shows a refused message, and sends it again or discards it', async () => {
    let isRefusing = true;
    const refuse = (page: Page): Promise<void> =>
      page.routeWebSocket(/\/ws$/, (socket) => {
        const server = socket.connectToServer();
        socket.onMessage((text) => {
          const { id, event } = JSON.parse(String(text)) as { id: number; event: string };
          const error = { code: 'forbidden', message: 'not now' };
          if (isRefusing && event === 'send message') socket.send(JSON.stringify({ id, event, error }));
          else server.send(text);
        });
      });
    const ann = await somebody({}, refuse);
    const bob = await somebody();
    await ann.open(bob.name);
    for (const text of ['wanted', 'unwanted']) {
      await ann.say(text);
      await ann.sees(text, 'not sent');
    }
    await ann.message('unwanted').getByRole('button', { name: 'Discard' }).click();
    await ann.message('unwanted').waitFor({ state: 'hidden' });
    isRefusing = false;
    await ann.message('wanted').getByRole('button', { name: 'Try again' }).click();
    await ann.sees('wanted', 'sent');
    await bob.chat(ann.name).click();
    await bob.sees('wanted');
    expect(await bob.page.getByRole('article').count()).to.equal(1);
  });

  it('shows a notification of a message to a hidden page, if permitted', async () => {
    // A headless browser never hides a page and has no notifications.
    const standIn = `
      let isHidden = false;
      globalThis.hide = (hidden) => { isHidden = hidden; document.dispatchEvent(new Event('visibilitychange')); };
      Object.defineProperty(document, 'visibilityState', { get: () => (isHidden ? 'hidden' : 'visible') });
      globalThis.given = [];
      globalThis.Notification = class {
        static permission = 'granted';
        constructor(title, { body }) { given.push(title + ': ' + body); }
      };`;
    const ann = await somebody({}, async (page) => void (await page.addInitScript(standIn)));
    const bob = await somebody();
    await bob.open(ann.name);
    await bob.say('seen at once');
    await ann.chat(bob.name).click();
    await ann.sees('seen at once');
    await bob.sees('seen at once', 'read');
    await ann.page.evaluate('hide(true)');
    await bob.say('are you away?');
    const given = (): Promise<string[]> => ann.page.evaluate<string[]>('given');
    await eventually('a notification', async () => (await given()).length > 0);
    expect(await given()).to.deep.equal([`${bob.name}: are you away?`]);
    await bob.sees('are you away?', 'sent');
    await ann.page.evaluate('hide(false)');
    await bob.sees('are you away?', 'read');
  });

  it('goes on where notifications exist but cannot be shown, as on Android', async () => {
    const standIn = `
      let isHidden = false;
      globalThis.hide = (hidden) => { isHidden = hidden; document.dispatchEvent(new Event('visibilitychange')); };
      Object.defineProperty(document, 'visibilityState', { get: () => (isHidden ? 'hidden' : 'visible') });
      globalThis.tried = 0;
      globalThis.Notification = class {
        static permission = 'granted';
        static requestPermission() { throw new TypeError('not here'); }
        constructor() { tried++; throw new TypeError('Illegal constructor'); }
      };`;
    const ann = await somebody(
      // With a service worker they can be shown on Android too.
      { serviceWorkers: 'block' },
      async (page) => void (await page.addInitScript(standIn)),
    );
    const bob = await somebody();
    await bob.open(ann.name);
    await bob.say('one');
    await ann.chat(bob.name).waitFor();
    await ann.page.evaluate('hide(true)');
    for (const text of ['two', 'three']) {
      await bob.say(text);
      await ann.chat(bob.name).getByText(text).waitFor();
    }
    await eventually('a try', async () => (await ann.page.evaluate<number>('tried')) > 0);
    await ann.page.evaluate("hide(false), Notification.permission = 'default'");
    await ann.chat(bob.name).click();
    await bob.sees('three', 'read');
    await ann.page.getByRole('button', { name: 'Account and settings' }).click();
    await ann.page.getByRole('button', { name: 'Change password' }).waitFor();
    expect(await ann.page.getByRole('button', { name: 'Turn on notifications' }).count()).to.equal(0);
  });

  it('says that a chat in the address is not available, and has no message field for it', async () => {
    const [ann] = await two();
    const carl = await somebody();
    const address = new URL(ann.page.url());
    for (const hash of [
      address.hash,
      '#room=00000000-0000-4000-8000-000000000000',
      '#room=nonsense',
      '#room=',
    ]) {
      await carl.page.goto('about:blank');
      await carl.page.goto(`${address.origin}/${hash}`);
      await carl.page.getByText('This chat is not available.').waitFor();
      expect(await carl.composer.count(), hash).to.equal(0);
      await carl.page.locator('.main').getByRole('button', { name: 'Back to chats' }).last().click();
      expect(new URL(carl.page.url()).hash).to.equal('');
    }
  });

  it('keeps the selected appearance, and downloads the data of the user', async () => {
    const [ann] = await two();
    const { page } = ann;
    await page.getByRole('button', { name: 'Account and settings' }).click();
    await page.getByLabel('Appearance').selectOption('Dark');
    const saving = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download my data' }).click();
    const saved = await readFile(await (await saving).path(), 'utf8');
    for (const text of [ann.name, 'Hello, Bob', 'Hello, Ann']) expect(saved).to.contain(text);
    await page.reload();
    expect(await page.locator('html').getAttribute('data-theme')).to.equal('dark');
  });

  it('deletes an account for everyone, only with its password', async () => {
    const [ann, bob] = await two();
    await bob.page.getByRole('button', { name: 'Account and settings' }).click();
    await bob.page.getByRole('button', { name: 'Delete my account' }).click();
    await bob.page.getByLabel('Your password').fill('not the password');
    await bob.page.getByRole('button', { name: 'Delete account permanently' }).click();
    await bob.page.getByText('Wrong password.').waitFor();
    await bob.page.getByLabel('Your password').fill(Person.password);
    await bob.page.getByRole('button', { name: 'Delete account permanently' }).click();
    await bob.page.getByLabel('User name').waitFor();
    await ann.message('Message deleted').waitFor();
    await ann.page.getByText('This account was deleted').waitFor();
    await ann.sees('Hello, Bob');
    expect(await ann.composer.count()).to.equal(0);
    // The deleted user's name is nowhere in the page.
    expect(await ann.page.getByText(bob.name).count()).to.equal(0);
  });

  it('shows an error of the user name or password at its field', async () => {
    const ann = await somebody();
    const page = await (await world.browser.newContext()).newPage();
    await page.goto(world.server.url);
    const signUp = async (name: string, password: string): Promise<void> => {
      await page.getByLabel('User name').fill(name);
      await page.getByLabel('Password').fill(password);
      await page.getByRole('button', { name: 'Sign up' }).first().click();
    };
    await signUp(ann.name, Person.password);
    await page.getByText('This user name is taken.').waitFor();
    await signUp('new-person', 'password');
    await page
      .getByRole('textbox', { name: 'Password' })
      .and(page.locator('[aria-invalid="true"]'))
      .waitFor();
    await page.context().close();
  });

  it('switches between list and room in a narrow window, also with Back', async () => {
    const phone = { viewport: { width: 375, height: 740 } };
    const [ann, bob] = [await somebody(phone), await somebody(phone)];
    await ann.open(bob.name);
    expect(await ann.search.isVisible()).to.equal(false);
    await ann.page.getByRole('button', { name: 'Back to chats' }).click();
    expect(await ann.search.isVisible()).to.equal(true);
    await ann.chat(bob.name).click();
    await ann.composer.waitFor();
    await ann.page.goBack();
    await ann.search.waitFor();
  });

  it('shows a lost connection in a narrow window, in the list and in the room', async () => {
    const ann = await somebody({ viewport: { width: 375, height: 740 } });
    const bob = await somebody();
    await ann.open(bob.name);
    await world.server.kill();
    const told = ann.banner.getByText('No connection');
    await told.waitFor();
    await ann.page.getByRole('button', { name: 'Back to chats' }).click();
    await ann.search.waitFor();
    expect(await told.isVisible()).to.equal(true);
    await world.server.start();
  });
});
