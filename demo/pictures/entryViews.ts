import { parley } from '../../test/support/parley.js';
import type { Scene } from './scene.js';
import type { View } from './view.js';

const open = async (scene: Scene, mode: 'signIn.signIn' | 'signIn.signUp'): Promise<void> => {
  await scene.visit('/');
  await scene.page.locator('input[name="username"]').waitFor();
  // The first visit offers to sign up.
  if (mode === 'signIn.signIn') await scene.page.locator('.other .button').click();
};

const openReset = async (scene: Scene): Promise<void> => {
  await open(scene, 'signIn.signIn');
  await scene.press('signIn.forgot');
};

async function submit({ page }: Scene, fields: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(fields)) await page.locator(`input[name="${name}"]`).fill(value);
  await page.locator('button[type="submit"]').click();
  await page.locator('.error:not(:empty), .hint.error').first().waitFor();
}

/** The forms before the chat, with their errors. */
export const entryViews: readonly View[] = [
  { name: 'sign-up', shows: ['entry sign up'], show: (scene) => open(scene, 'signIn.signUp') },
  { name: 'sign-in', shows: ['entry sign in'], show: (scene) => open(scene, 'signIn.signIn') },
  {
    name: 'sign-up-missing',
    async show(scene) {
      await open(scene, 'signIn.signUp');
      await submit(scene, {});
    },
  },
  {
    name: 'sign-up-wrong',
    async show(scene) {
      await open(scene, 'signIn.signUp');
      await submit(scene, { username: 'a b', password: 'password' });
    },
  },
  {
    name: 'sign-up-taken',
    async show(scene) {
      await open(scene, 'signIn.signUp');
      await submit(scene, { username: 'ada', password: 'correct horse 1' });
    },
  },
  {
    name: 'sign-in-wrong',
    async show(scene) {
      await open(scene, 'signIn.signIn');
      await submit(scene, { username: 'ada', password: 'not her password' });
    },
  },
  {
    name: 'sign-in-suspended',
    async show(scene) {
      await open(scene, 'signIn.signIn');
      await submit(scene, { username: 'zoe', password: scene.world.player('zoe').person.password });
    },
  },
  {
    name: 'sign-in-password-shown',
    async show(scene) {
      await open(scene, 'signIn.signIn');
      await scene.page.locator('input[name="password"]').fill('correct horse 1');
      await scene.page.locator('.with-button button').click();
    },
  },
  { name: 'reset', shows: ['entry reset'], show: openReset },
  {
    name: 'reset-wrong',
    async show(scene) {
      await openReset(scene);
      await parley(['user', 'reset-password', 'dora'], scene.world.server.settings);
      await submit(scene, { username: 'dora', code: '0000-0000-0000', password: 'correct horse 1' });
    },
  },
  {
    name: 'signed-out',
    async show(scene) {
      await scene.chat(undefined, 'dora');
      await scene.press('bar.account');
      await scene.press('account.signOut');
      await scene.page.locator('.sign-in .notice').waitFor();
    },
  },
  { name: 'not-found', show: (scene) => scene.visit('/nothing-here') },
];
