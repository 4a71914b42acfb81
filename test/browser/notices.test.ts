import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Locator, Page, WebSocketRoute } from 'playwright-core';
import { Rest } from '../../packages/client/src/rest.js';
import { axe, openWorld, screenshot } from '../support/browser.js';
import { freePort } from '../support/freePort.js';
import { overlaps } from '../support/overlaps.js';
import { signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { leadTo, menuItem, Person, PHONE, peopleIn } from './person.js';

const failure = (page: Page, text: string): Locator =>
  page.locator('.notices').getByRole('alert').getByText(text);

/** Has the server refuse these requests of the page, which the test has chosen: it would take them. */
async function refuse(page: Page, error: object, ...events: readonly string[]): Promise<void> {
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const server = socket.connectToServer();
    socket.onMessage((frame) => {
      const { id, event } = JSON.parse(String(frame)) as { id: number; event: string };
      if (events.includes(event)) socket.send(JSON.stringify({ id, event, error }));
      else server.send(frame);
    });
  });
}

describe('What the web chat tells of failures', function () {
  this.timeout(120_000);
  const world = openWorld({ RATE_LIMIT: 'off' });
  const somebody = peopleIn(world);

  it('is each action of a menu that failed, by its name, with what to do', async () => {
    const [ann, bob] = [await somebody(), await somebody(PHONE)];
    await ann.open(bob.name);
    await ann.say('Shall we meet at six?');
    await ann.sees('at six', 'sent');
    const { page } = ann;
    await refuse(
      page,
      { code: 'internal', message: 'x' },
      'change chat',
      'pin message',
      'block user',
      'react',
    );
    await page.reload();
    const menuOf = (name: string) =>
      ann
        .chat(bob.name)
        .click({ button: 'right' })
        .then(() => menuItem(page, name));
    const tried = 'did not work. The server has a problem. Try again in a moment.';
    for (const action of ['Pin', 'Archive']) {
      await (await menuOf(action)).click();
      await failure(page, `“${action}” ${tried}`).waitFor();
    }
    await (await menuOf('Mute…')).click();
    await menuItem(page, 'For 1 hour').click();
    await failure(page, `“For 1 hour” ${tried}`).waitFor();
    await ann.choose('at six', 'Pin');
    await failure(page, `“Pin” ${tried}`).waitFor();
    await (await ann.openOptions('at six')).getByRole('button', { name: 'React with 👍' }).click();
    await failure(page, 'Your reaction 👍 was not changed. The server has a problem.').waitFor();
    await screenshot(page, 'notices');
    expect(await axe(page)).to.deep.equal([]);
    // More than three would cover the page.
    const close = page.getByRole('button', { name: 'Dismiss' });
    expect(await close.count()).to.equal(3);
    for (let n = 3; n > 0; n--) await close.first().click();
    await close.waitFor({ state: 'detached' });
  });

  it('is what keeps a block from ending, in the room and in its menu', async () => {
    const [ann, bob] = [await somebody(PHONE), await somebody()];
    await ann.open(bob.name);
    await ann.say('Hello');
    await ann.sees('Hello', 'sent');
    const { page } = ann;
    await page.getByRole('button', { name: 'Chat menu' }).tap();
    await menuItem(page, 'Block').tap();
    await page.getByRole('dialog').getByRole('button', { name: 'Block', exact: true }).tap();
    const unblock = page.getByRole('button', { name: 'Unblock', exact: true });
    await unblock.waitFor();
    await refuse(page, { code: 'overloaded', message: 'x', retryAfterMs: 60_000 }, 'block user');
    await page.reload();
    await page.clock.install();
    await unblock.tap();
    await page.clock.runFor(11_000);
    await failure(page, '“Unblock” did not work. The server did not answer in time. Try again.').waitFor();
    await screenshot(page, 'notices-phone');
    expect(await axe(page)).to.deep.equal([]);
  });

  it('is code that cannot be loaded, which a press tries again', async () => {
    // The worker would have the code.
    const [ann, bob] = [await somebody({ serviceWorkers: 'block' }), await somebody()];
    const lost = /\/assets\/EmojiPicker-[^/]+\.js$/;
    await ann.page.context().route(lost, (route) => route.abort());
    await ann.page.reload();
    await ann.open(bob.name);
    await ann.page.getByRole('button', { name: 'Emoji' }).click();
    const dialog = ann.page.getByRole('dialog', { name: 'Emoji' });
    await dialog.getByRole('alert').getByText('could not be loaded').waitFor();
    await ann.page.context().unroute(lost);
    await dialog.getByRole('button', { name: 'Try again' }).click();
    await dialog.getByRole('searchbox', { name: 'Find an emoji' }).waitFor();
  });
});

