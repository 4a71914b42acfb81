import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { Rest } from '../../packages/client/src/rest.js';
import { axe, looks, screenshot } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { type Device, newDevice, signUp } from '../support/people.js';
import { type AuditWorld, openAuditSuite, openConsole } from './auditWorld.js';

const FORMULA = '=1+1, "quoted"';

describe('The audit console, for those who know names and not ids', function () {
  this.timeout(120_000);
  let browser: Browser;
  let world: AuditWorld;
  let page: Page;
  let phone: Device;
  const groupId = randomUUID();

  const prepare = async ({ server, ann: { user }, bob }: AuditWorld) => {
    phone = await newDevice(server, bob);
    const { client } = phone;
    const ann = user.userId;
    await client.request('create group', { roomId: groupId, name: 'Gardeners', memberIds: [ann] });
    await client.request('change group', { roomId: groupId, name: 'Tree planters' });
    const { messageId } = await phone.say(groupId, 'the first text');
    for (const message of ['the second text', 'the third text'])
      await client.request('edit message', { roomId: groupId, messageId, editId: randomUUID(), message });
    await client.request('react', { roomId: groupId, messageId, emoji: '🌳', on: true });
    await phone.say(groupId, FORMULA);
    await client.request('remove member', { roomId: groupId, userId: ann });
    await client.request('delete message', { roomId: groupId, messageId });
  };
  openAuditSuite(
    (opened) => {
      ({ browser, world, page } = opened);
    },
    { messages: 2, prepare },
  );
  after(() => phone?.close());

  const search = () => page.getByRole('button', { name: 'Search', exact: true }).click();
  const streamOf = (url: string) => new URLSearchParams(new URL(url).hash.split('?')[1]).get('stream');

  it('finds the events of a group by a name that it once had, and says its name beside the id', async () => {
    await openConsole(page, world);
    const field = page.getByRole('combobox', { name: 'Room or user' });
    await field.fill('garden');
    await page.getByRole('option', { name: 'Tree planters group, once Gardeners' }).waitFor();
    expect(await axe(page)).to.deep.equal([]);
    await field.press('ArrowDown');
    await field.press('Enter');
    expect(await field.inputValue()).to.equal(`room:${groupId}`);
    await page.locator('#stream-name', { hasText: 'Group Tree planters' }).waitFor();
    await search();
    await page.getByText(/^Page 1: \d+ events, newest first/).waitFor();
    expect(streamOf(page.url())).to.equal(`room:${groupId}`);
    await page.locator('.events .type', { hasText: 'Message deleted' }).waitFor();
  });

  it('names the rooms of rows that events on the page name, and asks for no name', async () => {
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await openConsole(page, world, '#/events');
    await page.locator('.events .stream', { hasText: 'Group Tree planters' }).first().waitFor();
    await page
      .locator('.events .stream', { hasText: /Chat of (ann and bob|bob and ann)/ })
      .first()
      .waitFor();
    expect(asked.filter((path) => path.startsWith('/audit/events'))).to.have.length(1);
    // What no event on the page names has its short id.
    await page.goto(`${world.server.url}/audit#/events?type=MessageSent`);
    await page.reload();
    await page
      .locator('.events .stream', { hasText: `room:${groupId.slice(0, 8)}` })
      .first()
      .waitFor();
  });

  it('names a private chat by its members, also one whose members were friends before', async () => {
    const cid = await signUp(world.server, 'cid');
    const { client } = phone;
    await client.request('add friend', { friendId: cid.user.userId });
    const { roomId } = (await client.request('init chat', { friendId: cid.user.userId })).room;
    const { seq } = await phone.say(roomId, 'hello, friend');
    await openConsole(page, world, `#/message?room=${roomId}&seq=${seq}`);
    await page.getByRole('heading', { name: /: Chat of (bob and cid|cid and bob)$/ }).waitFor();
  });

  it('says in words what auditors read', async () => {
    await openConsole(page, world, `#/past?room=${groupId}`);
    await page.getByRole('region', { name: 'Room at this time' }).waitFor();
    await page.getByLabel('Name of a group, or room ID').fill('planters');
    await page.keyboard.press('Enter');
    await page.getByText('1 group found:').waitFor();
    await page.goto(`${world.server.url}/audit#/events?type=AuditRead`);
    const said = page.locator('.events .what');
    await said.getByText('looked up a name: planters').waitFor();
    for (const words of [
      /^read Group Tree planters at \d{4}-/,
      /^read events “Group changed”$/,
      /^read events of Group Tree planters$/,
    ])
      await said.filter({ hasText: words }).first().waitFor();
    await screenshot(page, 'audit-reads');
  });

  it('says about whom an event is, and takes a room by its short id', async () => {
    await openConsole(page, world, '#/events');
    const shown = `room:${groupId.slice(0, 8)}`;
    await page.locator('.events .stream', { hasText: 'Group Tree planters' }).first().waitFor();
    const field = page.getByRole('combobox', { name: 'Room or user' });
    await field.fill(shown);
    await page.locator('#stream-name', { hasText: 'Group Tree planters' }).waitFor();
    await search();
    await page.waitForURL((url) => streamOf(url.href) === `room:${groupId}`);
    await page.getByText(/^Page 1: \d+ events, newest first/).waitFor();
    const said = (title: string) =>
      page.locator('.events summary', { has: page.locator('.type', { hasText: title }) }).locator('.what');
    await said('Member joined').getByText('ann').waitFor();
    expect(await said('Member joined').allTextContents()).to.include('ann, as member');
    expect(await said('Reaction changed').allTextContents()).to.deep.equal(['🌳 to message 1']);
    await said('Member left').getByText('ann').waitFor();
    expect(await said('Member left').textContent()).to.match(/^ann, removed after message \d$/);
    await screenshot(page, 'audit-whom');
    await page.setViewportSize({ width: 390, height: 844 });
    await screenshot(page, 'audit-whom-phone');
    const isCut = `[...document.querySelectorAll('.with-calendar .input')].some((input) => {
      const context = document.createElement('canvas').getContext('2d');
      const style = getComputedStyle(input);
      context.font = style.font;
      const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
      return context.measureText(input.placeholder).width > input.clientWidth - padding;
    })`;
    expect(await page.evaluate(isCut), 'a time that is cut').to.equal(false);
    await page.goto(`${world.server.url}/audit#/past?room=${groupId}`);
    await page.getByRole('slider').waitFor();
    await screenshot(page, 'audit-past-phone');
    expect(await page.evaluate(isCut), 'a time that is cut').to.equal(false);
  });

  it('finds the events of a person, and narrows them by a value of one', async () => {
    await openConsole(page, world);
    const field = page.getByRole('combobox', { name: 'Done by' });
    await field.fill('bo');
    await page.getByRole('option', { name: 'bob user' }).click();
    await page.locator('#actor-name', { hasText: 'bob' }).waitFor();
    await search();
    // The list of before may still be there, and then none for a moment.
    await eventually('all are of bob', async () => {
      const actors = await page.locator('.events .actor').allTextContents();
      return actors.length > 0 && actors.every((actor) => actor === 'bob');
    });
    await page.locator('.events summary', { hasText: 'Message edited' }).first().click();
    await page.getByRole('link', { name: 'Only this type' }).click();
    await page.getByText('Page 1: 2 events, newest first.').waitFor();
    const query = new URLSearchParams(new URL(page.url()).hash.split('?')[1]);
    expect(Object.fromEntries(query)).to.deep.equal({
      type: 'MessageEdited',
      actor: world.bob.user.userId,
    });
  });

  it('has a calendar that needs no mouse', async () => {
    await openConsole(page, world, '#/events?since=2026-03-31T00:00:00Z');
    await page.getByRole('button', { name: 'Since: choose a date' }).press('Enter');
    const chosen = page.locator('[aria-selected="true"]');
    await page.getByRole('dialog', { name: 'Since: choose a date' }).waitFor();
    // The day gets the focus when the open calendar has been drawn.
    await page.locator('[aria-label="Tuesday, March 31, 2026"]:focus').waitFor();
    expect(await axe(page)).to.deep.equal([]);
    await screenshot(page, 'audit-calendar');
    for (const [key, day] of [
      ['PageUp', '28'],
      ['ArrowRight', '1'],
      ['ArrowDown', '8'],
      ['Home', '2'],
      ['End', '8'],
      ['Shift+PageDown', '8'],
    ] as const) {
      await page.keyboard.press(key);
      await chosen.getByText(day, { exact: true }).waitFor();
    }
    await page.getByText('March 2027').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.type('06:07:08');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await page.getByLabel('Since (UTC)').inputValue()).to.equal('2027-03-08 06:07:08');
    expect(await page.evaluate('document.activeElement.getAttribute("aria-label")')).to.equal(
      'Since: choose a date',
    );
  });

  it('shows who was in a group when, and the group as it was then', async () => {
    await openConsole(page, world, '#/past');
    await page.getByLabel('Find a').selectOption('room');
    await page.getByLabel('Name of a group, or room ID').fill('tree pl');
    await page.keyboard.press('Enter');
    await page.getByRole('link', { name: 'Tree planters group, once Gardeners' }).click();
    await page.getByRole('heading', { name: 'Group Tree planters' }).waitFor();
    await page.getByText('Who was a member, and when: 2 users').click();
    await page.getByText('It is filled while the user was a member').waitFor();
    const ann = page.locator('.members li', { hasText: 'ann' }).first();
    await ann.getByText(/^member from [-\d: ]+ to [-\d: ]+$/).waitFor();
    await page
      .locator('.members li', { hasText: 'bob' })
      .getByText(/^owner from .* on$/)
      .first()
      .waitFor();
    await screenshot(page, 'audit-members');
    const state = page.getByRole('region', { name: 'Room at this time' });
    expect(await state.getByRole('link', { name: 'ann' }).count(), 'she has left').to.equal(0);
    await ann.getByRole('button').first().click();
    await state.getByRole('link', { name: 'ann' }).waitFor();
    await page.getByRole('slider').press('End');
    await state.getByText('deleted', { exact: true }).waitFor();
  });

  it('says of a time before the beginning that nothing was there yet, and leads to the beginning', async () => {
    const early = '2001-02-03T04:05:06.000Z';
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await openConsole(page, world, `#/past?room=${groupId}&at=${early}`);
    await page.getByText(/^This room did not exist yet\. It was created at \d{4}-[-\d: .]+ UTC\.$/).waitFor();
    await page.getByText(/^Before the first of \d+ changes$/).waitFor();
    expect(asked, 'nothing is asked of a room that was not there').to.not.contain(`/audit/rooms/${groupId}`);
    expect(await axe(page)).to.deep.equal([]);
    await page.getByRole('button', { name: 'Go to that time' }).click();
    await page.getByText(/^Change \d+ of \d+$/).waitFor();
    await page.getByRole('region', { name: 'Room at this time' }).getByText('No message yet.').waitFor();
    await page.goto(`${world.server.url}/audit#/past?user=${world.bob.user.userId}&at=${early}`);
    await page.getByText(/^This user had not signed up yet\. They signed up at/).waitFor();
  });

  it('names a private chat of friends, whose room is older than their chat', async () => {
    const carl = await signUp(world.server, 'carl');
    await phone.client.request('add friend', { friendId: carl.user.userId });
    const roomId = await phone.chatWith(carl);
    await phone.say(roomId, 'hello, friend');
    await openConsole(page, world, `#/message?room=${roomId}&seq=1`);
    await page.getByRole('heading', { name: /^Message 1: Chat of (bob and carl|carl and bob)$/ }).waitFor();
  });

  it('counts one message, one edit and one member as one', async () => {
    const roomId = randomUUID();
    await phone.client.request('create group', { roomId, name: 'Alone', memberIds: [] });
    const { messageId } = await phone.say(roomId, 'to myself');
    await phone.client.request('edit message', {
      ...{ roomId, messageId, editId: randomUUID(), message: 'for myself' },
    });
    await openConsole(page, world, `#/past?room=${roomId}`);
    const state = page.getByRole('region', { name: 'Room at this time' });
    await state.getByText('1 message. The newest has seq 1.').waitFor();
    await state.getByText('edited 1 time', { exact: true }).waitFor();
    await page.getByText('Who was a member, and when: 1 user', { exact: true }).waitFor();
  });

  it('shows what became of a message, with the proof of each event', async () => {
    await openConsole(page, world, `#/past?room=${groupId}`);
    await page.getByRole('link', { name: 'History of message 1' }).click();
    const deeds = page.locator('.history li');
    // A short id stands for a name that is not loaded yet.
    await deeds.locator('strong', { hasText: /^bob$/ }).nth(4).waitFor();
    const texts = (await deeds.allTextContents()).map((text) => text.replace(/ \d{4}-.*/s, ''));
    expect(texts).to.deep.equal([
      'bob sent the message',
      'bob edited it, revision 1',
      'bob edited it, revision 2',
      'bob reacted with 🌳',
      'bob deleted it',
    ]);
    await page.getByText('The key of this text is destroyed.').nth(2).waitFor();
    await page.getByRole('button', { name: 'Verify all proofs' }).click();
    await page.getByText('proof valid').nth(4).waitFor();
    expect(await page.getByText('proof valid').count()).to.equal(5);
    await page.route('**/proof?offset=*', (route) => route.fulfill({ json: {} }));
    await page.getByRole('button', { name: 'Verify all proofs' }).click();
    await page.getByText('proof invalid').nth(4).waitFor();
    await page
      .getByRole('link', { name: /^Proof of partition/ })
      .last()
      .click();
    await page.getByRole('alert').filter({ hasText: 'Proof invalid' }).waitFor();
  });

  it('exports what it shows as JSON lines, and as CSV that no spreadsheet runs', async () => {
    await openConsole(page, world, `#/events?stream=room:${groupId}&type=MessageSent&order=asc`);
    await page.getByText('2 events, oldest first.').waitFor();
    const names: string[] = [];
    const save = async (format: string): Promise<string> => {
      const button = page.getByRole('button', { name: `Export ${format}` });
      const [file] = await Promise.all([page.waitForEvent('download'), button.click()]);
      names.push(file.suggestedFilename());
      return readFileSync(await file.path(), 'utf8');
    };
    const lines = (await save('JSON lines'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ data }) => data.text)).to.deep.equal([null, FORMULA]);
    const file = await save('CSV');
    expect(file.slice(0, 1), 'a spreadsheet reads it as UTF-8').to.equal('\uFEFF');
    const csv = file.slice(1).split('\r\n');
    expect(csv).to.have.length(4);
    expect(lines.map((line) => line.names)).to.deep.equal(
      Array.from({ length: 2 }, () => ({ name: 'bob', room: 'Tree planters' })),
    );
    expect(csv[0], 'first who said what where and when').to.match(
      /^time,name,room,text,partition,offset,stream,version,type,data\.roomId,/,
    );
    const columns = csv[0]?.split(',') ?? [];
    expect(columns).to.include('actor');
    expect(columns, 'nothing twice').not.to.include.oneOf(['recordedAt', 'data.text']);
    expect(csv[2]).to.match(/^\d{4}-[^,]*Z,bob,Tree planters,/);
    expect(names[1]).to.match(/^events-Tree-planters-MessageSent-\d{4}-\d\d-\d\dT\d{6}Z-\d{4}-.*Z\.csv$/);
    expect(csv[2]).to.contain(`"'=1+1, ""quoted"""`);

    await page.goto(`${world.server.url}/audit#/past?room=${groupId}`);
    await page.getByText('2 messages.').waitFor();
    const region = page.getByRole('region', { name: 'Room at this time' });
    const [room] = await Promise.all([
      page.waitForEvent('download'),
      region.getByRole('button', { name: 'Export CSV' }).click(),
    ]);
    const past = readFileSync(await room.path(), 'utf8');
    expect(past).to.match(/^\uFEFFtime,name,room,text,/);
    expect(past).to.contain(`,bob,Tree planters,"'=1+1, ""quoted"""`);
    expect(room.suggestedFilename()).to.match(/^room-Tree-planters-at-.*\.csv$/);
  });

  it('forgets the name of somebody who was erased while the console is open', async () => {
    const dan = await signUp(world.server, 'dan');
    const his = await newDevice(world.server, dan);
    await his.chatWith(world.bob);
    his.close();
    await page.clock.install();
    await openConsole(page, world, `#/events?actor=${dan.user.userId}`);
    await page.locator('.events .actor', { hasText: 'dan' }).first().waitFor();
    await page.goto(`${world.server.url}/audit#/past?user=${dan.user.userId}`);
    const state = page.getByRole('region', { name: 'User at this time' });
    await state.getByRole('heading', { name: 'dan' }).waitFor();
    const rest = new Rest(world.server.url);
    const { token } = await rest.signIn('dan', dan.password);
    await rest.erase(token, dan.user.userId, dan.password);
    await page.clock.fastForward(61_000);
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
    await state.getByRole('heading', { name: 'Deleted user' }).waitFor();
    await page.goto(`${world.server.url}/audit#/events?actor=${dan.user.userId}`);
    await page.locator('.events .actor', { hasText: 'Deleted user' }).first().waitFor();
    expect(await page.locator('.events').getByText('dan', { exact: true }).count()).to.equal(0);
  });

  it('links to the other pages that the user may open, and to no others', async () => {
    await openConsole(page, world);
    await page.getByRole('button', { name: 'Menu of ann' }).click();
    const links = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
    expect(await links.allTextContents()).to.deep.equal(['Chat', 'Documentation']);
    await page.keyboard.press('Escape');
    await links.first().waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Menu of ann' }).click();
    await links.filter({ hasText: 'Chat' }).click();
    await page.waitForURL(`${world.server.url}/`);
    // The chat leads back those who have a role.
    await page.getByRole('button', { name: 'Account and settings' }).click();
    const back = page.getByRole('dialog').getByRole('link');
    await back.filter({ hasText: 'Audit console' }).waitFor();
    expect(await back.allTextContents()).to.deep.equal(['Audit console', 'Documentation']);
    expect(await axe(page)).to.deep.equal([]);
  });

  for (const { name, options } of looks)
    it(`is accessible and fits the window (${name})`, async () => {
      const shown = await browser.newPage(options);
      await openConsole(shown, world, `#/message?room=${groupId}&seq=1`);
      await shown.getByText('reacted with').waitFor();
      await shown.getByRole('button', { name: 'Verify all proofs' }).click();
      await shown.getByText('proof valid').nth(4).waitFor();
      const views = {
        message: undefined,
        members: `#/past?room=${groupId}`,
        events: `#/events?stream=room:${groupId}&actor=${world.bob.user.userId}`,
      } as const;
      for (const [view, hash] of Object.entries(views)) {
        if (hash) await shown.goto(`${world.server.url}/audit${hash}`);
        if (view === 'members') await shown.getByText('Who was a member, and when').click();
        if (view === 'events') await shown.locator('.events summary').first().click();
        // On a phone the filters, which name him too, are folded away.
        await shown.getByText('bob').filter({ visible: true }).first().waitFor();
        expect(await axe(shown), view).to.deep.equal([]);
        const overflow = await shown.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
        expect(overflow, `${view} scrolls sideways`).to.be.at.most(0);
        await screenshot(shown, `audit-names-${view}-${name}`);
      }
      await shown.close();
    });
});
