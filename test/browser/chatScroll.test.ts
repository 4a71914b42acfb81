import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { BrowserContextOptions } from 'playwright-core';
import { Rest } from '../../packages/client/src/rest.js';
import { openWorld, screenshot } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';
import { Person } from './person.js';

/** Runs in the page: the distance of the view from the end, in px, once nothing has moved for 12 frames. */
const FROM_END = `new Promise((resolve) => {
  const scroller = document.querySelector('.scroller');
  let [last, frames] = ['', 0];
  const look = () => {
    const { scrollHeight, clientHeight, scrollTop } = scroller;
    const now = [scrollHeight, clientHeight, scrollTop].join();
    frames = now === last ? frames + 1 : 0;
    last = now;
    if (frames === 12) resolve(Math.round(scrollHeight - clientHeight - scrollTop));
    else requestAnimationFrame(look);
  };
  look();
})`;

/** Messages of different heights: one line, a few lines, and more than a screen of a phone. */
const textOf = (n: number): string =>
  `message ${n}${' and more words'.repeat([0, 12, 0, 3, 90, 0, 30][n % 7] ?? 0)}`;

const phone: BrowserContextOptions = {
  viewport: { width: 375, height: 740 },
  hasTouch: true,
  isMobile: true,
};
const desktop: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };

describe('The end of a conversation in the web chat', function () {
  this.timeout(120_000);
  const world = openWorld({ RATE_LIMIT: 'off' });

  /** A reader, and a writer who has sent this number of messages through a raw socket. */
  async function conversation(options: BrowserContextOptions, count: number) {
    const ann = await Person.at(world.browser, world.server.url, options);
    const name = `writer-to-${ann.name}`;
    const { username, password } = await signUp(world.server, name);
    const { token } = await new Rest(world.server.url).signIn(username, password);
    const socket = await RawSocket.open(world.server.wsUrl, token);
    const [found] = await new Rest(world.server.url).search(token, ann.name);
    const { room } = await socket.request('init chat', { friendId: found?.userId ?? '' });
    let n = 0;
    const write = async (): Promise<string> => {
      const message = textOf(++n);
      await socket.request('send message', { roomId: room.roomId, messageId: randomUUID(), message });
      return message;
    };
    while (n < count) await write();
    const fromEnd = (): Promise<number> => ann.page.evaluate<number>(FROM_END);
    const close = async (): Promise<void> => {
      expect(ann.strangers).to.deep.equal([]);
      await ann.close();
      await socket.close();
    };
    return { ann, name, write, fromEnd, close };
  }

  for (const [look, options] of Object.entries({ phone, desktop })) {
    for (const count of [1, 12, 120])
      it(`is in view when a chat of ${count} messages opens, and stays so (${look})`, async () => {
        const { ann, name, write, fromEnd, close } = await conversation(options, count);
        await ann.chat(name).click();
        await ann.sees(`message ${count}`);
        expect(await fromEnd(), 'when it opens').to.equal(0);
        await screenshot(ann.page, `chat-end-${count}-${look}`);
        for (let more = 0; more < 14; more++) {
          const text = await write();
          await ann.message(text).waitFor();
          expect(await fromEnd(), `after ${more + 1} more`).to.equal(0);
        }
        for (let mine = 0; mine < 4; mine++) {
          await ann.say(`my ${textOf(mine)}`);
          await ann.sees(`my ${textOf(mine)}`, 'sent');
          expect(await fromEnd(), `after ${mine + 1} of my own`).to.equal(0);
        }
        await close();
      });

    it(`stays in view when the list gets less room, and more again (${look})`, async () => {
      const { ann, name, fromEnd, close } = await conversation(options, 30);
      await ann.chat(name).click();
      await ann.sees('message 30');
      expect(await fromEnd()).to.equal(0);
      const { width, height } = options.viewport ?? { width: 0, height: 0 };
      // The keyboard of a phone takes about this part of the window.
      await ann.page.setViewportSize({ width, height: Math.round(height * 0.55) });
      expect(await fromEnd(), 'with a keyboard').to.equal(0);
      await screenshot(ann.page, `chat-end-keyboard-${look}`);
      await ann.composer.fill('one\ntwo\nthree\nfour');
      expect(await fromEnd(), 'with a draft of four lines').to.equal(0);
      await ann.choose('message 30', 'Reply');
      expect(await fromEnd(), 'with a quoted message').to.equal(0);
      await ann.composer.fill('');
      await ann.page.getByRole('button', { name: 'Cancel reply' }).click();
      await ann.page.setViewportSize({ width, height });
      expect(await fromEnd(), 'without a keyboard').to.equal(0);
      await ann.page.setViewportSize({ width: Math.round(width * 0.8), height });
      expect(await fromEnd(), 'in a narrower window').to.equal(0);
      await close();
    });

    it(`is left when the reader scrolls up, and comes back with a message of their own (${look})`, async () => {
      const { ann, name, write, fromEnd, close } = await conversation(options, 60);
      await ann.chat(name).click();
      await ann.sees('message 60');
      expect(await fromEnd()).to.equal(0);
      // The smallest step of a reader.
      await ann.page.locator('.scroller').hover();
      await ann.page.mouse.wheel(0, -40);
      await eventually('a step away', async () => (await fromEnd()) > 0);
      await write();
      expect(await fromEnd(), 'a new message does not move the view').to.be.above(0);
      await ann.page.mouse.wheel(0, -1500);
      await eventually('a screen away', async () => (await fromEnd()) > 1000);
      const away = await fromEnd();
      await write();
      expect(await fromEnd(), 'a new message does not move the view').to.be.at.least(away);
      await ann.say('my own');
      await ann.sees('my own', 'sent');
      expect(await fromEnd()).to.equal(0);
      await write();
      expect(await fromEnd()).to.equal(0);
      await close();
    });
  }
});