describe('Changes of an earlier run of the web chat that the server refuses', function () {
  this.timeout(90_000);
  const world = openWorld();
  const servers: ServerProcess[] = [];
  after(async () => {
    for (const server of servers) await server.stop();
  });

  it('are told with the chat, the message and the reason, and the message can be seen', async () => {
    const env = { PORT: String(await freePort()) };
    const old = await startServer({ engine: 'sqlite', env });
    const { url } = old;
    servers.push(old);
    const [ann, bob] = [await Person.at(world.browser, old.url), await Person.at(world.browser, old.url)];
    await ann.open(bob.name);
    for (const text of ['Meet at six', 'Bring cake']) {
      await ann.say(text);
      await ann.sees(text, 'sent');
    }
    await old.kill();
    await ann.banner.getByText('No connection').waitFor();
    await ann.choose('Meet at six', 'Edit');
    await ann.say('Meet at seven, at the second door');
    await ann.sees('Meet at seven');
    await ann.choose('Bring cake', 'Delete');
    await ann.page.getByRole('button', { name: 'Delete for everyone' }).click();
    await ann.message('Bring cake').waitFor({ state: 'detached' });
    const { page } = ann;
    for (const request of ['edit message', 'delete message']) await ann.storesUnsent(request);
    const context = page.context();
    await page.close();

    const strict = { ...env, EDIT_WINDOW: '0s', DELETE_WINDOW: '0s' };
    servers.push(await startServer({ engine: 'sqlite', env: strict, dataDir: old.dataDir }));
    const again = await context.newPage();
    await again.goto(url);
    const notice = (text: string) => again.locator('.notice-box').filter({ hasText: text });
    const edit = notice('Your edit was not saved. It is too late to change this message.');
    await edit.getByText(bob.name).waitFor();
    await edit.getByText('Meet at seven, at the second door').waitFor();
    const deletion = notice('The message was not deleted.');
    await deletion.getByText(bob.name).waitFor();
    await deletion.getByText('Bring cake').waitFor();
    await screenshot(again, 'notices-refused');
    expect(await axe(again)).to.deep.equal([]);
    await leadTo(again, 'Bring cake', () => deletion.getByRole('button', { name: 'Show message' }).click());
    await deletion.waitFor({ state: 'detached' });
    await ann.close();
    await bob.close();
  });
});

