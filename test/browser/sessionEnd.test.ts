import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { Rest } from '../../packages/client/src/rest.js';
import { openWorld } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { parley } from '../support/parley.js';
import { RawSocket } from '../support/rawSocket.js';
import { KEPT, keptText } from './keptRecords.js';
import { Person, tryNow } from './person.js';

/** Runs in the page. */
const TOKEN = "JSON.parse(localStorage.getItem('parley.session')).token";
const UNSENT =
  "indexedDB.databases().then((all) => all.filter(({ name }) => name.startsWith('parley-')).length)";

describe('The end of a session in a browser', function () {
  this.timeout(120_000);
  const world = openWorld();

  const signIn = async (page: Page, name: string): Promise<void> => {
    const isNew = page.getByRole('button', { name: 'Sign up' }).and(page.locator('[type="submit"]'));
    if (await isNew.isVisible()) await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByLabel('User name').fill(name);
    await page.getByLabel('Password').fill(Person.password);
    await page.getByRole('button', { name: 'Sign in' }).first().click();
  };
  const signOut = async (page: Page): Promise<void> => {
    await page.getByRole('button', { name: 'Account and settings' }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    const anyway = page.getByRole('button', { name: 'Sign out anyway' });
    await anyway.or(page.getByLabel('User name')).first().waitFor();
    if (await anyway.isVisible()) await anyway.click();
  };
  const otherTab = async ({ page }: Person): Promise<Page> => {
    const tab = await page.context().newPage();
    await tab.goto(world.server.url);
    await tab.getByRole('searchbox').waitFor();
    return tab;
  };

  /** Waits for a page after the one that the test has marked. While it is loaded, neither can be asked. */
  const isLoadedAnew = (page: Page): Promise<void> =>
    eventually('a new page', () =>
      page.evaluate('globalThis.isOldPage').then(
        (mark) => mark === undefined,
        () => false,
      ),
    );

  /** What the page then says above the form to sign in. */
  const said = (how: string): string =>
    how === 'with the account' ? 'Your account was deleted.' : 'You are signed out.';
  /** The ways in which the session of Ann's window ends, while Bob is at hand. */
  const ends: Readonly<Record<string, (ann: Person) => Promise<void>>> = {
    'by the menu': ({ page }) => signOut(page),
    'by the menu of another tab': async (ann) => signOut(await otherTab(ann)),
    'on another device': async ({ page }) => {
      await new Rest(world.server.url).signOut(await page.evaluate<string>(TOKEN));
    },
    'with the account': async ({ page }) => {
      await page.getByRole('button', { name: 'Account and settings' }).click();
      await page.getByRole('button', { name: 'Delete my account' }).click();
      await page.getByLabel('Your password').fill(Person.password);
      await page.getByRole('button', { name: 'Delete account permanently' }).click();
    },
  };
  it('does not come from a clock of the device that is years ahead', async () => {
    const ann = await Person.at(world.browser, world.server.url);
    await ann.page.clock.setSystemTime(new Date('2099-01-01T00:00:00Z'));
    expect(await ann.page.evaluate<string>('new Date().toISOString()')).to.match(/^2099/);
    await ann.page.reload();
    await ann.search.waitFor();
    expect(await ann.page.evaluate<string>('new Date().toISOString()'), 'still').to.match(/^2099/);
  });

  for (const [how, end] of Object.entries(ends))
    it(`leaves nothing of the user to the next one (${how})`, async () => {
      const [bob, ann] = [
        await Person.at(world.browser, world.server.url),
        await Person.at(world.browser, world.server.url),
      ];
      await bob.open(ann.name);
      await bob.say('Hello');
      await ann.open(bob.name);
      await ann.sees('Hello');
      await ann.composer.fill('not for Bob to read');
      await eventually('it is kept', async () => (await ann.page.evaluate<number>(KEPT)) === 1);
      await ann.page.evaluate('globalThis.isOldPage = true');
      await end(ann);
      await ann.page.getByLabel('User name').waitFor();
      await ann.page.getByText(said(how), { exact: true }).waitFor();
      await ann.page.locator('[type="submit"]', { hasText: 'Sign in' }).waitFor();
      expect(ann.page.url()).to.equal(`${world.server.url}/`);
      expect(await ann.page.title()).to.equal('Parley');
      expect(await ann.page.evaluate('globalThis.isOldPage'), 'the memory of the page').to.equal(undefined);
      expect(await ann.page.evaluate(KEPT), 'kept chats').to.equal(0);
      // What waits in the outbox stays for a user who was signed out from elsewhere.
      if (how !== 'on another device') expect(await ann.page.evaluate(UNSENT), 'unsent messages').to.equal(0);

      await signIn(ann.page, bob.name);
      await ann.search.waitFor();
      await ann.page.getByRole('navigation', { name: 'Chats' }).getByRole('button').first().click();
      await ann.sees('Hello');
      if (how === 'with the account') expect(await ann.composer.count()).to.equal(0);
      else expect(await ann.composer.inputValue()).to.equal('');
      for (const person of [ann, bob]) {
        expect(person.strangers).to.deep.equal([]);
        await person.close();
      }
    });

  it('is asked for first if it loses an unsent message or a draft, without a connection too', async () => {
    const [bob, ann] = [
      await Person.at(world.browser, world.server.url),
      await Person.at(world.browser, world.server.url),
    ];
    const { page } = ann;
    await ann.open(bob.name);
    await ann.say('Hello');
    await ann.sees('Hello', 'sent');
    await world.server.kill();
    await ann.banner.getByText('No connection').waitFor();
    await ann.say('not sent yet');
    await ann.sees('not sent yet', 'sending');
    await ann.composer.fill('half a sentence');
    const ask = async (): Promise<string | null> => {
      await page.getByRole('button', { name: 'Account and settings' }).click();
      await page.getByRole('button', { name: 'Sign out' }).click();
      const question = page.getByRole('dialog', { name: 'Sign out?' });
      await question.waitFor();
      return question.textContent();
    };
    expect(await ask()).to.include('1 message is not sent yet. 1 chat has a draft.');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Close' }).click();
    await world.server.start();
    await tryNow(page);
    await ann.sees('not sent yet', 'sent');
    expect(await ann.composer.inputValue()).to.equal('half a sentence');
    expect(await ask())
      .to.include('1 chat has a draft.')
      .and.not.include('not sent yet');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Close' }).click();
    // What the server has refused is lost too, though it waits for no connection.
    const device = await RawSocket.open(world.server.wsUrl, await bob.page.evaluate<string>(TOKEN));
    const { user } = await new Rest(world.server.url).signIn(ann.name, Person.password);
    await device.request('block user', { userId: user.userId, block: true });
    await device.close();
    await ann.say('refused');
    await ann.sees('refused', 'not sent');
    expect(await ask()).to.include('1 message is not sent yet.');
    await page.getByRole('button', { name: 'Sign out anyway' }).click();
    await page.getByLabel('User name').waitFor();
    for (const person of [ann, bob]) await person.close();
  });

  it('comes to all other devices of a user who asks for it, and not to this one', async () => {
    const ann = await Person.at(world.browser, world.server.url);
    const second = await (await world.browser.newContext({ locale: 'en-GB' })).newPage();
    await second.goto(world.server.url);
    await signIn(second, ann.name);
    await second.getByRole('searchbox').waitFor();
    await ann.page.getByRole('button', { name: 'Account and settings' }).click();
    await ann.page.getByRole('button', { name: 'End my other sessions' }).click();
    const question = ann.page.getByRole('dialog', { name: 'End my other sessions' });
    await question.getByText('This one stays signed in.').waitFor();
    await question.getByRole('button', { name: 'End my other sessions' }).click();
    await ann.page.getByText('Your other sessions have ended.').waitFor();
    await second.getByText('You are signed out.').waitFor();
    await ann.page.reload();
    await ann.search.waitFor();
    await second.context().close();
    await ann.close();
  });

  it('leaves no chats when the page was closed before it could delete them', async () => {
    const [bob, ann] = [
      await Person.at(world.browser, world.server.url),
      await Person.at(world.browser, world.server.url),
    ];
    await ann.open(bob.name);
    await ann.say('a secret');
    await eventually('it is kept', async () =>
      (await ann.page.evaluate<string>(keptText)).includes('a secret'),
    );
    await ann.page.goto(`${world.server.url}/robots.txt`);
    const { page } = ann;
    await page.evaluate("localStorage.removeItem('parley.session')");
    await page.evaluate(`localStorage.setItem('parley.session.second', ${JSON.stringify('{}')})`);
    expect(await page.evaluate(KEPT)).to.equal(1);
    await page.goto(world.server.url);
    await page.getByLabel('User name').waitFor();
    await eventually('they are deleted', async () => (await page.evaluate<number>(KEPT)) === 0);
    for (const person of [ann, bob]) await person.close();
  });

  it('leaves the chats of another user who is signed in beside', async () => {
    const ann = await Person.at(world.browser, world.server.url);
    const { page } = ann;
    await eventually('they are kept', async () => (await page.evaluate<number>(KEPT)) === 1);
    const second = await page.context().newPage();
    await second.goto(`${world.server.url}/?as=second`);
    await second.getByLabel('User name').fill(`${ann.name}-2`);
    await second.getByLabel('Password').fill(Person.password);
    await second.getByRole('button', { name: 'Sign up' }).first().click();
    await eventually('both are kept', async () => (await page.evaluate<number>(KEPT)) === 2);
    await signOut(second);
    await second.getByLabel('User name').waitFor();
    expect(await page.evaluate<string>(keptText)).to.include(`"${ann.name}"`);
    expect(await page.evaluate(KEPT)).to.equal(1);
    await ann.close();
  });

  it('says so when the account is suspended', async () => {
    const ann = await Person.at(world.browser, world.server.url);
    const told = await parley(['user', 'suspend', ann.name, '--reason', 'spam'], world.server.settings);
    expect(told.code, told.err).to.equal(0);
    await ann.page.getByText('This account is suspended. Ask the people who run this server.').waitFor();
    await ann.page.locator('[type="submit"]', { hasText: 'Sign in' }).waitFor();
    await ann.close();
  });

  it('says so when the password was changed on another device', async () => {
    const ann = await Person.at(world.browser, world.server.url);
    const rest = new Rest(world.server.url);
    const { token } = await rest.signIn(ann.name, Person.password);
    await rest.changePassword(token, Person.password, 'another horse 2');
    await ann.page.getByText('Your password was changed on another device.').waitFor();
    await ann.page.locator('[type="submit"]', { hasText: 'Sign in' }).waitFor();
    await ann.close();
  });

  it('leaves nothing to another user who signs in in another tab', async () => {
    const [bob, ann] = [
      await Person.at(world.browser, world.server.url),
      await Person.at(world.browser, world.server.url),
    ];
    await ann.open(bob.name);
    await ann.composer.fill('not for Bob to read');
    await ann.page.evaluate('globalThis.isOldPage = true');
    const session = await new Rest(world.server.url).signIn(bob.name, Person.password);
    const tab = await ann.page.context().newPage();
    await tab.goto(`${world.server.url}/robots.txt`);
    await tab.evaluate(`localStorage.setItem('parley.session', ${JSON.stringify(JSON.stringify(session))})`);
    // The open chat has Bob's name in its heading too, and the address changes before the page goes.
    await isLoadedAnew(ann.page);
    await ann.page.waitForURL(`${world.server.url}/`);
    await ann.page.getByRole('heading', { name: bob.name }).waitFor();
    for (const person of [ann, bob]) await person.close();
  });

  it('leaves nothing of an auditor in the console', async () => {
    const ann = await Person.at(world.browser, world.server.url);
    expect((await parley(['role', 'auditor', ann.name], world.server.settings)).code).to.equal(0);
    const { page } = ann;
    await eventually('the chats are kept', async () => (await page.evaluate<number>(KEPT)) === 1);
    for (const end of [
      async () => {
        await page.getByRole('button', { name: /^Menu of/ }).click();
        await page.getByRole('button', { name: 'Sign out' }).click();
      },
      async () => {
        // Otherwise an answer to a request from before could end it first.
        await page.waitForLoadState('networkidle');
        await new Rest(world.server.url).signOut(await page.evaluate<string>(TOKEN));
        await page.getByRole('button', { name: 'Search', exact: true }).click();
      },
    ]) {
      await page.goto(`${world.server.url}/audit#/events?type=UserCreated`);
      const signing = page.getByLabel('User name');
      await page
        .getByRole('button', { name: /^(Sign|Menu of)/ })
        .first()
        .waitFor();
      if (await signing.isVisible()) await signIn(page, ann.name);
      await page.getByRole('heading', { name: 'Events', exact: true }).waitFor();
      await page.evaluate('globalThis.isOldPage = true');
      await end();
      await signing.waitFor();
      await isLoadedAnew(page);
      expect(page.url()).to.equal(`${world.server.url}/audit`);
      expect(await page.evaluate(KEPT), 'chats that are kept').to.equal(0);
    }
    await ann.close();
  });
});
