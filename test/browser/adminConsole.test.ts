import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { Rest } from '../../packages/client/src/rest.js';
import { axe, openBrowser, openPageForEach, screenshot } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { HostServer } from '../support/hostServer.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import { newDevice, type Person, signUp } from '../support/people.js';
import { dataAt, EGRESS, Receiver } from '../support/receiver.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { openConsole } from './auditWorld.js';
import { opensAtOnce } from './keyboard.js';

describe('The page of admins, while they decide', function () {
  this.timeout(120_000);
  let browser: Browser;
  let server: ServerProcess;
  let page: Page;
  const people = new Map<string, Person>();
  const receivers: Receiver[] = [];

  before(async function () {
    const opened = await openBrowser();
    if (!opened) return this.skip();
    browser = opened;
    server = await startServer({
      engine: 'sqlite',
      env: { ...EGRESS, RATE_LIMIT: 'off', AUTH_RATE_LIMIT: 'off' },
    });
    for (const name of ['mia', 'ada', 'bob', 'cleo']) people.set(name, await signUp(server, name));
    for (const [role, name] of [
      ['moderator', 'mia'],
      ['admin', 'ada'],
    ] as const)
      expect((await parley(['role', role, name], server.settings)).code).to.equal(0);
  });
  after(async () => {
    for (const receiver of receivers) await receiver.close();
    await browser?.close();
    await server?.stop();
  });
  openPageForEach(
    () => browser,
    (opened) => {
      page = opened;
    },
  );

  const person = (name: string): Person => {
    const found = people.get(name);
    if (!found) throw new Error(`there is no ${name}`);
    return found;
  };
  const session = (name: string) => new Rest(server.url).signIn(name, person(name).password);
  const open = async (name: string, hash: string): Promise<void> =>
    openConsole(page, { server, session: await session(name) }, hash, '/admin');
  const as = async (name: string, what: string, json?: unknown) =>
    ask(server.url, what, { token: (await session(name)).token, ...(json ? { json } : {}) });
  const dialog = () => page.getByRole('dialog');

  /** Bob says these texts, and Cleo reports them. Resolves with the ids of the report and of the messages. */
  const report = async (...texts: string[]) => {
    const [his, hers] = [await newDevice(server, person('bob')), await newDevice(server, person('cleo'))];
    const roomId = await his.chatWith(person('cleo'));
    const messageIds: string[] = [];
    for (const text of texts) messageIds.push((await his.say(roomId, text)).messageId);
    const reportId = randomUUID();
    await hers.client.request('report', { reportId, roomId, messageIds, category: 'spam' });
    const [messageId = ''] = messageIds;
    await his.client.request('delete message', { roomId, messageId });
    his.close();
    hers.close();
    return { reportId, roomId, messageIds };
  };

  it('shows since when a user is suspended, by whom and why, to moderators too', async () => {
    const user = await signUp(server, 'dora');
    const path = `/admin/users/${user.user.userId}/suspension`;
    expect((await as('mia', `PUT ${path}`, { reason: 'sold accounts, after two warnings' })).status).to.equal(
      204,
    );
    for (const name of ['ada', 'mia']) {
      await open(name, `#/users?q=${user.user.userId}`);
      // Another session at the same address.
      await page.reload();
      await page.locator('summary', { hasText: 'dora' }).click();
      const facts = page.getByRole('region', { name: 'Suspension' });
      await facts.getByText('sold accounts, after two warnings').waitFor();
      await facts.getByText('mia', { exact: true }).waitFor();
      await facts.getByText(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC$/).waitFor();
      expect(await axe(page)).to.deep.equal([]);
    }
    await screenshot(page, 'admin-suspension');
  });

  it('issues a code only when it is told to, and can be asked again after a Cancel and an Escape', async () => {
    await open('ada', '#/users?q=cleo');
    await page.locator('summary', { hasText: 'cleo' }).click();
    for (const leave of [
      () => dialog().getByRole('button', { name: 'Cancel' }).click(),
      () => page.keyboard.press('Escape'),
    ]) {
      await page.getByRole('button', { name: 'Reset password' }).click();
      await dialog().getByRole('button', { name: 'Issue a code' }).waitFor();
      await leave();
      await dialog().waitFor({ state: 'detached' });
    }
    await page.getByRole('button', { name: 'Reset password' }).focus();
    await opensAtOnce(page, 'Reset');
    await page.keyboard.press('Enter');
    await dialog().getByRole('button', { name: 'Issue a code' }).click();
    await dialog().locator('.code').waitFor();
  });

  it('pauses and resumes a subscription, and shows a new secret once', async () => {
    const receiver = await Receiver.start();
    receivers.push(receiver);
    const host = await HostServer.of(server);
    const before = await host.subscribe('to-the-shop', { url: receiver.url, types: ['UserRegistered'] });
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await open('ada', '#/subscriptions');
    const row = page.locator('summary', { hasText: 'to-the-shop' });
    await row.click();
    await page.getByRole('button', { name: 'Pause' }).click();
    expect(await axe(page)).to.deep.equal([]);
    await dialog().getByRole('button', { name: 'Pause' }).click();
    await row.getByText('paused').waitFor();
    expect((await host.subscription('to-the-shop')).paused).to.equal(true);
    await signUp(server, 'late');
    await page.getByRole('button', { name: 'Resume' }).click();
    await dialog().getByRole('button', { name: 'Resume' }).click();
    // Not a part of the address in the same row.
    await row.getByText('ok', { exact: true }).waitFor();
    await eventually('what was recorded meanwhile is sent', () =>
      dataAt(receiver.received, 'username').includes('late'),
    );

    await page.getByRole('button', { name: 'New secret' }).click();
    await dialog().getByRole('button', { name: 'Make a new secret' }).click();
    const secret = (await dialog().locator('.code').textContent()) ?? '';
    expect(secret)
      .to.match(/^whsec_/)
      .and.not.equal(before);
    await screenshot(page, 'admin-secret');
    expect(await axe(page)).to.deep.equal([]);
    await dialog().getByRole('button', { name: 'Copy' }).click();
    await dialog().getByText('Copied.').waitFor();
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).to.equal(secret);
    await dialog().getByRole('button', { name: 'Done' }).click();
    await dialog().waitFor({ state: 'detached' });
    expect(await page.getByText(secret).count(), 'it is shown once').to.equal(0);
  });

  it('says why a subscription fails, and tries again at once', async () => {
    const receiver = await Receiver.start();
    receivers.push(receiver);
    receiver.answer = () => 500;
    const host = await HostServer.of(server);
    await host.subscribe('that-fails', { url: receiver.url, types: ['UserRegistered'], from: 'start' });
    await eventually('it fails', async () => (await host.subscription('that-fails')).failing !== undefined);
    await open('ada', '#/subscriptions');
    const row = page.locator('summary', { hasText: 'that-fails' });
    await row.click();
    await page.getByText('its receiver answered 500.').waitFor();
    receiver.answer = () => 200;
    await page.getByRole('button', { name: 'Try again now' }).click();
    await dialog().getByRole('button', { name: 'Try again now' }).click();
    await eventually('it goes on', async () => (await host.subscription('that-fails')).lagEvents === 0);
  });

  it('shows what was deleted since as evidence, and who is reported', async () => {
    const { reportId } = await report('buy this', 'buy that');
    await open('ada', `#/reports?id=${reportId}`);
    await page.getByRole('heading', { name: 'bob, 2 messages spam' }).waitFor();
    const [first, second] = [0, 1].map((n) => page.locator('[data-reported="true"]').nth(n));
    await first?.getByText('buy this').waitFor();
    await first?.getByText('by bob. The text is kept as evidence').waitFor();
    expect(await first?.getByRole('checkbox').count(), 'it is deleted already').to.equal(0);
    await second?.getByRole('checkbox', { name: 'Delete this message' }).waitFor();
    await page.getByRole('link', { name: 'Open the user' }).click();
    await page.locator('summary', { hasText: 'bob' }).waitFor();
    await page.goBack();
    await page.getByRole('link', { name: 'All reports' }).click();
    await page.getByRole('link', { name: /bob, 2 messages.*\(deleted\)/ }).waitFor();
  });

  it('shows the room of a report, and what a message was when it was reported', async () => {
    const [his, hers] = [await newDevice(server, person('bob')), await newDevice(server, person('cleo'))];
    const roomId = randomUUID();
    const memberIds = [person('cleo').user.userId];
    await his.client.request('create group', { roomId, name: 'Flea market', memberIds });
    const early = await his.say(roomId, 'first');
    const edit = (messageId: string, message: string) =>
      his.client.request('edit message', { roomId, messageId, editId: randomUUID(), message });
    await edit(early.messageId, 'first, but mended');
    const late = await his.say(roomId, 'a stolen bicycle');
    const reportId = randomUUID();
    const messageIds = [early.messageId, late.messageId];
    await hers.client.request('report', { reportId, roomId, messageIds, category: 'illegal' });
    await edit(late.messageId, 'a bicycle');
    his.close();
    hers.close();
    await open('mia', `#/reports?id=${reportId}`);
    await page.getByText('Group Flea market, 2 members').waitFor();
    const [before, after] = [0, 1].map((n) => page.locator('[data-reported="true"]').nth(n));
    await before?.getByText(/^Edited at .*, before the report\.$/).waitFor();
    await after?.getByText('a bicycle', { exact: true }).waitFor();
    await after?.getByText('edited since').waitFor();
    await after?.locator('q', { hasText: 'a stolen bicycle' }).waitFor();
    await page.getByText('up to 5 before and after each').waitFor();
    expect(await axe(page)).to.deep.equal([]);
    await screenshot(page, 'admin-report-edited');
    const pair = await report('in private');
    await page.goto(`${server.url}/admin#/reports?id=${pair.reportId}`);
    await page.getByText(/^Private chat of (bob and cleo|cleo and bob)$/).waitFor();
  });

  it('says of somebody for whom the host writes that they were never connected, and when they were active', async () => {
    const [host, guest] = [await HostServer.of(server, 'messages,rooms,users'), randomUUID()];
    const made = await host.ask(`PUT /server/users/ext:${guest}`, { username: 'written.for' });
    expect(made.status, made.text).to.equal(201);
    await open('ada', '#/users?q=written.for');
    const row = page.locator('summary', { hasText: 'written.for' });
    await row.getByText('never connected').waitFor();
    const members = [made.body.user.userId, person('cleo').user.userId];
    const { room } = (await host.ask('PUT /server/rooms/private', { members })).body;
    const message = { senderId: members[0], message: 'an order' };
    const path = `/server/rooms/${room.roomId}/messages/${randomUUID()}`;
    const sent = await host.ask(`PUT ${path}`, message);
    expect(sent.status, sent.text).to.equal(201);
    await page.reload();
    await row.getByText(/^active \d{4}-[-\d: ]+$/).waitFor();
    await row.click();
    await page.getByText('never: no device of this user was ever connected').waitFor();
    const { users } = (await as('ada', 'GET /admin/users?q=written.for')).body;
    expect(users[0].lastActive).to.equal(sent.body.message.sentAt);
    expect(await axe(page)).to.deep.equal([]);
    const listed = await parley(['user', 'list', 'written.for'], server.settings);
    expect(listed.out).to.contain(`never connected, active ${sent.body.message.sentAt}`);
  });

  it('shows the decision of another moderator who was faster, and says that its own was not done', async () => {
    const { reportId, messageIds } = await report('one', 'two');
    await open('ada', `#/reports?id=${reportId}`);
    await page.getByLabel('Delete this message').check();
    await page.getByLabel('Note').fill('mine');
    const decided = await as('mia', `POST /admin/reports/${reportId}/decision`, {
      note: 'nothing wrong here',
    });
    expect(decided.status).to.equal(204);
    const action = { name: 'Delete 1 message and close' };
    await page.getByRole('button', action).click();
    await dialog().getByRole('button', action).click();
    await page.getByRole('alert').filter({ hasText: 'Somebody else had decided this report' }).waitFor();
    await page.getByText('Closed without action.').waitFor();
    await page.getByText('nothing wrong here').waitFor();
    const shown = (await as('mia', `GET /admin/reports/${reportId}`)).body.messages;
    const second = shown.find(({ messageId }: { messageId: string }) => messageId === messageIds[1]);
    expect(second.message, 'it was not deleted').to.equal('two');
  });

  it('says what needs attention, at the limits of the alerts, and leads to what to do', async () => {
    const alerts = readFileSync(join(process.cwd(), 'deploy/prometheus/alerts.yaml'), 'utf8');
    const limitOf = (name: string): number => {
      const [, limit = ''] =
        new RegExp(`alert: ${name}\\n\\s+expr: .*[<>] ([\\d. *]+)\\n`).exec(alerts) ?? [];
      const factors = limit.split('*').map(Number);
      expect(
        factors.every((factor) => factor > 0),
        `${name}: ${limit}`,
      ).to.equal(true);
      return factors.reduce((product, factor) => product * factor, 1);
    };
    const limits = [
      { alert: 'ParleyDiskFull', metric: 'parley_disk_free_bytes', beyond: -1 },
      { alert: 'ParleyReadModelsLate', metric: 'parley_projection_lag_seconds', beyond: 1 },
      { alert: 'ParleySlowReaders', metric: 'parley_bytes_waiting', beyond: 1 },
      { alert: 'ParleyCommandsQueue', metric: 'parley_queue_depth{queue="commands"}', beyond: 1 },
      {
        alert: 'ParleySubscriptionLags',
        metric: 'parley_subscription_lag_seconds{subscription="shop"}',
        beyond: 1,
      },
      { alert: 'ParleyEventLoopSlow', metric: 'nodejs_eventloop_lag_p99_seconds', beyond: 1 },
    ];
    let isBeyond = false;
    await page.route('**/metrics', (route) =>
      route.fulfill({
        body: limits
          .map(({ alert, metric, beyond }) => `${metric} ${limitOf(alert) + (isBeyond ? beyond : 0)}\n`)
          .join(''),
      }),
    );
    await open('ada', '#/status');
    await page.getByText('Nothing needs your attention.').waitFor();
    await page.getByText('normal: at least 2.0 GiB').waitFor();
    isBeyond = true;
    await page.getByText(`${limits.length} things need your attention.`).waitFor();
    await screenshot(page, 'admin-attention');
    expect(await axe(page)).to.deep.equal([]);
    const links = page.getByRole('link', { name: 'What to do' });
    const targets = await page.evaluate<string[]>(
      "[...document.querySelectorAll('.findings a')].map((link) => link.getAttribute('href'))",
    );
    expect(targets.map((target) => target.split('#')[1])).to.have.members(
      limits.map(({ alert }) => alert.toLowerCase()),
    );
    await links.first().click();
    await page.waitForURL('**/docs/incidents#**');
    const { hash } = new URL(page.url());
    expect(await page.locator(hash).count(), 'the page has that part').to.equal(1);
  });
});
