import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { axe, screenshot } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { newDevice } from '../support/people.js';
import { type AuditWorld, openAuditSuite, openConsole } from './auditWorld.js';

describe('The filters of the audit console', function () {
  this.timeout(120_000);
  let world: AuditWorld;
  let page: Page;
  const groupId = randomUUID();

  openAuditSuite(
    (opened) => {
      ({ world, page } = opened);
    },
    {
      messages: 5,
      prepare: async (begun) => {
        world = begun;
        const phone = await newDevice(world.server, world.bob);
        await phone.client.request('create group', { roomId: groupId, name: 'Gardeners', memberIds: [] });
        await phone.say(groupId, 'about trees');
        phone.close();
        // More looks than a page has events.
        for (let n = 0; n < 60; n++) await look();
      },
    },
  );

  const look = () => ask(world.server.url, 'GET /audit/events?limit=1', { token: world.session.token });
  const types = async () => [...new Set(await page.locator('.events .type').allTextContents())];
  const queryOf = () => Object.fromEntries(new URLSearchParams(new URL(page.url()).hash.split('?')[1]));
  const doneBy = () => page.getByRole('combobox', { name: 'Done by' });
  const chip = (type: string) => page.getByRole('button', { name: `Not shown: ${type}` });
  const topic = (name: string) =>
    page.getByRole('navigation', { name: 'Events by topic' }).getByRole('link', { name, exact: true });

  it('leave out what auditors read, say so, and show it when they are told to', async () => {
    await openConsole(page, world);
    await chip('Audit read').waitFor();
    await page.getByText('about trees').waitFor();
    expect(await types())
      .to.include('User registered')
      .and.not.include('Audit read');
    await screenshot(page, 'audit-left-out');
    expect(await axe(page)).to.deep.equal([]);
    await chip('Audit read').focus();
    await page.keyboard.press('Enter');
    await page.getByText('Page 1: 50 events').waitFor();
    await page.locator('.events .type', { hasText: 'Audit read' }).first().waitFor();
    expect(queryOf()).to.deep.equal({ except: 'none' });
    // The address says it, so a reload and a link show the same.
    await page.reload();
    await page.locator('.events .type', { hasText: 'Audit read' }).first().waitFor();
    expect(await types()).to.deep.equal(['Audit read']);
    await page.getByRole('button', { name: 'Leave out what auditors read' }).click();
    await page.getByText('about trees').waitFor();
    expect(await types()).not.to.include('Audit read');
    expect(queryOf()).to.deep.equal({});
  });

  it('leave out what auditors read while they follow live too', async () => {
    await openConsole(page, world, '#/events?follow=true');
    await page.getByText('Live: new events appear at the top.').waitFor();
    await look();
    await world.say('said after a look');
    await page.locator('.events').getByText('said after a look').waitFor();
    expect(await types()).not.to.include('Audit read');
  });

  it('select the types of one topic, which each feature declares', async () => {
    await openConsole(page, world, `#/events?since=2020-01-01T00:00:00.000Z`);
    await topic('Messages').click();
    // The list of before has this message too.
    await page.locator('.events .type', { hasText: 'Group created' }).waitFor({ state: 'detached' });
    await page.getByText('about trees').waitFor();
    for (const type of await types()) expect(type).to.match(/^Messages? /);
    expect(queryOf(), 'other filters stay').to.deep.equal({
      ...{ topic: 'messages', since: '2020-01-01T00:00:00.000Z' },
    });
    expect(await topic('Messages').getAttribute('aria-current')).to.equal('true');
    await topic('Groups').click();
    await page.locator('.events .type', { hasText: 'Group created' }).waitFor();
    expect(await types()).to.have.members(['Group created', 'Member joined']);
    await topic('Audit').click();
    await page.locator('.events .type', { hasText: 'Audit read' }).first().waitFor();
    expect(await types()).to.deep.equal(['Audit read']);
    expect(await page.getByRole('list', { name: 'Left out' }).count(), 'they were asked for').to.equal(0);
    await topic('Administration').click();
    await page.locator('.events .type', { hasText: 'Role given' }).waitFor();
    // A search by other fields keeps the topic; a type replaces it.
    await doneBy().fill('system');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.waitForURL(/actor=system/);
    expect(queryOf()).to.include({ topic: 'administration', actor: 'system' });
    await page.getByLabel('Type').selectOption('UserRegistered');
    await doneBy().fill('');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.locator('.events .type', { hasText: 'User registered' }).first().waitFor();
    expect(queryOf()).not.to.have.property('topic');
  });

  it('keep what is typed when a period, a topic or what is left out is chosen', async () => {
    await openConsole(page, world);
    await page.getByText('about trees').waitFor();
    await doneBy().fill('bob');
    await page.getByRole('button', { name: 'Last hour' }).click();
    await page.waitForURL(/actor=/);
    expect(queryOf()).to.have.keys(['actor', 'since']);
    expect(queryOf().actor).to.equal(world.bob.user.userId);
    const room = page.getByRole('combobox', { name: 'Room or user' });
    await room.fill('gardeners');
    await topic('Messages').click();
    await page.waitForURL(/topic=messages/);
    expect(queryOf()).to.include({ stream: `room:${groupId}`, actor: world.bob.user.userId });
    await room.fill('');
    await topic('All topics').click();
    await chip('Audit read').waitFor();
    await room.fill('ann');
    await chip('Audit read').click();
    await page.waitForURL(/except=none/);
    expect(queryOf().stream).to.equal(`user:${world.ann.user.userId}`);
  });

  it('say at the field that a name is not that of one person, and search for nothing', async () => {
    await openConsole(page, world);
    await page.getByText('about trees').waitFor();
    await doneBy().fill('nobody of this name');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').filter({ hasText: 'Choose a person from the list.' }).waitFor();
    expect(await doneBy().getAttribute('aria-invalid')).to.equal('true');
    expect(await doneBy().evaluate((field) => field === document.activeElement)).to.equal(true);
    expect(queryOf()).to.deep.equal({});
    expect(await axe(page)).to.deep.equal([]);
    await doneBy().fill('Bob');
    await page.keyboard.press('Enter');
    await page.waitForURL(/actor=/);
    expect(queryOf().actor).to.equal(world.bob.user.userId);
  });

  it('keep the other fields and the focus, whatever becomes of a search', async () => {
    await openConsole(page, world);
    await page.getByText('about trees').waitFor();
    await page.getByLabel('Type').selectOption('UserRegistered');
    await page.getByLabel('Partition').fill('0');
    await doneBy().fill('nobody of this name');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').filter({ hasText: 'Choose a person from the list.' }).waitFor();
    expect(await page.getByLabel('Type').inputValue()).to.equal('UserRegistered');
    expect(await page.getByLabel('Partition').inputValue()).to.equal('0');
    await doneBy().fill('bob');
    await page.keyboard.press('Enter');
    // The field has the id when the form shows the search.
    await eventually(
      'the field has the id',
      async () => (await doneBy().inputValue()) === world.bob.user.userId,
    );
    expect(await doneBy().evaluate((field) => field === document.activeElement)).to.equal(true);
    await page.goBack();
    await eventually(
      'the form shows the address',
      async () => (await page.getByLabel('Type').inputValue()) === '',
    );
    expect(await doneBy().inputValue(), 'as it was searched for').to.equal('');
  });

  it('clear what was typed without a search', async () => {
    await openConsole(page, world);
    await page.getByText('about trees').waitFor();
    await page.getByLabel('Type').selectOption('UserRegistered');
    await doneBy().fill('bob');
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await eventually('the form is empty', async () => (await page.getByLabel('Type').inputValue()) === '');
    expect(await doneBy().inputValue()).to.equal('');
  });

  it('say at the field that a text is not a time, as its placeholder writes one', async () => {
    await openConsole(page, world);
    await page.getByText('about trees').waitFor();
    const since = page.getByLabel('Since (UTC)');
    const said = page.getByRole('alert').filter({ hasText: 'Write it as yyyy-mm-dd hh:mm:ss, in UTC.' });
    await since.fill('last week');
    await page.keyboard.press('Enter');
    await said.waitFor();
    expect(await since.getAttribute('aria-invalid')).to.equal('true');
    expect(queryOf(), 'nothing is searched for').to.deep.equal({});
    await since.fill('2020-01-01 00:00');
    await page.keyboard.press('Enter');
    await page.waitForURL(/since=2020-01-01T00/);
    expect(await said.count()).to.equal(0);
    await openConsole(page, world, `#/past?room=${groupId}`);
    await page.getByRole('slider').waitFor();
    const before = page.url();
    await page.getByLabel('Time (UTC)').fill('2020-13-45');
    await page.keyboard.press('Tab');
    await said.waitFor();
    expect(page.url()).to.equal(before);
    expect(await axe(page)).to.deep.equal([]);
  });

  it('leave out the type of an event that is open, beside those before', async () => {
    await openConsole(page, world, `#/events?stream=room:${world.roomId}`);
    await page.locator('summary', { hasText: 'message 5' }).click();
    await page.getByRole('link', { name: 'Not this type' }).click();
    await chip('Message sent').waitFor();
    await page.locator('.events .type', { hasText: 'Room created' }).waitFor();
    expect(await types()).not.to.include('Message sent');
    expect(queryOf().except).to.equal('AuditRead,MessageSent');
    await chip('Message sent').click();
    await page.locator('.events .type', { hasText: 'Message sent' }).first().waitFor();
    expect(queryOf()).not.to.have.property('except');
  });

  it('fill a page although most of what lies between is left out', async () => {
    for (let n = 0; n < 60; n++) {
      await world.say(`often ${n}`);
      await look();
    }
    await openConsole(page, world);
    await page.getByText('Page 1: 50 events, newest first.').waitFor();
    expect(await types()).not.to.include('Audit read');
    const shown = await page.locator('.events .what').allTextContents();
    expect(shown.filter((text) => text.startsWith('often'))[0]).to.equal('often 59');
    await page.getByRole('button', { name: 'Next page' }).click();
    const found = page.getByRole('region', { name: 'Events found' });
    await found
      .and(page.locator('[aria-busy="false"]'))
      .getByText(/^Page 2: /)
      .waitFor();
    const next = await page.locator('.events .what').allTextContents();
    expect(next.filter((text) => shown.includes(text) && text.startsWith('often'))).to.deep.equal([]);
  });

  it('turn over one page at a time, however often it is asked for before the page is there', async () => {
    await openConsole(page, world, '#/events?except=none');
    await page.getByText('Page 1: 50 events').waitFor();
    const held: (() => void)[] = [];
    await page.route('**/audit/events?*from=*', async (route) => {
      await new Promise<void>((resolve) => held.push(resolve));
      await route.continue();
    });
    const next = page.getByRole('button', { name: 'Next page' });
    await next.click();
    await eventually('it is asked for', () => held.length === 1);
    await next.click();
    await page.getByText('Page 1: 50 events').waitFor();
    for (const release of held) release();
    await page.getByText('Page 2: 50 events').waitFor();
    expect(held).to.have.length(1);
  });

  it('are folded away on a phone until they are wanted', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await openConsole(page, world, '#/events?actor=system');
    await page.getByText(/newest first/).waitFor();
    expect(await doneBy().isVisible()).to.equal(false);
    expect(await axe(page)).to.deep.equal([]);
    await page.getByText('Filters: Done by').click();
    await doneBy().waitFor();
    expect(await axe(page)).to.deep.equal([]);
  });

  it('find a message by the name of its group and its number', async () => {
    await openConsole(page, world, '#/message');
    await page.getByRole('combobox', { name: 'Room' }).fill('garden');
    await page.getByRole('option', { name: 'Gardeners' }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.getByLabel('Message number (seq)').fill('1');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Message 1: Group Gardeners' }).waitFor();
    await page.getByText('about trees').waitFor();
    await page.getByRole('combobox', { name: 'Room' }).fill('nothing that is found');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByRole('alert').filter({ hasText: 'Choose a group' }).waitFor();
  });
});
