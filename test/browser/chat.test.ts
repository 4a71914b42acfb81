import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { openBrowser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { Person } from './person.js';

describe('The web chat', function () {
  this.timeout(120_000);
  let browser: Browser;
  let server: ServerProcess;
  const people: Person[] = [];
  const somebody = async (
    options?: BrowserContextOptions,
    prepare?: (page: Page) => Promise<void>,
  ): Promise<Person> => {
    const person = await Person.at(browser, server.url, options, prepare);
    people.push(person);
    return person;
  };
  /** Two people who have each said something in their room. */
  async function two(): Promise<readonly [Person, Person]> {
    const [ann, bob] = [await somebody(), await somebody()];
    await ann.open(bob.name);
    await ann.say('Hello, Bob');
    await bob.chat(ann.name).click();
    await bob.say('Hello, Ann');
    await ann.sees('Hello, Ann');
    return [ann, bob];
  }

  before(async function () {
    const opened = await openBrowser();
    if (!opened) return this.skip();
    browser = opened;
    server = await startServer({ engine: 'sqlite', env: { PRESENCE_GRACE: '100ms' } });
  });
  afterEach(async () => {
    for (const person of people.splice(0)) {
      expect(person.strangers).to.deep.equal([]);
      await person.close();
    }
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  it('is a conversation of two people, who see what became of each message', async () => {
    const [ann, bob] = await two();
    await ann.sees('Hello, Bob', 'read');
    await bob.chat(ann.name).getByText(', online').waitFor({ state: 'attached' });
    await bob.composer.pressSequentially('Well');
    await ann.page.getByText('typing…', { exact: true }).waitFor();
    await bob.composer.press('Enter');
    await ann.sees('Well');
    await ann.page.getByText('typing…', { exact: true }).waitFor({ state: 'hidden' });
  });

  it('counts what has not been read, in the list and in the title', async () => {
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

  it('answers a message, and leads to what was answered', async () => {
    const [ann, bob] = await two();
    await ann.message('Hello, Ann').getByRole('button', { name: 'Reply' }).click();
    await ann.say('How are you?');
    await bob.message('How are you?').getByRole('button', { name: 'Hello, Ann' }).click();
    await bob.message('Hello, Ann').first().waitFor();
  });

  it('keeps room and conversation over a reload', async () => {
    const [ann, bob] = await two();
    await ann.page.reload();
    await ann.sees('Hello, Bob', 'read');
    await ann.say('Here again');
    await bob.sees('Here again');
  });

  it('takes what is written offline, and sends it once it is back', async () => {
    const [ann, bob] = await two();
    await ann.page.context().setOffline(true);
    // What is open stays open to a browser that only asks no more: the server ends it.
    await server.kill();
    await ann.banner.getByText('No connection').waitFor();
    await ann.say('written offline');
    await ann.sees('written offline', 'sending');
    await server.start({ PORT: new URL(ann.page.url()).port });
    await ann.page.context().setOffline(false);
    await ann.sees('written offline', 'read');
    await bob.sees('written offline');
    await ann.banner.getByText('No connection').waitFor({ state: 'hidden' });
    expect(await bob.message('written offline').count()).to.equal(1);
  });

  it('connects at once when somebody will not wait, or the network is back', async () => {
    const [ann] = await two();
    const port = new URL(ann.page.url()).port;
    // From here on no wait of the page comes to an end.
    await ann.page.clock.install();
    await ann.page.clock.pauseAt(new Date(Date.now() + 60_000));
    for (const ask of [
      () => ann.banner.getByRole('button', { name: 'Try now' }).click(),
      () => ann.page.evaluate("dispatchEvent(new Event('online'))"),
    ]) {
      await server.kill();
      await ann.banner.getByText('No connection').waitFor();
      await server.start({ PORT: port });
      await ask();
      await ann.banner.getByText('No connection').waitFor({ state: 'hidden' });
    }
  });

  it('keeps what is unsent over a reload, and sends it once', async () => {
    const [ann, bob] = await two();
    const port = new URL(ann.page.url()).port;
    await server.kill();
    await ann.banner.getByText('No connection').waitFor();
    await ann.say('before the reload');
    await ann.sees('before the reload', 'sending');
    await server.start({ PORT: port });
    await ann.page.reload();
    await bob.sees('before the reload');
    await ann.sees('before the reload', 'read');
    expect(await bob.message('before the reload').count()).to.equal(1);
  });

  it('loses nothing when the server is killed while somebody types', async () => {
    const [ann, bob] = await two();
    const port = new URL(ann.page.url()).port;
    await ann.composer.pressSequentially('half a sent');
    await server.kill();
    await ann.composer.pressSequentially('ence');
    await ann.banner.getByText('No connection').waitFor();
    await server.start({ PORT: port });
    await ann.banner.getByText('No connection').waitFor({ state: 'hidden' });
    expect(await ann.composer.inputValue()).to.equal('half a sentence');
    await ann.composer.press('Enter');
    await bob.sees('half a sentence');
    for (const person of [ann, bob]) expect(await person.message('Hello').allInnerTexts()).to.have.length(2);
  });

  it('is one conversation in several tabs, and ends in all of them', async () => {
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

  it('lets one person be two, in two windows of one browser', async () => {
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

  it('shows what was refused, sends it again or forgets it', async () => {
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

  it('gives notice of a message while nobody looks, where that is allowed', async () => {
    // A browser without a window never hides a page, and shows no notices.
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
    await eventually('a notice', async () => (await given()).length > 0);
    expect(await given()).to.deep.equal([`${bob.name}: are you away?`]);
    await bob.sees('are you away?', 'sent');
    await ann.page.evaluate('hide(false)');
    await bob.sees('are you away?', 'read');
  });

  it('looks as it was told to, and hands out all that the server has about somebody', async () => {
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

  it('erases an account for everybody, with its password only', async () => {
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
    // Nothing of theirs but what the one who was told had typed themselves.
    expect(await ann.page.getByText(bob.name).count()).to.equal(0);
  });

  it('says at the field what is wrong with a name or a password', async () => {
    const ann = await somebody();
    const page = await (await browser.newContext()).newPage();
    await page.goto(server.url);
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

  it('goes from list to room and back in a narrow window, by Back too', async () => {
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

  it('tells in a narrow window too, in list and room, that there is no connection', async () => {
    const ann = await somebody({ viewport: { width: 375, height: 740 } });
    const bob = await somebody();
    await ann.open(bob.name);
    const port = new URL(ann.page.url()).port;
    await server.kill();
    const told = ann.banner.getByText('No connection');
    await told.waitFor();
    await ann.page.getByRole('button', { name: 'Back to chats' }).click();
    await ann.search.waitFor();
    expect(await told.isVisible()).to.equal(true);
    await server.start({ PORT: port });
  });
});
