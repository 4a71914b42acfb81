import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { openWorld } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { parley } from '../support/parley.js';
import { keptText } from './keptRecords.js';
import { Person } from './person.js';

const web = join(fileURLToPath(import.meta.url).split('/dist/')[0] ?? '', 'web');

/** What a browser's stores may do, as scripts that run before the page. */
const faults = {
  'deny access, as with blocked cookies': `
    for (const name of ['localStorage', 'sessionStorage', 'indexedDB'])
      Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });`,
  'do not exist': `
    for (const name of ['localStorage', 'sessionStorage', 'indexedDB'])
      Object.defineProperty(window, name, { value: undefined });`,
  'are full': `
    const full = () => { throw new DOMException('full', 'QuotaExceededError'); };
    Storage.prototype.setItem = full;
    IDBObjectStore.prototype.put = full;`,
  'do not answer when they are opened': `
    const silent = () => {
      const request = Object.create(IDBOpenDBRequest.prototype);
      request.addEventListener = request.removeEventListener = () => {};
      return request;
    };
    IDBFactory.prototype.open = silent;
    IDBFactory.prototype.deleteDatabase = silent;`,
  'do not answer later': `
    IDBObjectStore.prototype.index = () => ({ getKey: () => new Promise(() => {}) });`,
  'lose what is written': `
    Storage.prototype.setItem = () => {};
    IDBObjectStore.prototype.put = function () { return this.getAll(); };`,
  'do not forget': `
    Storage.prototype.removeItem = () => {};
    IDBFactory.prototype.deleteDatabase = () => { throw new DOMException('no', 'UnknownError'); };`,
} as const;

/** Values that no version of the page has written. */
const damaged = [
  '',
  '{',
  'null',
  '5',
  '"text"',
  '[]',
  '{}',
  '{"token":1,"expiresAt":"2999-01-01T00:00:00.000Z","user":{}}',
  '{"token":"t","expiresAt":"2999-01-01T00:00:00.000Z"}',
  '{"token":"t","expiresAt":"2999-01-01T00:00:00.000Z","user":null}',
  '{"token":"t","expiresAt":"2999-01-01T00:00:00.000Z","user":{"userId":"u","username":"n"}}',
  '{"partitions":5,"alarms":7}',
  '{"partitions":{"0":null},"alarms":[null]}',
  '{"partitions":{"0":{"note":5}},"alarms":[{"id":"a","at":"soon","steps":3}]}',
];

/** Runs in the page: changes the outbox of the signed-in user with the stores of the database `db`. */
const inOutbox = (change: string): string => `new Promise((resolve, reject) => {
  const { user } = JSON.parse(localStorage.getItem('parley.session'));
  const opening = indexedDB.open('parley-' + user.userId);
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const db = opening.result;
    const writing = db.transaction('entries', 'readwrite');
    const outbox = writing.objectStore('entries');
    ${change}
    writing.oncomplete = () => { db.close(); resolve(); };
  };
})`;

/** Runs in the page: changes the `record` of what is kept for the signed-in user. */
const inRecord = (change: string): string => `new Promise((resolve, reject) => {
  const { user } = JSON.parse(localStorage.getItem('parley.session'));
  const opening = indexedDB.open('parley-' + user.userId);
  opening.onerror = () => reject(opening.error);
  opening.onsuccess = () => {
    const db = opening.result;
    const writing = db.transaction('device', 'readwrite');
    const device = writing.objectStore('device');
    device.get('state').onsuccess = ({ target }) => {
      let record = target.result;
      ${change};
      device.put(record, 'state');
    };
    writing.oncomplete = () => { db.close(); resolve(); };
    writing.onerror = () => reject(writing.error);
  };
})`;

