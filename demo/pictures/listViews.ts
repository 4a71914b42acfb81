import type { WebSocketRoute } from 'playwright-core';
import { hold } from '../../test/browser/person.js';
import type { Scene } from './scene.js';
import type { View } from './view.js';

const search = ({ page }: Scene) => page.locator('.side input[type="search"]');

async function find(scene: Scene, query: string): Promise<void> {
  await scene.chat();
  await scene.page.keyboard.press('Control+k');
  await search(scene).fill(query);
  const searching = scene.page.getByText(scene.text('search.searching'), { exact: true });
  await scene.page.locator('.found .count').waitFor();
  await searching.waitFor({ state: 'detached' });
}

/** The menu of a chat in the list. */
async function chatMenu(scene: Scene, name: string): Promise<void> {
  const row = scene.page
    .locator('.row')
    .filter({ has: scene.page.locator('.name', { hasText: name }) })
    .first();
  const menu = scene.page.getByRole('menu');
  if (scene.isPhone) await hold(scene.page, row.locator('.chat'), menu);
  else {
    await row.hover();
    await row.getByRole('button', { name: scene.text('chat.menu') }).click();
  }
  await menu.waitFor();
}

/** The list of chats and what is found in it. */
export const listViews: readonly View[] = [
  {
    name: 'chats-empty',
    async show(scene) {
      await scene.chat(undefined, 'ola');
      await scene.page.locator('.empty-state:visible h2').waitFor();
    },
  },
  {
    name: 'chats',
    shows: ['list chats'],
    async show(scene) {
      await scene.chat();
      await scene.page.locator('.row').nth(4).waitFor();
    },
  },
  {
    name: 'chats-draft',
    async show(scene) {
      await scene.chat('ben');
      await scene.page
        .locator('.composer textarea')
        .fill(scene.world.words(['I will bring the good lamps', 'سأحضر المصابيح الجيدة']));
      await scene.page.reload();
      await scene.page.locator('.scroller article').first().waitFor();
      if (scene.isPhone) await scene.press('room.back');
      else await scene.page.locator('.row').nth(2).locator('.chat').click();
      await scene.page.locator('.draft').waitFor();
    },
  },
  {
    name: 'chats-typing',
    async show(scene) {
      await scene.chat();
      await scene.page.locator('.row').nth(2).waitFor();
      const { device } = scene.world.player('layla');
      const typing = { roomId: scene.world.room('layla'), isTyping: true };
      await device.client.request('join room', { roomIds: [typing.roomId] }).catch(() => {});
      await device.client.request('notify typing', typing);
      await scene.page.locator('.row i').waitFor();
    },
  },
  {
    name: 'chat-menu',
    async show(scene) {
      await scene.chat();
      await chatMenu(scene, scene.world.player('ben').title);
    },
  },
  {
    name: 'chat-menu-mute',
    async show(scene) {
      await scene.chat();
      await chatMenu(scene, scene.world.player('ben').title);
      await scene.page.getByRole('menuitem', { name: scene.text('chat.mute') }).click();
    },
  },
  { name: 'search', show: (scene) => find(scene, scene.world.words(['o', 'ا'])) },
  { name: 'search-none', show: (scene) => find(scene, 'qqqq') },
  {
    name: 'requests',
    shows: ['list requests'],
    async show(scene) {
      await scene.chat();
      await scene.page.locator('.leading').first().click();
      await scene.page.locator('.list-head').waitFor();
    },
  },
  {
    name: 'archived',
    shows: ['list archived'],
    async show(scene) {
      await scene.chat();
      await scene.page.locator('.leading').last().click();
      await scene.page.locator('.list-head').waitFor();
      await scene.page.locator('.row').first().waitFor();
    },
  },
  {
    name: 'connection-lost',
    async show(scene) {
      let isLost = false;
      const sockets = new Set<WebSocketRoute>();
      await scene.page.routeWebSocket(/\/ws$/, (socket) => {
        sockets.add(socket);
        if (isLost) void socket.close();
        else socket.connectToServer();
      });
      await scene.chat('ben');
      isLost = true;
      for (const socket of sockets) await socket.close();
      await scene.page.locator('.connection .notice').waitFor();
      await scene.page.locator('.composer textarea').fill(scene.world.words(['In the tunnel', 'في النفق']));
      await scene.page.locator('.composer .send').click();
      await scene.page.locator('.bubble.waiting, .bubble.sending').first().waitFor();
    },
  },
  {
    name: 'update-notice',
    async show(scene) {
      // A worker of a new build that waits.
      await scene.page.addInitScript(`navigator.serviceWorker.register = () => Promise.resolve(
        Object.assign(new EventTarget(), { waiting: { postMessage() {} }, update: () => Promise.resolve() }))`);
      await scene.chat();
      await scene.page.locator('.update .notice').waitFor();
    },
  },
];
