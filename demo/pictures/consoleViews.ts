import type { Name } from './people.js';
import type { Scene } from './scene.js';
import type { View } from './view.js';

/** A view of the audit console, by its address. */
const audit = (name: string, view: string, hash: (scene: Scene) => string, show?: View['show']): View => ({
  name: `audit-${name}`,
  shows: [`audit ${view}`],
  isEnglish: true,
  async show(scene) {
    await scene.visit(`/audit#/${view}${hash(scene)}`, 'mia');
    await scene.page.locator('main h1').waitFor();
    await scene.rest();
    await show?.(scene);
  },
});

/** A view of the page of admins. */
const admin = (name: string, view: string, show?: View['show'], hash = ''): View => ({
  name: `admin-${name}`,
  shows: [`admin ${view}`],
  isEnglish: true,
  async show(scene) {
    await scene.visit(`/admin#/${view}${hash}`, 'mia');
    await scene.page.locator('main h1').waitFor();
    await scene.rest();
    await show?.(scene);
  },
});

const closed = (name: string, path: string, who?: Name): View => ({
  name,
  isEnglish: true,
  async show(scene) {
    await scene.visit(path, who);
    await scene.page.locator('h1').waitFor();
    await scene.rest();
  },
});

const none = (): string => '';
const ofWalkers = ({ world }: Scene): string => `?room=${world.room('walkers')}`;

/** The users who have this in their name, with the first of them open. */
const userOpened = async (scene: Scene): Promise<void> => scene.page.locator('summary').first().click();

const userDialog = (name: string, button: string): View =>
  admin(
    `user-${name}`,
    'users',
    async (scene) => {
      await userOpened(scene);
      await scene.page.getByRole('button', { name: button, exact: true }).click();
      await scene.page.getByRole('dialog').waitFor();
      await scene.rest();
    },
    '?q=dora',
  );

/** The audit console and the page of admins. */
export const consoleViews: readonly View[] = [
  closed('audit-sign-in', '/audit'),
  closed('audit-gate', '/audit', 'ada'),
  audit('events', 'events', none),
  audit('events-filtered', 'events', ({ world }) => `?stream=room:${world.room('walkers')}`),
  audit('event-opened', 'events', none, async ({ page }) => {
    const third = page.locator('.events summary').nth(2);
    await third.click();
    await third.evaluate((row) => row.scrollIntoView());
  }),
  audit('events-none', 'events', () => '?since=2030-01-01T00:00:00.000Z'),
  audit('events-error', 'events', () => '?stream=nonsense'),
  audit('events-live', 'events', () => '?follow=true'),
  audit('calendar', 'events', none, async ({ page }) => {
    // On a phone the filters are folded away.
    const filters = page.locator('.filter-panel summary');
    if (await filters.isVisible()) await filters.click();
    await page
      .getByRole('button', { name: /choose a date/ })
      .first()
      .click();
    await page.getByRole('dialog').waitFor();
  }),
  audit('past-empty', 'past', none),
  audit('past-room', 'past', ofWalkers),
  audit('past-members', 'past', ofWalkers, async ({ page }) => {
    await page.locator('.members summary').click();
    await page.locator('.members').scrollIntoViewIfNeeded();
  }),
  audit('past-user', 'past', ({ world }) => `?user=${world.player('ada').person.user.userId}`),
  audit('message-empty', 'message', none),
  audit('message', 'message', ({ world }) => `?room=${world.room('ben')}&seq=${world.message('ben 9').seq}`),
  audit('proof-empty', 'proof', none),
  audit('proof', 'proof', () => '?partition=0&offset=1'),
  audit('proof-beyond', 'proof', () => '?partition=0&offset=999999'),
  audit('heads', 'heads', none, async ({ page }) => {
    await page.getByText('signed and consistent').first().waitFor();
  }),
  {
    name: 'audit-alarm',
    isEnglish: true,
    async show(scene) {
      const { page } = scene;
      // The signature's last characters are others.
      await page.route('**/audit/log/0/checkpoint', async (route) => {
        const response = await route.fetch();
        const head = await response.text();
        await route.fulfill({ response, body: `${head.slice(0, -20)}AAAA${head.slice(-16)}` });
      });
      await scene.visit('/audit#/heads', 'mia');
      await page.getByRole('alert').first().waitFor();
      await scene.rest();
    },
  },
  closed('admin-gate', '/admin', 'ada'),
  admin('reports', 'reports'),
  admin('reports-closed', 'reports', undefined, '?state=closed'),
  admin('report', 'reports', async ({ page }) => {
    await page.locator('.reports a').first().click();
    await page.locator('[data-reported="true"]').first().waitFor();
  }),
  admin('decision', 'reports', async ({ page }) => {
    await page.locator('.reports a').first().click();
    await page.getByLabel('Delete this message').first().check();
    await page
      .getByLabel(/^Suspend/)
      .first()
      .check();
    await page.getByLabel('Note').fill('Advertising');
    await page.getByRole('button', { name: /and close/ }).click();
    await page.getByRole('dialog').waitFor();
  }),
  admin(
    'report-closed',
    'reports',
    async ({ page }) => {
      await page.locator('.reports a').first().click();
      await page.getByText(/^Closed:/).waitFor();
    },
    '?state=closed',
  ),
  admin('users', 'users'),
  admin('users-none', 'users', undefined, '?q=qqqq'),
  admin('user', 'users', userOpened, '?q=dora'),
  admin('user-suspended', 'users', userOpened, '?q=zoe'),
  admin('user-with-role', 'users', userOpened, '?q=ola'),
  userDialog('suspend', 'Suspend'),
  userDialog('sessions', 'Sessions'),
  userDialog('reset', 'Reset password'),
  userDialog('erase', 'Erase'),
  admin('subscriptions', 'subscriptions', async ({ page }) => page.locator('summary').first().click()),
  admin('subscription-seek', 'subscriptions', async ({ page }) => {
    await page.locator('summary').first().click();
    await page.getByRole('button', { name: 'Continue from another place' }).first().click();
    await page.getByRole('dialog').waitFor();
  }),
  admin('keys', 'keys'),
  admin('key-revoke', 'keys', async ({ page }) => {
    await page
      .getByRole('button', { name: /^Revoke/ })
      .first()
      .click();
    await page.getByRole('dialog').waitFor();
  }),
  admin('status', 'status'),
  admin('menu', 'status', async ({ page }) => {
    await page.locator('.menu-button').click();
    await page.locator('#menu').waitFor();
  }),
];
