import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Locator } from 'playwright-core';
import { Rest } from '../../packages/client/src/rest.js';
import type { RequestInput } from '../../src/domain/contract.js';
import { openWorld, screenshot } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';
import { leadTo, Person } from './person.js';

describe('Messages of a group in the web chat', function () {
  this.timeout(120_000);
  const world = openWorld({ RATE_LIMIT: 'off' });
  const open: { close(): Promise<void> }[] = [];
  let ann: Person | undefined;
  const reader = (): Person => {
    if (!ann) throw new Error('nobody is there');
    return ann;
  };
  afterEach(async () => {
    expect(reader().strangers).to.deep.equal([]);
    for (const one of open.splice(0)) await one.close();
  });

  /** A member without a page. */
  async function member(name: string) {
    const { username, password } = await signUp(world.server, `${name}-of-${reader().name}`);
    const { token, user } = await new Rest(world.server.url).signIn(username, password);
    const socket = await RawSocket.open(world.server.wsUrl, token);
    open.push(socket);
    return { user, token, password, socket, name: username };
  }

  /** Waits until these are all lines: what the server keeps of a group comes apart from what the page is told. */
  const shows = (lines: Locator, expected: readonly string[]): Promise<void> =>
    eventually(
      `the lines are ${expected.join(' / ')}`,
      async () => String(await lines.allInnerTexts()) === String(expected),
    );

  /** A group of somebody with a page and others, with functions to write as one of them. */
  async function group() {
    ann = await Person.at(world.browser, world.server.url);
    open.push(ann);
    const [cleo, dan] = [await member('cleo'), await member('dan')];
    const { user } = await new Rest(world.server.url).signIn(ann.name, Person.password);
    const roomId = randomUUID();
    await cleo.socket.request('create group', {
      ...{ roomId, name: 'Walk on Sunday', memberIds: [user.userId], history: 'all' },
    });
    type More = Omit<RequestInput<'send message'>, 'roomId' | 'messageId' | 'message'>;
    const write = async (who: typeof cleo, message: string, more: More = {}) => {
      const sent = { roomId, messageId: randomUUID(), message, ...more };
      return (await who.socket.request('send message', sent)).message;
    };
    return { roomId, cleo, dan, ann, annId: user.userId, write };
  }

  it('show in their place who came, went and was given a role', async () => {
    const { roomId, cleo, dan, write } = await group();
    await write(cleo, 'first');
    const { page } = reader();
    await reader().chat('Walk on Sunday').click();
    await reader().sees('first');
    await cleo.socket.request('add members', { roomId, userIds: [dan.user.userId] });
    await write(dan, 'second');
    await cleo.socket.request('change role', { roomId, userId: dan.user.userId, role: 'admin' });
    await cleo.socket.request('change group', { roomId, name: 'Walk on Monday' });
    await dan.socket.request('leave group', { roomId });
    await write(cleo, 'third');
    await reader().sees('third');
    await shows(page.locator('.scroller .text, .scroller .happening'), [
      `${cleo.name} created the group.`,
      `${cleo.name} added you.`,
      'first',
      `${cleo.name} added ${dan.name}.`,
      'second',
      `${cleo.name} made ${dan.name} an admin.`,
      `${cleo.name} named the group “Walk on Monday”.`,
      `${dan.name} left.`,
      'third',
    ]);
    await screenshot(page, 'messages-happenings');
  });

  it('name those whom they mention alike, wherever they are shown', async () => {
    const { cleo, write, ann: me, annId, roomId } = await group();
    const { page } = me;
    const { token } = await new Rest(world.server.url).signIn(me.name, Person.password);
    await new Rest(world.server.url).changeProfile(token, { displayName: 'Ada Lovelace' });
    const { messageId } = await write(cleo, `Hi @${me.name}`, { mentions: [annId] });
    await cleo.socket.request('pin message', { roomId, messageId, on: true });
    await me.chat('Walk on Sunday').filter({ hasText: '@Ada Lovelace' }).click();
    await me.sees('@Ada Lovelace');
    await me.message('@Ada Lovelace').getByRole('button', { name: 'Reply' }).click();
    await page.locator('.replying', { hasText: '@Ada Lovelace' }).waitFor();
    await me.say('Hello');
    await page.locator('.quote', { hasText: '@Ada Lovelace' }).waitFor();
    await page.locator('.pin-text', { hasText: '@Ada Lovelace' }).waitFor();
    expect(await page.getByText(`@${me.name}`).count()).to.equal(0);
  });

  it('of a blocked person are covered everywhere: the pins, their list, quotes, the reply, the list of chats', async () => {
    const { roomId, cleo, dan, write, ann: me } = await group();
    const { page } = me;
    await cleo.socket.request('add members', { roomId, userIds: [dan.user.userId] });
    const { messageId } = await write(dan, 'rude words');
    await cleo.socket.request('pin message', { roomId, messageId, on: true });
    await write(cleo, 'stop it', { replyTo: messageId });
    await me.chat('Walk on Sunday').click();
    await me.sees('stop it');
    await page.getByRole('region', { name: 'Pinned messages' }).getByText('rude words').waitFor();
    const { token } = await new Rest(world.server.url).signIn(me.name, Person.password);
    const device = await RawSocket.open(world.server.wsUrl, token);
    open.push(device);
    await device.request('block user', { userId: dan.user.userId, block: true });
    const cover = 'Message from a person you blocked';
    const bar = page.getByRole('region', { name: 'Pinned messages' });
    await bar.getByText(cover).waitFor();
    await page.locator('.quote', { hasText: cover }).waitFor();
    await bar.getByRole('button', { name: '1 pinned' }).click();
    await page.getByRole('dialog', { name: 'Pinned messages' }).getByText(cover).waitFor();
    expect(await page.getByText('rude words').count()).to.equal(0);
    await page.keyboard.press('Escape');
    await page.reload();
    await bar.getByText(cover).waitFor();
    expect(await page.getByText('rude words').count(), 'after a reload').to.equal(0);
    // Who wants to read it can, and answer it.
    await page.getByRole('article').filter({ hasText: cover }).getByRole('button', { name: 'Show' }).click();
    await me.message('rude words').getByRole('button', { name: 'Reply' }).click();
    await page.locator('.replying').getByText(cover).waitFor();
    await write(dan, 'more rude words');
    await me.chat('Walk on Sunday').getByText(cover).waitFor();
    expect(await page.getByText('rude words').count(), 'the one that is shown').to.equal(1);
  });

  it('keep these lines for a reload and a new device, in the part of the history that is shown', async () => {
    const { roomId, cleo, dan, ann: me, write } = await group();
    const [eve, fay] = [await member('eve'), await member('fay')];
    await write(cleo, 'first');
    const userIds = [dan, eve, fay].map(({ user }) => user.userId);
    await cleo.socket.request('add members', { roomId, userIds });
    await dan.socket.request('leave group', { roomId });
    for (let n = 1; n <= 60; n++) await write(cleo, `line ${n}`);
    await cleo.socket.request('change role', { roomId, userId: eve.user.userId, role: 'admin' });
    await new Rest(world.server.url).erase(dan.token, dan.user.userId, dan.password);
    const early = [
      `${cleo.name} created the group.`,
      `${cleo.name} added you.`,
      'first',
      // Of the account that was deleted no name is left.
      `${cleo.name} added Deleted user, ${eve.name} and ${fay.name}.`,
      'Deleted user left.',
      'line 1',
    ];
    const late = `${cleo.name} made ${eve.name} an admin.`;
    const device = await world.browser.newContext({ locale: 'en-GB' });
    open.push(device);
    const other = await device.newPage();
    await other.goto(world.server.url);
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByLabel('User name').fill(me.name);
    await other.getByLabel('Password').fill(Person.password);
    await other.getByRole('button', { name: 'Sign in' }).first().click();
    for (const page of [me.page, other]) {
      await page
        .getByRole('navigation', { name: 'Chats' })
        .getByRole('button', { name: 'Walk on Sunday' })
        .click();
      for (const isReloaded of [false, true]) {
        if (isReloaded) await page.reload();
        const lines = page.locator('.scroller .text, .scroller .happening');
        // The rows that are in the page change until the next frame, when a page of the history comes.
        await eventually('the end', async () => {
          const [last, behind] = (await lines.allInnerTexts()).slice(-2);
          return last === 'line 60' && behind === late;
        });
        await page.locator('.scroller').hover();
        await eventually('the beginning', async () => {
          await page.mouse.wheel(0, -5000);
          return String((await lines.allInnerTexts()).slice(0, early.length)) === String(early);
        });
      }
    }
  });

  it('say who added somebody, and nothing of what was before them, nor of a group of others', async () => {
    const { roomId, cleo, dan, write } = await group();
    await write(cleo, 'first');
    await cleo.socket.request('change group', { roomId, name: 'Walk on Monday', history: 'joined' });
    const bob = await Person.at(world.browser, world.server.url);
    open.push(bob);
    const { user, token } = await new Rest(world.server.url).signIn(bob.name, Person.password);
    await cleo.socket.request('add members', { roomId, userIds: [user.userId, dan.user.userId] });
    await bob.chat('Walk on Monday').click();
    const lines = bob.page.locator('.scroller .text, .scroller .happening');
    const added = [`${cleo.name} added you.`, `${cleo.name} added ${dan.name}.`];
    await shows(lines, added);
    await cleo.socket.request('remove member', { roomId, userId: user.userId });
    await lines.filter({ hasText: `${cleo.name} removed you.` }).waitFor();
    await cleo.socket.request('change group', { roomId, name: 'Without Bob' });
    await bob.page.reload();
    await shows(lines, [...added, `${cleo.name} removed you.`]);
    // Who comes back is told by whom, where the room is open.
    await cleo.socket.request('add members', { roomId, userIds: [user.userId] });
    await eventually('the line of coming back', async () => (await lines.count()) === 4);
    expect((await lines.allInnerTexts()).at(-1)).to.equal(`${cleo.name} added you.`);
    const eve = await member('eve');
    const device = await RawSocket.open(world.server.wsUrl, token);
    open.push(device);
    const theirs = randomUUID();
    await eve.socket.request('create group', { roomId: theirs, name: 'Others', memberIds: [] });
    expect(await device.refusal('get happenings', { roomId: theirs })).to.include({ code: 'not_found' });
  });

  it('mention members, who are completed at an @, highlighted and led to', async () => {
    const { cleo, annId, write, ann: me } = await group();
    await write(cleo, 'first', { mentions: [annId] });
    const badge = me.chat('Walk on Sunday').getByText('mentions you');
    await badge.waitFor({ state: 'attached' });
    await me.chat('Walk on Sunday').click();
    await me.sees('first');
    await badge.waitFor({ state: 'detached' });
    await me.composer.pressSequentially('Well, @cl');
    await me.page.getByRole('option', { name: cleo.name }).waitFor();
    await me.composer.press('Enter');
    expect(await me.composer.inputValue()).to.equal(`Well, @${cleo.name} `);
    await me.composer.pressSequentially('what now?');
    await me.composer.press('Enter');
    await me
      .message('what now')
      .locator('.mention', { hasText: `@${cleo.name}` })
      .waitFor();
    const pushed = await cleo.socket.push('send message', ({ message }) => message.senderId === annId);
    expect(pushed.data.message.mentions).to.deep.equal([cleo.user.userId]);
    // Somebody else is not mentioned by an address or a longer name.
    await write(cleo, `not ann@${me.name}, but @${me.name}!`, { mentions: [annId] });
    await me
      .message('not ann')
      .locator('.mention.me', { hasText: `@${me.name}` })
      .waitFor();
    expect(await me.message('not ann').locator('.mention').count()).to.equal(1);
    for (let n = 0; n < 40; n++) await write(cleo, `line ${n}`);
    await me.sees('line 39');
    await me.page.locator('.scroller').hover();
    // The wheel does not wait for the view, which at the end would show the mention at once.
    const newest = me.page.getByRole('button', { name: 'Go to the newest message' });
    await eventually('the view is far from the end', async () => {
      await me.page.mouse.wheel(0, -3000);
      return newest.isVisible();
    });
    await write(cleo, `@all, come`, { mentions: ['all'] });
    const mention = me.page.getByRole('button', { name: 'Go to the next message that mentions you' });
    await leadTo(me.page, 'come', () => mention.click());
  });

  it('say who has read them', async () => {
    const { roomId, cleo, write, ann: me } = await group();
    await write(cleo, 'first');
    await me.chat('Walk on Sunday').click();
    await me.say('mine');
    await me.sees('mine', 'sent');
    await me.choose('mine', 'Read by');
    const readers = me.page.getByRole('dialog', { name: 'Read by' });
    await readers.getByText('Nobody has read this yet.').waitFor();
    await me.page.keyboard.press('Escape');
    await cleo.socket.request('read messages', { roomId });
    await me.sees('mine', 'read');
    await me.choose('mine', 'Read by');
    await readers.getByText(cleo.name).waitFor();
    await me.page.keyboard.press('Escape');
    const theirs = await me.openOptions('first');
    expect(await theirs.getByRole('button', { name: 'Read by' }).count()).to.equal(0);
    expect(await theirs.getByRole('button', { name: 'Pin' }).count(), 'not of a member').to.equal(0);
    await me.page.keyboard.press('Escape');
  });

  it('that are quoted or new are found however far back they are', async () => {
    const { roomId, cleo, write, ann: me } = await group();
    const { messageId } = await write(cleo, 'where it began');
    const COUNT = 450;
    for (let n = 0; n < COUNT; n += 50)
      await Promise.all(Array.from({ length: 50 }, (_, i) => write(cleo, `line ${n + i + 1}`)));
    await write(cleo, 'the last', { replyTo: messageId });
    await me
      .chat('Walk on Sunday')
      .getByText(`${COUNT + 2} unread`)
      .waitFor({ state: 'attached' });
    await me.chat('Walk on Sunday').click();
    await me.sees('the last');
    await me.page.getByRole('button', { name: `${COUNT + 2} new messages` }).click();
    await me.page.locator('li', { hasText: 'New messages' }).getByText('where it began').waitFor();
    await me.page.getByRole('button', { name: 'Go to the newest message' }).click();
    await eventually('the end', () => me.message('the last').isVisible());
    expect(await me.page.getByRole('button', { name: 'new messages' }).count(), 'it was seen').to.equal(0);
    await me.page.reload();
    await me.sees('the last');
    // Its quoted message is not loaded here, and asked for.
    const quote = me.message('the last').locator('.quote');
    await quote.getByText('where it began', { exact: true }).waitFor();
    await quote.getByText(cleo.name, { exact: true }).waitFor();
    await cleo.socket.request('edit message', {
      ...{ roomId, messageId, editId: randomUUID(), message: 'where it all began' },
    });
    await quote.getByText('where it all began', { exact: true }).waitFor();
    await leadTo(me.page, 'where it all began', () => quote.click());
    await eventually('it is in view', () => me.message('where it all began').first().isVisible());
    expect(await me.page.getByText('New messages', { exact: true }).count(), 'nothing is new').to.equal(0);
    await me.page.getByRole('button', { name: 'Go to the newest message' }).click();
    await eventually('the end again', () => me.message('the last').isVisible());
    await me.page.reload();
    await quote.getByText('where it all began', { exact: true }).waitFor();
    await cleo.socket.request('delete message', { roomId, messageId });
    await quote.getByText('Message deleted', { exact: true }).waitFor();
  });
});
