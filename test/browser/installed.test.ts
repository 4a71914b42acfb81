import { expect } from 'chai';
import type { Page, Worker } from 'playwright-core';
import { openWholeBrowser, openWorld } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/freePort.js';
import { buildOtherPages } from '../support/newBuild.js';
import { RawSocket } from '../support/rawSocket.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { Person, tryNow } from './person.js';

/** Resolves when the worker keeps the files of this page's build. */
const kept = (page: Page): Promise<unknown> =>
  page.evaluate(`navigator.serviceWorker.ready.then(({ active }) => active.state === 'activated' ||
    new Promise((done) => active.addEventListener('statechange', done)))`);

/** Every URL that the browser keeps for this origin. */
const keptUrls = (page: Page): Promise<string[]> =>
  page.evaluate<string[]>(`caches.keys().then((names) => Promise.all(names.map(async (name) =>
    (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname)))).then((all) => all.flat())`);

/**
 * Counts the notifications that the worker of this page shows. A test asks for the notifications only after that:
 * Chromium forgets one that it is about to show when it is asked meanwhile (`platform_notification_context_impl.cc`).
 */
const COUNT_SHOWN = `globalThis.shown = 0;
  const { prototype } = ServiceWorkerRegistration;
  const show = prototype.showNotification;
  prototype.showNotification = async function (...all) { await show.apply(this, all); shown++; };`;

/** A headless browser never hides a page. */
const HIDE = `Object.defineProperty(document, 'visibilityState', { get: () => 'hidden', configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));`;

