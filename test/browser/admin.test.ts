import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import type { SignedIn } from '../../packages/client/src/index.js';
import { Rest } from '../../packages/client/src/rest.js';
import { axe, looks, openBrowser, openPageForEach, screenshot, strangers } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { HostServer } from '../support/hostServer.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import { newDevice, type Person, signUp } from '../support/people.js';
import { dataAt, EGRESS, Receiver } from '../support/receiver.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { openConsole } from './auditWorld.js';

describe('The page of moderators and admins', function () {
  this.timeout(120_000);
  let browser: Browser;
  let server: ServerProcess;
  let page: Page;
  let [mia, ada, bob, cleo]: Person[] = [];
  let receiver: Receiver | undefined;

  before(async function () {
    const opened = await openBrowser();
    if (!opened) return this.skip();
    browser = opened;
    const env = { ...EGRESS, RATE_LIMIT: 'off', AUTH_RATE_LIMIT: 'off' };
    server = await startServer({ engine: 'sqlite', env });
    [mia, ada, bob, cleo] = [
      await signUp(server, 'mia'),
      await signUp(server, 'ada'),
      await signUp(server, 'bob'),
      await signUp(server, 'cleo'),
    ];
    for (const [role, name] of [
      ['moderator', 'mia'],
      ['admin', 'ada'],
      ['auditor', 'ada'],
    ] as const)
      expect((await parley(['role', role, name], server.settings)).code).to.equal(0);
  });
  after(async () => {
    await receiver?.close();
    await browser?.close();
    await server?.stop();
  });
  openPageForEach(
    () => browser,
    (opened) => {
      page = opened;
    },
  );

  const signIn = (who: Person | undefined): Promise<SignedIn> =>
    new Rest(server.url).signIn(there(who).username, there(who).password);
  const open = async (who: Person | undefined, hash = ''): Promise<void> =>
    openConsole(page, { server, session: await signIn(who) }, hash, '/admin');

  /** Bob says these texts, and Cleo reports all but the first. Resolves with the report's id. */
  const report = async (first: string, ...reported: string[]): Promise<string> => {
    const [his, hers] = [await newDevice(server, there(bob)), await newDevice(server, there(cleo))];
    try {
      const roomId = await his.chatWith(there(cleo));
      await his.say(roomId, first);
      const messageIds: string[] = [];
      for (const text of reported) messageIds.push((await his.say(roomId, text)).messageId);
      const reportId = randomUUID();
      const note = `about ${reported[0]}`;
      await hers.client.request('report', { reportId, roomId, messageIds, category: 'spam', note });
      return reportId;
    } finally {
      his.close();
      hers.close();
    }
  };

  it('says one line to somebody without a role', async () => {
    await open(bob);
    await page.getByRole('heading', { name: 'This page is for moderators and admins.' }).waitFor();
    expect(await page.getByRole('navigation').count()).to.equal(0);
    expect(await axe(page)).to.deep.equal([]);
  });

  it('shows a moderator what moderators may do, and nothing else', async () => {
    await open(mia, '#/status');
    await page.getByRole('heading', { name: 'Reports', level: 1 }).waitFor();
    const views = page.getByRole('navigation', { name: 'Views' }).getByRole('link');
    expect(await views.allTextContents()).to.deep.equal(['Reports', 'Users']);
    await page.getByRole('link', { name: 'Users' }).click();
    await page.getByLabel('Name or user ID').fill('cle');
    await page.keyboard.press('Enter');
    await page.locator('summary', { hasText: 'cleo' }).click();
    await page.getByText('A part of a user name or of a display name').waitFor();
    const actions = page.locator('.details').getByRole('button');
    expect(await actions.allTextContents()).to.deep.equal(['Suspend']);
    await page.getByRole('button', { name: 'Menu of mia' }).click();
    const pages = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
    expect(await pages.allTextContents()).to.deep.equal(['Chat', 'Documentation']);
  });

  it('shows a report with its messages, deletes one, suspends its sender, and closes it', async () => {
    await report('said before', 'buy this', 'buy that');
    await open(mia);
    await page.getByText('1 report, oldest first.').waitFor();
    await screenshot(page, 'admin-reports');
    await page.getByRole('link', { name: /bob, 2 messages.*“buy this” · about buy this.*by cleo/ }).click();
    await page.getByText('said before').waitFor();
    const reported = page.locator('[data-reported="true"]');
    expect(await reported.locator('.text').allTextContents()).to.deep.equal(['buy this', 'buy that']);
    await screenshot(page, 'admin-report');
    expect(await axe(page)).to.deep.equal([]);
    await page.getByLabel('Delete this message').first().check();
    await page.getByLabel('Suspend bob').check();
    await page.getByLabel('Note').fill('advertising');
    const action = { name: 'Delete 1 message, suspend bob and close' };
    await page.getByRole('button', action).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('heading', { name: `${action.name}?` }).waitFor();
    await screenshot(page, 'admin-decision');
    expect(await axe(page)).to.deep.equal([]);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(await page.getByText('Closed:').count(), 'nothing is done').to.equal(0);
    await page.getByRole('button', action).click();
    await dialog.getByRole('button', action).click();
    await page.getByText('Closed: 1 message deleted, user suspended.').waitFor();
    await page.getByText('advertising').waitFor();
    expect(await reported.locator('.text').allTextContents()).to.deep.equal(['deleted', 'buy that']);
    await page.getByRole('link', { name: 'All reports' }).click();
    await page.getByText('1 report, newest first.').waitFor();
    await page
      .getByRole('link', {
        name: /bob, 2 messages.*Closed: 1 message deleted, user suspended\. Decided by mia/,
      })
      .waitFor();
    await page.getByRole('link', { name: 'Open', exact: true }).click();
    await page.getByText('No report is open.').waitFor();
    const refused = await signIn(bob).catch((error) => error.reason);
    expect(refused).to.equal('suspended');
  });

  it('shows the names of those who hold several roles, on a phone too', async () => {
    for (const role of ['moderator', 'admin', 'auditor'])
      expect((await parley(['role', role, 'cleo'], server.settings)).code).to.equal(0);
    await page.setViewportSize({ width: 390, height: 844 });
    await open(ada, '#/users?q=cleo');
    await page.locator('.badge', { hasText: 'auditor' }).first().waitFor();
    await screenshot(page, 'admin-users-phone');
    const widths = await page.evaluate<number[]>(
      "[...document.querySelectorAll('.users .name')].map((name) => name.scrollWidth - name.clientWidth)",
    );
    expect(new Set(widths), 'names that are cut').to.deep.equal(new Set([0]));
  });

  it('ends a suspension and begins one, each with its reason', async () => {
    await open(mia, '#/users?q=bob');
    const row = page.locator('summary', { hasText: 'bob' });
    await row.getByText('suspended').waitFor();
    await row.click();
    await page.getByRole('button', { name: 'End suspension' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason').fill('a first time');
    expect(await axe(page)).to.deep.equal([]);
    await dialog.getByRole('button', { name: 'End suspension' }).click();
    await row.getByText('suspended').waitFor({ state: 'detached' });
    await signIn(bob);
    await page.getByRole('button', { name: 'Suspend' }).click();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    const session = await signIn(ada);
    const { body } = await ask(server.url, `GET /audit/events?stream=user:${there(bob).user.userId}`, {
      token: session.token,
    });
    const reasons = body.events.flatMap(({ data }: { data: { reason?: string } }) => data.reason ?? []);
    expect(reasons).to.deep.equal(['advertising', 'a first time']);
  });

  it('shows the reason why the server refuses something', async () => {
    await open(mia, `#/users?q=${there(ada).user.userId}`);
    await page.locator('summary', { hasText: 'ada' }).click();
    // A moderator is not told who holds a role, and is refused.
    await page.getByRole('button', { name: 'Suspend' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason').fill('because');
    await dialog.getByRole('button', { name: 'Suspend' }).click();
    await dialog.getByRole('alert').filter({ hasText: 'this user has a role' }).waitFor();
  });

  it('finds users for an admin, who issues a code, ends sessions, and erases', async () => {
    const user = await signUp(server, 'dora.of-the-test');
    for (let n = 0; n < 2; n++) await signIn(user);
    await open(ada, '#/users');
    await page.getByText('ada').first().waitFor();
    await page.getByLabel('Name or user ID').fill('OF-THE');
    await page.getByRole('button', { name: 'Search' }).click();
    const row = page.locator('summary', { hasText: 'dora.of-the-test' });
    await row.getByText('2 sessions').waitFor();
    await row.click();
    const dialog = page.getByRole('dialog');

    await page.getByRole('button', { name: 'Sessions' }).click();
    await dialog
      .getByText(/^Since/)
      .nth(1)
      .waitFor();
    await dialog.getByRole('button', { name: 'End all sessions' }).click();
    await row.getByText('0 sessions').waitFor();

    await page.getByRole('button', { name: 'Reset password' }).click();
    await dialog.getByRole('button', { name: 'Issue a code' }).click();
    const code = (await dialog.locator('.code').textContent()) ?? '';
    expect(code).to.match(/^[0-9a-f-]{39}$/);
    await screenshot(page, 'admin-code');
    await dialog.getByRole('button', { name: 'Done' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(await page.getByText(code).count(), 'it is shown once').to.equal(0);
    const reset = { username: user.username, code, newPassword: 'another mild evening' };
    expect((await ask(server.url, 'POST /user/password-reset', { json: reset })).status).to.equal(204);

    await page.getByRole('button', { name: 'Erase' }).click();
    await dialog.getByLabel(/^Type the user name/).fill('dora');
    await dialog.getByRole('button', { name: 'Erase permanently' }).click();
    await dialog.getByRole('alert').filter({ hasText: 'This is not the user name' }).waitFor();
    await dialog.getByLabel(/^Type the user name/).fill(user.username);
    await dialog.getByRole('button', { name: 'Erase permanently' }).click();
    await page.getByText('No user found.').waitFor();
  });

  it('leaves who holds a role to the command line', async () => {
    await open(ada, '#/users?q=mia');
    const row = page.locator('summary', { hasText: 'mia' });
    await row.getByText('moderator').waitFor();
    await row.click();
    await page.getByText('This user has a role').waitFor();
    expect(await page.locator('.details').getByRole('button').allTextContents()).to.deep.equal(['Sessions']);
    await page.getByRole('link', { name: 'Events' }).click();
    await page.getByRole('heading', { name: 'Events', level: 1 }).waitFor();
    expect(new URL(page.url()).hash).to.contain(there(mia).user.userId);
  });

  it('shows how far a subscription is, and lets it go on from another place', async () => {
    receiver = await Receiver.start();
    const host = await HostServer.of(server);
    await host.subscribe('to-the-shop', { url: receiver.url, types: ['UserRegistered'] });
    await open(ada, '#/subscriptions');
    await page.locator('summary', { hasText: 'to-the-shop' }).click();
    await page.getByText('UserRegistered').waitFor();
    await page.getByRole('button', { name: 'Continue from another place' }).click();
    const dialog = page.getByRole('dialog');
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await dialog.getByLabel('Time (UTC)').fill('2026-01-02 03:04:05');
    await dialog.getByRole('button', { name: 'Time: choose a date' }).click();
    const calendar = page.getByRole('dialog', { name: 'Time: choose a date' });
    await calendar.getByRole('button', { name: 'Use this time' }).click();
    await calendar.waitFor({ state: 'detached' });
    expect(await dialog.getByLabel('Time (UTC)').inputValue()).to.equal('2026-01-02 03:04:05.000');
    await dialog.getByLabel('Time (UTC)').fill('some day');
    await dialog.getByRole('button', { name: 'Continue from there' }).click();
    await dialog
      .getByRole('alert')
      .filter({ hasText: 'Write the time as yyyy-mm-dd hh:mm:ss, in UTC.' })
      .waitFor();
    expect(asked, 'the calendar sends nothing').to.not.include('/admin/subscriptions/to-the-shop/seek');
    await dialog.getByLabel('Place').selectOption('the start of the log');
    await dialog.getByRole('button', { name: 'Continue from there' }).click();
    await dialog.waitFor({ state: 'detached' });
    const names = () => dataAt(there(receiver).received, 'username');
    await eventually('what was sent before comes', async () => names().includes('cleo'));
  });

  it('lists the server keys without their secrets, and revokes one', async () => {
    const added = await parley(['key', 'add', 'The shop', '--scopes', 'users,rooms'], server.settings);
    const secret = added.out.trim();
    const makeUser = () =>
      ask(server.url, `PUT /server/users/ext:${randomUUID()}`, { token: secret, json: {} });
    expect((await makeUser()).status).to.equal(201);
    await open(ada, '#/keys');
    const row = page.getByRole('listitem').filter({ hasText: 'The shop' });
    await row.getByText('users, rooms').waitFor();
    expect(await page.content()).not.to.include(secret);
    await row.getByRole('button', { name: 'Revoke The shop' }).click();
    const dialog = page.getByRole('dialog');
    expect(await axe(page)).to.deep.equal([]);
    await dialog.getByRole('button', { name: 'Revoke the key' }).click();
    await row.getByText('revoked').waitFor();
    expect((await makeUser()).status).to.equal(401);
  });

  it('shows the health, the storage and the load of the server', async () => {
    await open(ada, '#/status');
    await page.getByRole('region', { name: 'Health' }).getByText('ready', { exact: true }).waitFor();
    const tile = (name: string, text: RegExp | string) =>
      page.getByRole('region', { name, exact: true }).getByText(text).first().waitFor();
    await tile('Disk and backup', /^\d+ (GiB|TiB|MiB)$/);
    await tile('Disk and backup', 'none is known');
    await tile('Event log', /^[\d,]+$/);
    await tile('Event log', /^\d{4}-\d\d-\d\d .* UTC$/);
    await tile('Read models', 'up to date');
    await tile('Vault', /^[\d.]+ [KM]iB$/);
    await tile('Subscriptions', /^none$|behind$/);
    await page.route('**/admin/storage', (route) => route.fulfill({ json: lateFigures }));
    await tile('Read models', '900 of 1,200');
    await tile('Disk and backup', '2026-01-02 03:04:05 UTC, 1 event since');
    await tile('Subscriptions', '2 events, 1 h 0 min behind, failing since 2026-01-02 03:04:05 UTC');
    await screenshot(page, 'admin-storage');
    expect(await axe(page)).to.deep.equal([]);
    await page.route('**/admin/storage', (route) => route.fulfill({ status: 503, json: {} }));
    await page.getByText('The figures of the storage cannot be read now.').waitFor();
    await page
      .getByRole('region', { name: 'Traffic' })
      .getByText(/^\d+ connections?$/)
      .waitFor();
    await page.route('**/ready', (route) =>
      route.fulfill({ status: 503, json: { code: 'overloaded', failing: 'nats' } }),
    );
    await page.getByText('not ready: nats').waitFor();
  });

  for (const { name, options } of looks)
    it(`is accessible and fits the window (${name})`, async () => {
      const reportId = await report('hello', 'look at this');
      const shown = await browser.newPage(options);
      const foreign = strangers(shown);
      const views = {
        reports: ['#/reports', 'oldest first'],
        report: [`#/reports?id=${reportId}`, 'look at this'],
        users: ['#/users', 'users.'],
        subscriptions: ['#/subscriptions', '1 subscription.'],
        keys: ['#/keys', /valid key/],
        status: ['#/status', 'Free on disk'],
      } as const;
      await openConsole(shown, { server, session: await signIn(ada) }, '', '/admin');
      for (const [view, [hash, text]] of Object.entries(views)) {
        await shown.goto(`${server.url}/admin${hash}`);
        await shown.getByText(text).first().waitFor();
        if (view === 'users' || view === 'subscriptions') await shown.locator('summary').first().click();
        expect(await axe(shown), view).to.deep.equal([]);
        const overflow = await shown.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
        expect(overflow, `${view} scrolls sideways`).to.be.at.most(0);
        await screenshot(shown, `admin-${view}-${name}`);
      }
      await shown.getByRole('button', { name: 'Menu of ada' }).click();
      await screenshot(shown, `admin-menu-${name}`);
      expect(await axe(shown), 'the menu').to.deep.equal([]);
      expect(foreign).to.deep.equal([]);
      await shown.close();
    });
});

const THEN = '2026-01-02T03:04:05.000Z';
const lateFigures = {
  ...{ measuredAt: THEN, engine: 'embedded' },
  log: { partitions: 1, events: 1200, bytes: 4096, oldest: THEN, newest: THEN },
  vault: { bytes: null },
  readModels: { bytes: 8192, events: 900, lagEvents: 300, lagSeconds: 2 },
  disk: { freeBytes: 1e9, totalBytes: 1e10 },
  lastBackup: { madeAt: THEN, events: 1199 },
  subscriptions: [{ id: 'shop', lagEvents: 2, lagSeconds: 3600, failing: { since: THEN }, paused: false }],
};

/** What the suite has made before its tests. */
function there<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('the suite has not begun');
  return part;
}
