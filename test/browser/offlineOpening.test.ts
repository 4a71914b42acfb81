import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { openWorld } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/freePort.js';
import { RawSocket } from '../support/rawSocket.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { KEPT, keptText } from './keptRecords.js';
import { Person, tryNow } from './person.js';

/** Resolves when the service worker keeps the files of this page's build. */
const installed = (page: Page): Promise<unknown> =>
  page.evaluate(`navigator.serviceWorker.ready.then(({ active }) => active.state === 'activated' ||
    new Promise((done) => active.addEventListener('statechange', done)))`);

/** Waits until this browser keeps the text for the next opening. */
const keeps = ({ page }: Person, text: string): Promise<void> =>
  eventually(`${text} is kept`, async () => (await page.evaluate<string>(keptText)).includes(text));

describe('The chat, opened without a network', function () {
  this.timeout(90_000);
  const world = openWorld();
  let server: ServerProcess;
  let ann: Person;
  let bob: Person;

  beforeEach(async () => {
    server = await startServer({ engine: 'sqlite', env: { PORT: String(await freePort()) } });
    [ann, bob] = [await Person.at(world.browser, server.url), await Person.at(world.browser, server.url)];
  });

  afterEach(async () => {
    for (const person of [ann, bob]) {
      expect(person.strangers).to.deep.equal([]);
      await person.close();
    }
    await server.stop();
  });

  /** Ann closes the page, the server goes, and she opens the page again. */
  async function openAgain(before: () => Promise<void> = async () => {}): Promise<Page> {
    const address = ann.page.url();
    await installed(ann.page);
    const context = ann.page.context();
    await ann.page.close();
    await before();
    await server.kill();
    const page = await context.newPage();
    await page.goto(address);
    return page;
  }

  const article = (page: Page, text: string) => page.getByRole('article').filter({ hasText: text });
  const row = (page: Page, text: string) =>
    page.getByRole('navigation', { name: 'Chats' }).getByRole('button').filter({ hasText: text });

  it('shows chats and messages at once, and then what was missed, each once', async () => {
    await ann.open(bob.name);
    for (const text of ['one', 'two', 'three']) await ann.say(text);
    await ann.sees('three', 'sent');
    await bob.chat(ann.name).click();
    await bob.sees('three');
    await bob.openOptions('two').then((options) => options.getByRole('button', { name: '👍' }).click());
    await ann.message('two').getByText('👍').waitFor();
    await bob.say('four');
    await ann.sees('four');
    await ann.composer.fill('a draft');
    await eventually('the draft is stored', async () =>
      (await ann.page.evaluate<string>('JSON.stringify(localStorage)')).includes('a draft'),
    );
    await keeps(ann, 'four');
    const page = await openAgain(async () => {
      await bob.say('missed');
      await bob.sees('missed', 'sent');
      await bob.choose('four', 'Delete');
      await bob.page.getByRole('button', { name: 'Delete for everyone' }).click();
      await bob.message('four').waitFor({ state: 'detached' });
    });
    await article(page, 'four').waitFor();
    await article(page, 'two').getByText('👍').waitFor();
    await row(page, 'four').waitFor();
    await page.getByText('No connection').waitFor();
    expect(await article(page, '').allInnerTexts()).to.have.length(4);
    expect(await page.getByRole('textbox', { name: `Message to ${bob.name}` }).inputValue()).to.equal(
      'a draft',
    );

    await server.start();
    await tryNow(page);
    await article(page, 'missed').waitFor();
    await article(page, 'four').waitFor({ state: 'detached' });
    expect(await article(page, '').allInnerTexts()).to.have.length(5);
    expect(await article(page, 'missed').count()).to.equal(1);
    await row(page, 'missed').waitFor();
    await eventually('the deleted text is not kept', async () => {
      const text = await page.evaluate<string>(keptText);
      return text.includes('missed') && !text.includes('four');
    });
  });

  it('says that earlier messages need a connection, and has them with it', async () => {
    const token = await bob.page.evaluate<string>("JSON.parse(localStorage['parley.session']).token");
    await bob.open(ann.name);
    const roomId = new URL(bob.page.url()).hash.slice('#room='.length);
    const device = await RawSocket.open(server.wsUrl, token);
    for (let n = 1; n <= 120; n++)
      await device.request('send message', {
        roomId,
        messageId: crypto.randomUUID(),
        message: `message ${n}.`,
      });
    await device.close();
    await ann.chat(bob.name).click();
    await ann.sees('message 120.');
    // The list of chats has the last one, and may be kept before the messages of the room are.
    for (const text of ['message 120.', 'message 71.']) await keeps(ann, text);
    const page = await openAgain();
    await article(page, 'message 120.').waitFor();
    const list = page.getByRole('region', { name: 'Messages' });
    await page.getByText('No connection').waitFor();
    await list.press('Home');
    await page.getByText('Earlier messages need a connection.').waitFor();
    await eventually('all that is kept', async () => {
      await list.press('Home');
      return (await article(page, 'message 71.').count()) === 1;
    });
    await server.start();
    await tryNow(page);
    await page.getByText('Earlier messages need a connection.').waitFor({ state: 'detached' });
    await eventually('the first message', async () => {
      await list.press('Home');
      return (await article(page, 'message 1.').count()) === 1;
    });
  });

  it('shows nothing of a session that has ended elsewhere once the page knows, and keeps nothing', async () => {
    await ann.open(bob.name);
    await ann.say('a secret');
    await keeps(ann, 'a secret');
    const token = await ann.page.evaluate<string>("JSON.parse(localStorage['parley.session']).token");
    const page = await openAgain(async () => {
      await fetch(`${server.url}/user/signout`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      });
    });
    await article(page, 'a secret').waitFor();
    await server.start();
    await tryNow(page);
    await page.getByLabel('User name').waitFor();
    expect(await page.evaluate<string>(keptText)).not.to.include('a secret');
    expect(await page.evaluate<number>(KEPT)).to.equal(0);
  });
});