describe('The installed chat', function () {
  this.timeout(120_000);
  const world = openWorld();

  async function workerOf(person: Person): Promise<Worker> {
    await kept(person.page);
    const context = person.page.context();
    // The page may know of its worker before the test does.
    const [worker] = context.serviceWorkers();
    return worker ?? context.waitForEvent('serviceworker');
  }

  it('can be installed: a manifest whose icons are there, with one that any shape may be cut of', async () => {
    const page = await (await world.browser.newContext()).newPage();
    await page.goto(world.server.url);
    const href = await page.locator('link[rel="manifest"]').getAttribute('href');
    const answer = await page.request.get(`${world.server.url}${href}`);
    expect(answer.headers()['content-type']).to.match(/^application\/manifest\+json/);
    const manifest = await answer.json();
    expect(manifest).to.include({ name: 'Parley', start_url: '/', scope: '/', display: 'standalone' });
    const sizes = new Map<string, string>();
    for (const { src, sizes: size, purpose = 'any' } of manifest.icons) {
      sizes.set(`${size} ${purpose}`, src);
      const shown = await page.evaluate<number>(`new Promise((resolve, reject) => {
        const image = new Image();
        image.onload = () => resolve(image.naturalWidth);
        image.onerror = reject;
        image.src = ${JSON.stringify(src)};
      })`);
      if (size !== 'any') expect(shown, src).to.equal(Number.parseInt(size, 10));
    }
    expect([...sizes.keys()]).to.include.members(['192x192 any', '512x512 any', '512x512 maskable']);
    await page.context().close();
  });

  it('opens without a network, keeps what is written there, and sends it later, once', async () => {
    const server = await startServer({ engine: 'sqlite', env: { PORT: String(await freePort()) } });
    const [ann, bob] = [
      await Person.at(world.browser, server.url),
      await Person.at(world.browser, server.url),
    ];
    await ann.open(bob.name);
    await ann.say('before the tunnel');
    await ann.sees('before the tunnel', 'sent');
    await kept(ann.page);
    await server.kill();
    await ann.banner.getByText('No connection').waitFor();
    await ann.say('in the tunnel');
    await ann.sees('in the tunnel', 'sending');
    const again = await ann.page.context().newPage();
    await again.goto(ann.page.url());
    await again.getByText('No connection').waitFor();
    await again.getByRole('article').filter({ hasText: 'in the tunnel' }).waitFor();
    await ann.page.close();
    await server.start();
    await tryNow(again);
    await again
      .getByRole('article')
      .filter({ hasText: 'in the tunnel' })
      .locator('.mark', { hasText: 'sent' })
      .waitFor();
    await bob.page.evaluate("dispatchEvent(new Event('online'))");
    await bob.chat(ann.name).click();
    await bob.sees('in the tunnel');
    expect(await bob.message('in the tunnel').count()).to.equal(1);
    await bob.close();
    await again.context().close();
    await server.stop();
  });

  it('finds emoji without a network once they were used, by their names in the language of the page', async () => {
    for (const [locale, button, word] of [
      ['en', 'Emoji', 'rocket'],
      ['ar', 'رموز تعبيرية', 'صاروخ'],
    ] as const) {
      const server = await startServer({ engine: 'sqlite' });
      const { url } = server;
      const [ann, bob] = [await Person.at(world.browser, url), await Person.at(world.browser, url)];
      await bob.open(ann.name);
      await bob.say('Hello');
      await bob.sees('Hello', 'sent');
      await kept(ann.page);
      const own = await ann.page
        .context()
        .browser()
        ?.newContext({
          locale,
          storageState: await ann.page.context().storageState(),
        });
      if (!own) throw new Error('there is no browser');
      const find = async (page: Page): Promise<void> => {
        await page.getByRole('button', { name: button, exact: true }).click();
        const picker = page.locator('.emoji-picker');
        await picker.getByRole('searchbox').fill(word);
        await picker.getByRole('button', { name: word }).first().getByText('🚀').waitFor();
      };
      const page = await own.newPage();
      await page.goto(url);
      await kept(page);
      await page.locator('.row .chat').click();
      await page.getByRole('article').filter({ hasText: 'Hello' }).waitFor();
      // A list that was asked for before the worker was there is not kept.
      await page.reload();
      await find(page);
      await page.reload();
      // The chat itself is here too, not only its messages.
      await page.getByRole('button', { name: button, exact: true }).waitFor();
      await server.kill();
      await find(page);
      await own.close();
      for (const person of [ann, bob]) await person.close();
    }
  });

  it('keeps the files of the chat, and nothing that the API answers', async () => {
    const ann = await Person.at(world.browser, world.server.url);
    await kept(ann.page);
    await ann.search.fill('a');
    await ann.page.getByText(/found\.?$/).waitFor();
    await ann.page.reload();
    await ann.search.waitFor();
    const urls = await keptUrls(ann.page);
    expect(urls).to.include.members(['/', '/icon.svg', '/manifest.webmanifest']);
    for (const url of urls) expect(url).to.match(/^\/(?:assets\/[\w.-]+|[\w-]+\.(?:svg|png|webmanifest))?$/);
    expect(urls.filter((url) => /audit|admin/.test(url))).to.deep.equal([]);
    expect(ann.strangers).to.deep.equal([]);
    await ann.close();
  });

  it('shows a notification of the worker for a hidden page, whose click opens the room', async function () {
    const browser = await openWholeBrowser();
    if (!browser) return this.skip();
    const [ann, bob] = [
      await Person.at(browser, world.server.url, { permissions: ['notifications'] }, (page) =>
        page.addInitScript(COUNT_SHOWN),
      ),
      await Person.at(world.browser, world.server.url),
    ];
    if ((await ann.page.evaluate('Notification.permission')) !== 'granted') {
      if (process.env.CI === 'true')
        throw new Error('CI needs a Chromium with notifications: apt-get install chromium');
      return this.skip();
    }
    const worker = await workerOf(ann);
    await ann.page.evaluate(HIDE);
    await bob.open(ann.name);
    await bob.say('are you there?');
    await eventually('a notification is shown', async () => (await ann.page.evaluate<number>('shown')) > 0);
    expect(
      await worker.evaluate(
        'registration.getNotifications().then((all) => all.map(({ title, body }) => title + ": " + body))',
      ),
    ).to.deep.equal([`${bob.name}: are you there?`]);
    expect(await ann.page.title()).to.equal('(1) Parley');
    expect(await ann.page.locator('link[rel="icon"]').getAttribute('href')).to.equal('/icon-unread.svg');
    expect(await ann.page.evaluate('location.hash')).to.equal('');
    await worker.evaluate(`(async () => {
      const [notification] = await registration.getNotifications();
      dispatchEvent(new NotificationEvent('notificationclick', { notification }));
    })()`);
    await ann.composer.waitFor();
    await ann.sees('are you there?');
    await bob.close();
    await browser.close();
  });
});

