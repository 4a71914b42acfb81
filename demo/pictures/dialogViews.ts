import type { Scene } from './scene.js';
import type { View } from './view.js';

/** A dialog that buttons lead to from the list of chats. */
const dialog = (name: string, part: string, ...buttons: readonly string[]): View => ({
  name,
  shows: [`dialog ${part}`],
  async show(scene) {
    await scene.dialog(...buttons);
    await scene.rest();
  },
});

/** Opens the profile of the other of a room, or the details of a group. */
async function details(scene: Scene, room: string): Promise<void> {
  await scene.chat(room);
  await scene.page.locator('.title-button').click();
  await scene.page.locator('dialog[open] .card').waitFor();
}

/** What is reached from the details of a room. */
const inside = (name: string, part: string, room: string, ...buttons: readonly string[]): View => ({
  name,
  shows: [`dialog ${part}`],
  async show(scene) {
    await details(scene, room);
    if (buttons.length > 0) await scene.pressAll(...buttons);
    await scene.rest();
  },
});

async function memberMenu(scene: Scene): Promise<void> {
  await details(scene, 'walkers');
  await scene.page.locator('dialog[open] .person .button.icon').first().click();
  await scene.page.getByRole('menu').waitFor();
}

async function fillPasswords(scene: Scene, ...passwords: readonly string[]): Promise<void> {
  const fields = scene.page.locator('dialog[open] input[type="password"]');
  for (const [i, password] of passwords.entries()) await fields.nth(i).fill(password);
  await scene.page.locator('dialog[open] button[type="submit"]').click();
  await scene.page.locator('dialog[open] .error:not(:empty)').first().waitFor();
}

/** The dialogs of people, groups and the account. */
export const dialogViews: readonly View[] = [
  dialog('my-profile', 'myProfile', 'bar.profile'),
  dialog('account', 'account', 'bar.account'),
  {
    name: 'account-roles',
    async show(scene) {
      await scene.chat(undefined, 'mia');
      await scene.press('bar.account');
      await scene.page.locator('dialog[open] a.button').nth(2).waitFor();
    },
  },
  dialog('privacy', 'privacy', 'bar.account', 'privacy.title'),
  dialog('blocked', 'blocked', 'bar.account', 'blocked.title'),
  dialog('change-password', 'changePassword', 'bar.account', 'account.changePassword'),
  {
    name: 'change-password-wrong',
    async show(scene) {
      await scene.dialog('bar.account', 'account.changePassword');
      await fillPasswords(scene, 'not her password', 'correct horse 22');
    },
  },
  dialog('delete-account', 'deleteAccount', 'bar.account', 'account.delete'),
  {
    name: 'friends',
    shows: ['dialog friends'],
    async show(scene) {
      await scene.chat();
      await scene.page.locator('.side .bar .button').first().click();
      await scene.page.locator('dialog[open] .person').first().waitFor();
    },
  },
  {
    name: 'friends-none',
    async show(scene) {
      await scene.chat(undefined, 'ola');
      await scene.page.locator('.side .bar .button').first().click();
      await scene.page.locator('dialog[open]').waitFor();
    },
  },
  dialog('new-group', 'newGroup', 'bar.newGroup'),
  {
    name: 'new-group-chosen',
    async show(scene) {
      const box = await scene.dialog('bar.newGroup');
      await box.locator('#group-name').fill(scene.world.words(['Summer house', 'البيت الصيفي']));
      for (const n of [0, 1, 2, 3, 4]) await box.getByRole('checkbox').nth(n).check();
    },
  },
  inside('profile', 'profile', 'ben'),
  inside('profile-friend-remove', 'question', 'ben', 'friends.remove'),
  inside('profile-block', 'question', 'ben', 'block.action'),
  inside('profile-report', 'report', 'ben', 'report.action'),
  {
    name: 'profile-suspended',
    show: (scene) => details(scene, 'zoe'),
  },
  {
    name: 'report-message',
    async show(scene) {
      await scene.chat('ben');
      const text = scene.world.words(['See you there!', 'أراك هناك!']);
      await scene.choose(scene.article(text), 'messages.report');
      await scene.page.locator('dialog[open] .option').first().waitFor();
      await scene.page.locator('dialog[open] input[type="radio"]').first().check();
      await scene.page.locator('#report-note').fill(scene.world.words(['Every day', 'كل يوم']));
    },
  },
  inside('group-details', 'group', 'walkers'),
  inside('group-settings', 'groupSettings', 'walkers', 'group.settings'),
  inside('group-add', 'addMembers', 'walkers', 'group.addMembers'),
  { name: 'group-member-menu', show: memberMenu },
  {
    name: 'group-member-remove',
    async show(scene) {
      await memberMenu(scene);
      await scene.page.getByRole('menuitem', { name: scene.text('group.remove') }).click();
    },
  },
  inside('group-leave', 'question', 'walkers', 'group.leave'),
  inside('group-close', 'question', 'walkers', 'group.close'),
];