describe('What is far back or elsewhere in the web chat', function () {
  this.timeout(120_000);
  const world = openWorld({ RATE_LIMIT: 'off' });
  const somebody = peopleIn(world);

  it('has its sender and text in the bar of pins, which leads to it', async () => {
    const ann = await somebody(PHONE);
    const { username, password } = await signUp(world.server, 'far-writer');
    const { token } = await new Rest(world.server.url).signIn(username, password);
    const socket = await RawSocket.open(world.server.wsUrl, token);
    const [found] = await new Rest(world.server.url).search(token, ann.name);
    const { room } = await socket.request('init chat', { friendId: found?.userId ?? '' });
    const { roomId } = room;
    const ids = Array.from({ length: 130 }, () => randomUUID());
    const long = 'message 1, whose line is longer than a phone is wide';
    for (const [i, messageId] of ids.entries())
      await socket.request('send message', {
        roomId,
        messageId,
        message: i === 0 ? long : `message ${i + 1}`,
      });
    const [first = '', second = ''] = ids;
    for (const messageId of [first, second])
      await socket.request('pin message', { roomId, messageId, on: true });
    await ann.chat('far-writer').tap();
    const bar = ann.page.getByRole('region', { name: 'Pinned messages' });
    await bar.getByText('far-writer: message 2', { exact: true }).waitFor();
    await screenshot(ann.page, 'pins-far-phone');
    // It is not loaded, and changes all the same.
    const edit = { roomId, messageId: second, editId: randomUUID(), message: 'the second' };
    await socket.request('edit message', edit);
    await bar.getByText('far-writer: the second', { exact: true }).waitFor();
    await bar.getByText('All 2').tap();
    const list = ann.page.getByRole('dialog', { name: 'Pinned messages' });
    await list.getByText(`far-writer: ${long}`, { exact: true }).waitFor();
    expect(await overlaps(ann.page)).to.deep.equal([]);
    await leadTo(ann.page, long, () => list.getByText(`far-writer: ${long}`, { exact: true }).tap());
    await socket.close();
  });

  it('is a new friend, told at once and marked until the list is opened: wide and on a phone', async () => {
    for (const options of [{}, PHONE]) {
      const [ann, bob] = [await somebody(options), await somebody()];
      await ann.knowsFriends();
      await bob.search.fill(ann.name);
      await bob.page.getByRole('button', { name: `Add ${ann.name} as a friend` }).click();
      await ann.page.getByRole('status').getByText(`You and ${bob.name} are friends now.`).waitFor();
      await ann.page.getByRole('button', { name: 'Friends, 1 new' }).waitFor();
      await screenshot(ann.page, `friend-${options === PHONE ? 'phone' : 'wide'}`);
      await ann.page.getByRole('button', { name: 'Friends, 1 new' }).click();
      await ann.page.getByRole('button', { name: `${bob.name}, new: profile` }).waitFor();
      await ann.page.keyboard.press('Escape');
      await ann.page.getByRole('button', { name: 'Friends', exact: true }).waitFor();
    }
  });

  it('is the end of a friendship by a block, known after a refusal or on the next connection', async () => {
    for (const how of ['refusal', 'connection'] as const) {
      const [ann, bob] = [await somebody(), await somebody()];
      await ann.knowsFriends();
      await bob.open(ann.name);
      await bob.say('Hello');
      await bob.sees('Hello', 'sent');
      await bob.page.getByRole('button', { name: ann.name, exact: true }).click();
      await bob.page.getByRole('button', { name: 'Add as a friend' }).click();
      const { page } = ann;
      await page.getByRole('button', { name: 'Friends, 1 new' }).waitFor();
      const sockets: WebSocketRoute[] = [];
      await page.routeWebSocket(/\/ws$/, (socket) => {
        socket.connectToServer();
        sockets.push(socket);
      });
      await page.reload();
      await page.getByRole('button', { name: 'Friends, 1 new' }).waitFor();
      await bob.page.getByRole('button', { name: 'Block', exact: true }).click();
      await bob.page.getByText(`Block ${ann.name}?`).waitFor();
      await bob.page.getByRole('button', { name: 'Block', exact: true }).click();
      await bob.page.getByRole('button', { name: 'Unblock' }).first().waitFor();
      if (how === 'refusal') {
        await ann.chat(bob.name).click();
        await ann.say('Are you there?');
        await ann.sees('Are you there?', 'not sent');
      } else {
        await sockets.at(-1)?.close({ code: 1012, reason: 'the server restarts' });
      }
      await page.getByRole('button', { name: /^Friends/ }).click();
      await page.getByText('No friends yet.').waitFor();
    }
  });
});