describe('The sound of a message', function () {
  this.timeout(120_000);
  const world = openWorld();

  it('is made for a chat that is not open, unless the user has turned it off or muted the chat', async () => {
    const [ann, bob] = [
      await Person.at(world.browser, world.server.url, {}, async (page) => {
        await page.addInitScript(`
          globalThis.tones = 0;
          const { prototype } = OscillatorNode;
          const start = prototype.start;
          prototype.start = function (at) { tones++; start.call(this, at); };
          // Messages at once make one sound: here each comes two seconds after the one before.
          globalThis.passed = 0;
          const now = performance.now.bind(performance);
          performance.now = () => now() + passed;`);
      }),
      await Person.at(world.browser, world.server.url),
    ];
    const receive = async (text: string): Promise<void> => {
      await ann.page.evaluate('void (passed += 2000)');
      await bob.say(text);
      await ann.chat(bob.name).getByText(text).waitFor();
    };
    /** Two tones a sound; one that should not have been made is counted too. */
    const hears = (sounds: number): Promise<void> =>
      eventually(`${sounds} sounds`, async () => (await ann.page.evaluate<number>('tones')) === sounds * 2);
    const setSound = async (isOn: boolean): Promise<void> => {
      await ann.page.getByRole('button', { name: 'Account and settings' }).click();
      await ann.page.getByLabel('Play a sound for new messages').setChecked(isOn);
      await ann.page.keyboard.press('Escape');
    };
    await ann.search.click();
    await bob.open(ann.name);
    await receive('one');
    await hears(1);
    await setSound(false);
    await receive('two');
    await setSound(true);
    await receive('three');
    await hears(2);
    const token = await ann.page.evaluate<string>("JSON.parse(localStorage['parley.session']).token");
    const device = await RawSocket.open(world.server.wsUrl, token);
    const roomId = new URL(bob.page.url()).hash.slice('#room='.length);
    const muted = ann.chat(bob.name).getByTitle('muted', { exact: true });
    await device.request('change chat', { roomId, mutedUntil: '2100-01-01T00:00:00.000Z' });
    await muted.waitFor({ state: 'attached' });
    await receive('four');
    await device.request('change chat', { roomId, mutedUntil: null });
    await muted.waitFor({ state: 'detached' });
    await ann.chat(bob.name).click();
    await ann.sees('four');
    await receive('five, in the open room');
    await ann.page.goBack();
    await ann.composer.waitFor({ state: 'hidden' });
    await receive('six');
    await hears(3);
    await device.close();
    await ann.close();
    await bob.close();
  });
});

describe('A page whose build is gone from the server', function () {
  this.timeout(120_000);
  const world = openWorld();
  const servers: ServerProcess[] = [];
  after(async () => {
    for (const server of servers) await server.stop();
  });

  it('loads the new one when it first needs a file that is gone, once, with the draft and the room', async () => {
    const env = { PORT: String(await freePort()) };
    const old = await startServer({ engine: 'sqlite', env });
    servers.push(old);
    // Without a worker, which would have the files.
    const ann = await Person.at(world.browser, old.url, { serviceWorkers: 'block' });
    const bob = await Person.at(world.browser, old.url);
    const { page } = ann;
    await ann.open(bob.name);
    await ann.say('Hello');
    await ann.sees('Hello', 'sent');
    await ann.composer.fill('half of a thou');
    const main = await buildOtherPages({ 'bar.account': 'Of the new build' });
    await old.stop();
    servers.push(await startServer({ engine: 'sqlite', env, main, dataDir: old.dataDir }));
    let loads = 0;
    page.on('framenavigated', () => {
      loads++;
    });
    await page.getByRole('button', { name: 'Account and settings' }).click();
    await page.getByRole('button', { name: 'Of the new build' }).waitFor();
    expect(loads).to.equal(1);
    expect(await ann.composer.inputValue()).to.equal('half of a thou');
    await ann.sees('Hello', 'sent');
    await page.getByRole('button', { name: 'Of the new build' }).click();
    await page.getByRole('heading', { name: 'Account and settings' }).waitFor();
    expect(ann.strangers).to.deep.equal([]);
    await ann.close();
    await bob.close();
  });
});

describe('A new build of the chat', function () {
  this.timeout(90_000);
  const world = openWorld();
  const servers: ServerProcess[] = [];
  after(async () => {
    for (const server of servers) await server.stop();
  });

  it('is offered to open pages, which have all files of their own build until they take it', async () => {
    const env = { PORT: String(await freePort()) };
    const old = await startServer({ engine: 'sqlite', env });
    servers.push(old);
    const ann = await Person.at(world.browser, old.url);
    await kept(ann.page);
    const other = await ann.page.context().newPage();
    await other.goto(old.url);
    await other.getByRole('searchbox').waitFor();
    const before = await keptUrls(ann.page);
    const main = await buildOtherPages({ 'connection.none': 'The new build has no connection.' });
    await old.stop();
    const fresh = await startServer({ engine: 'sqlite', env, main, dataDir: old.dataDir });
    servers.push(fresh);
    await ann.page.evaluate("dispatchEvent(new Event('online'))");
    await ann.page.getByText('A new version is ready.').waitFor();
    const gone = before.filter((url) => /^\/assets\/index-.*\.js$/.test(url));
    expect(gone).to.have.length(1);
    for (const url of gone) {
      expect((await ann.page.request.get(`${fresh.url}${url}`)).status(), 'on the server').to.equal(404);
      expect(await ann.page.evaluate(`fetch('${url}').then(({ status }) => status)`), 'in the page').to.equal(
        200,
      );
    }
    await ann.page.reload();
    await ann.page.getByText('A new version is ready.').waitFor();
    await ann.page.getByRole('button', { name: 'Update' }).click();
    await eventually('the files of the old build are forgotten', async () => {
      const urls = await keptUrls(ann.page).catch(() => before);
      return gone.every((url) => !urls.includes(url));
    });
    await ann.search.waitFor();
    await fresh.kill();
    for (const page of [ann.page, other]) await page.getByText('The new build has no connection.').waitFor();
    await ann.close();
  });
});