describe('The pages, when the stores of the browser', function () {
  this.timeout(120_000);
  const world = openWorld();

  const at = (script?: string): Promise<Person> =>
    Person.at(
      world.browser,
      world.server.url,
      {},
      async (page) => void (script && (await page.addInitScript(script))),
    );
  const done = async (...people: readonly Person[]): Promise<void> => {
    for (const person of people) {
      expect(person.strangers).to.deep.equal([]);
      await person.close();
    }
  };

  for (const [what, script] of Object.entries(faults))
    it(`${what}: a user chats, changes the settings, and signs out`, async () => {
      const [ann, bob] = [await at(script), await at()];
      await ann.open(bob.name);
      for (const text of ['one', 'two']) await ann.say(text);
      await bob.chat(ann.name).click();
      await bob.sees('two');
      await bob.say('three');
      await ann.sees('three');
      await ann.sees('two', 'read');
      await ann.page.getByRole('button', { name: 'Account and settings' }).click();
      await ann.page.getByLabel('Appearance').selectOption('Dark');
      expect(await ann.page.locator('html').getAttribute('data-theme')).to.equal('dark');
      await ann.page.getByRole('button', { name: 'Sign out' }).click();
      await ann.page.getByLabel('User name').waitFor();
      await ann.page.waitForLoadState('networkidle');
      expect(await ann.page.getByLabel('User name').isVisible(), 'it stays so').to.equal(true);
      await done(ann, bob);
    });

  it('are cleared under an open page: it goes on sending, and keeps what is unsent again', async () => {
    const [ann, bob] = [await at(), await at()];
    await ann.open(bob.name);
    await ann.say('before');
    await ann.sees('before', 'sent');
    const devTools = await ann.page.context().newCDPSession(ann.page);
    await devTools.send('Storage.clearDataForOrigin', {
      origin: world.server.url,
      storageTypes: 'indexeddb',
    });
    await ann.say('after');
    await ann.sees('after', 'sent');
    await world.server.kill();
    await ann.banner.getByText('No connection').waitFor();
    await ann.say('unsent');
    await ann.sees('unsent', 'sending');
    await ann.storesUnsent('unsent');
    await world.server.start();
    await ann.page.reload();
    await ann.sees('unsent', 'sent');
    expect(await ann.message('unsent').count()).to.equal(1);
    // Without the session, the user is signed out.
    await devTools.send('Storage.clearDataForOrigin', { origin: world.server.url, storageTypes: 'all' });
    await ann.page.getByLabel('User name').waitFor();
    await done(ann, bob);
  });

  it('have damaged values: the chat and the console open', async () => {
    const context = await world.browser.newContext();
    const page = await context.newPage();
    await page.goto(`${world.server.url}/robots.txt`);
    for (const path of ['/', '/audit'])
      for (const value of damaged) {
        for (const key of ['parley.session', 'parley.theme', 'parley.audit.witness'])
          await page.evaluate(`localStorage.setItem('${key}', ${JSON.stringify(value)})`);
        await page.goto(world.server.url + path);
        await page
          .getByLabel('User name')
          .waitFor()
          .catch((cause) => {
            throw new Error(`${path} with ${value}`, { cause });
          });
      }
    await context.close();
  });

  it('have a damaged state of the witness: the console opens all its views', async () => {
    const ann = await at();
    expect((await parley(['role', 'auditor', ann.name], world.server.settings)).code).to.equal(0);
    for (const value of damaged) {
      await ann.page.evaluate(`localStorage.setItem('parley.audit.witness', ${JSON.stringify(value)})`);
      for (const view of ['events', 'heads']) {
        await ann.page.goto(`${world.server.url}/audit#/${view}`);
        await ann.page.reload();
        await ann.page.getByRole('heading', { level: 1 }).waitFor();
      }
      await ann.page.getByRole('region', { name: 'Partition 0' }).waitFor();
    }
    await done(ann);
  });

  it('have damaged unsent messages: the others are sent', async () => {
    const [ann, bob] = [await at(), await at()];
    await ann.open(bob.name);
    await ann.say('first');
    await ann.sees('first', 'sent');
    const roomId = new URL(ann.page.url()).hash.slice('#room='.length);
    const id = crypto.randomUUID();
    const data = { messageId: id, roomId, message: 'kept' };
    const good = { id, request: 'send message', data, queuedAt: new Date().toISOString() };
    const bad = [
      ...[null, 5, 'text', {}, { data: { roomId } }],
      ...[
        { ...good, id: 'a', queuedAt: 'soon' },
        { ...good, id: 'b', data: { ...data, message: null } },
      ],
      ...[
        { ...good, id: 'c', data: { ...data, roomId: 7 } },
        { ...good, id: 'd', data: { ...data, replyTo: {} } },
      ],
      { ...good, id: 'e', request: 'toString' },
    ];
    await ann.page.evaluate(
      inOutbox(`for (const one of ${JSON.stringify([...bad, good])}) outbox.put(one);`),
    );
    await ann.page.reload();
    await ann.sees('kept', 'sent');
    // The answer to the one may come before the page of the other.
    await ann.sees('first');
    expect(await ann.page.getByRole('article').count()).to.equal(2);
    await done(ann, bob);
  });

  it('have damaged chats of the last time: the page opens as it does without them', async () => {
    const [ann, bob] = [await at(), await at()];
    await ann.open(bob.name);
    await ann.say('hello');
    await ann.sees('hello', 'sent');
    await eventually('they are kept', async () =>
      (await ann.page.evaluate<string>(keptText)).includes('hello'),
    );
    const { page } = ann;
    const address = page.url();
    for (const damage of [
      'record = 5',
      'record = { ...record, state: null }',
      'record.state.rooms = [...record.state.rooms]',
      'for (const room of record.state.rooms.values()) room.known = [{}]',
      "for (const room of record.state.rooms.values()) room.known[0].sentAt = 'soon'",
      'for (const user of record.state.users.values()) user.username = {}',
      "record.state.rooms.set('none', undefined)",
      'record.cursor = 7',
    ]) {
      await page.goto(`${world.server.url}/robots.txt`);
      await page.evaluate(inRecord(damage));
      await page.goto(address);
      await ann.sees('hello');
      expect(await page.getByRole('article').count(), damage).to.equal(1);
      await eventually('they are kept again', async () =>
        (await page.evaluate<string>(keptText)).includes('"sentAt":"2'),
      );
    }
    await page.goto(`${world.server.url}/robots.txt`);
    // The server refuses this cursor: what was kept is replaced.
    await page.evaluate(
      inRecord(
        "record.cursor = 'none'; for (const room of record.state.rooms.values()) room.known[0].message = 'lie'",
      ),
    );
    await page.goto(address);
    await ann.sees('hello');
    expect(await page.getByText('lie').count()).to.equal(0);
    await done(ann, bob);
  });

  it('have a database without its tables: it is made anew', async () => {
    const [ann, bob] = [await at(), await at()];
    await ann.open(bob.name);
    const name = await ann.page.evaluate<string>(
      "'parley-' + JSON.parse(localStorage.getItem('parley.session')).user.userId",
    );
    const break_ = async (page: Page): Promise<void> => {
      await page.goto(`${world.server.url}/robots.txt`);
      await page.evaluate(`new Promise((resolve) => {
        indexedDB.deleteDatabase('${name}').onsuccess = () => {
          const opening = indexedDB.open('${name}', 1);
          opening.onsuccess = () => { opening.result.close(); resolve(); };
        };
      })`);
    };
    const { page } = ann;
    const address = page.url();
    await break_(page);
    await page.goto(address);
    await ann.say('hello');
    await ann.sees('hello', 'sent');
    const tables = await page.evaluate<string[]>(`new Promise((resolve) => {
      const opening = indexedDB.open('${name}');
      opening.onsuccess = () => { resolve([...opening.result.objectStoreNames]); opening.result.close(); };
    })`);
    expect(tables).to.deep.equal(['device', 'entries']);
    await done(ann, bob);
  });

  it('are used in one file of the pages only', () => {
    const files = readdirSync(web, { recursive: true, encoding: 'utf8' }).filter((file) =>
      /\.tsx?$/.test(file),
    );
    const users = files.filter((file) =>
      /^(?! *[/*]).*\b(localStorage|sessionStorage|indexedDB)\b/m.test(readFileSync(join(web, file), 'utf8')),
    );
    // The second one reads before any other script is there, and expects that it may not.
    expect(users.sort()).to.deep.equal(['chat/app/afterPaint.ts', 'ui/browserStore.ts']);
  });
});
