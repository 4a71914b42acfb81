import type { Locator } from 'playwright-core';
import type { Scene } from './scene.js';
import type { View } from './view.js';

/** Ada's message with the train's time, which she has edited twice. */
const train = (scene: Scene): Locator =>
  scene.page.locator('.bubble.mine').filter({ has: scene.page.locator('.edited') });
/** The first message of Ben that is in view. */
const last = (scene: Scene, text: readonly [string, string]): Locator =>
  scene.article(scene.world.words(text));

const BYE = ['See you there!', 'أراك هناك!'] as const;
const LATE = ['I may be ten minutes late', 'قد أتأخر عشر دقائق'] as const;
const BOOTS = ['At the mill', 'عند الطاحونة'] as const;

async function typing(scene: Scene, text: string): Promise<void> {
  await scene.page.locator('.composer textarea').fill('');
  await scene.page.locator('.composer textarea').pressSequentially(text);
  await scene.page.locator('.completions').waitFor();
}

/** What is opened from a message of Ben's room. */
const ofBen = (name: string, part: string, show: (scene: Scene) => Promise<unknown>): View => ({
  name,
  shows: [`message ${part}`],
  async show(scene) {
    await scene.chat('ben');
    await show(scene);
  },
});

/** The open room, its messages and what belongs to them. */
export const messageViews: readonly View[] = [
  { name: 'room', show: (scene) => scene.chat('ben') },
  {
    name: 'room-top',
    async show(scene) {
      await scene.chat('ben');
      await scene.page.locator('.scroller').evaluate((list) => list.scrollTo(0, 0));
      await scene.page.locator('.jumps .newest').waitFor();
    },
  },
  { name: 'group', show: (scene) => scene.chat('walkers') },
  {
    name: 'group-top',
    async show(scene) {
      await scene.chat('walkers');
      await scene.page.locator('.scroller').evaluate((list) => list.scrollTo(0, 0));
      await scene.rest();
    },
  },
  { name: 'group-unread', show: (scene) => scene.chat('neighbours') },
  { name: 'group-admins-only', show: (scene) => scene.chat('news') },
  { name: 'room-arabic', show: (scene) => scene.chat('layla') },
  { name: 'room-long-name', show: (scene) => scene.chat('wolfram.m') },
  { name: 'room-request', show: (scene) => scene.chat('dmitri.v') },
  { name: 'room-deleted-account', show: (scene) => scene.chat('gone').catch(() => scene.rest()) },
  { name: 'room-suspended', show: (scene) => scene.chat('zoe') },
  {
    name: 'room-blocked',
    async show(scene) {
      await scene.chat('max.power');
      await scene.page.locator('.with-action').waitFor();
    },
  },
  {
    name: 'room-unavailable',
    async show(scene) {
      await scene.visit('/#room=nonsense', 'ada');
      await scene.page.locator('.main .empty-state h1').waitFor();
    },
  },
  {
    name: 'room-reply',
    async show(scene) {
      await scene.chat('ben');
      await scene.choose(last(scene, BYE), 'messages.reply');
      await scene.page.locator('.replying').waitFor();
    },
  },
  {
    name: 'room-edit',
    async show(scene) {
      await scene.chat('ben');
      await scene.choose(train(scene), 'messages.edit');
      await scene.page.locator('.replying').waitFor();
    },
  },
  {
    name: 'room-too-long',
    async show(scene) {
      await scene.chat('ben');
      await scene.page.locator('.composer textarea').fill('a'.repeat(8200));
      await scene.page.locator('.too-long').waitFor();
    },
  },
  {
    name: 'message-bar',
    only: 'desktop',
    async show(scene) {
      await scene.chat('ben');
      await last(scene, BYE).hover();
    },
  },
  ofBen('message-menu', 'menu', (scene) => scene.messageMenu(train(scene))),
  ofBen('message-react', 'react', async (scene) => {
    const menu = await scene.messageMenu(last(scene, BYE));
    await menu.getByRole('button', { name: scene.text('messages.moreEmoji') }).click();
    await scene.page.locator('.emoji-grid button').nth(20).waitFor();
  }),
  ofBen('message-edits', 'edits', async (scene) => {
    await train(scene).locator('.edited').click();
    await scene.page.locator('.rows li').nth(2).waitFor();
  }),
  ofBen('message-delete', 'delete', (scene) => scene.choose(train(scene), 'messages.delete')),
  ofBen('message-reactions', 'reactions', async (scene) => {
    const reacted = scene.page.locator('.bubble').filter({ has: scene.page.locator('.reactions') });
    await scene.choose(reacted.last(), 'messages.reactions');
    await scene.page.locator('.rows li').first().waitFor();
  }),
  ofBen('message-pins', 'pins', async (scene) => {
    await scene.page.locator('.pins > .button').click();
    await scene.page.locator('.pinned-row').first().waitFor();
  }),
  {
    name: 'message-readers',
    shows: ['message readers'],
    async show(scene) {
      await scene.chat('walkers');
      await scene.choose(last(scene, BOOTS), 'messages.readers');
      await scene.page.locator('.rows li').first().waitFor();
    },
  },
  {
    name: 'message-menu-group',
    async show(scene) {
      await scene.chat('walkers');
      await scene.messageMenu(last(scene, LATE));
    },
  },
  {
    name: 'emoji-picker',
    async show(scene) {
      await scene.chat('ben');
      await scene.press('messages.emoji');
      await scene.page.locator('.emoji-grid button').nth(20).waitFor();
    },
  },
  {
    name: 'emoji-search',
    async show(scene) {
      await scene.chat('ben');
      await scene.press('messages.emoji');
      await scene.page.locator('.emoji-grid button').nth(20).waitFor();
      await scene.page.locator('.emoji-picker input').fill(scene.world.words(['cat', 'قلب']));
      await scene.rest();
    },
  },
  {
    name: 'complete-emoji',
    async show(scene) {
      await scene.chat('ben');
      await typing(scene, scene.world.words([':tea', ':قلب']));
    },
  },
  {
    name: 'complete-mention',
    async show(scene) {
      await scene.chat('walkers');
      await typing(scene, '@');
    },
  },
];
