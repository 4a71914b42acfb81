import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { appendLeaves } from '../../src/log/merkle.js';
import { Signer } from '../audit/signing.js';
import { axe, looks, screenshot, strangers } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import { type AuditWorld, openAuditSuite, openConsole } from './auditWorld.js';

/** A head that was being signed when a message came is of before it. The next check, after 15 s, gets another. */
const NEXT_CHECK = { timeout: 60_000 } as const;

describe('The audit console', function () {
  this.timeout(240_000);
  let browser: Browser;
  let world: AuditWorld;
  let page: Page;

  openAuditSuite((opened) => {
    ({ browser, world, page } = opened);
  });

  const heading = (name: string) => page.getByRole('heading', { name, exact: true });
  const firstMessage = async () => {
    const path = `GET /audit/events?stream=room:${world.roomId}&type=MessageSent&limit=1`;
    const { body } = await ask(world.server.url, path, { token: world.session.token });
    return body.events[0] as { partition: number; offset: number; recordedAt: string; data: object };
  };

  it('tells a user how to get the auditor role, and opens once they have it', async () => {
    await page.goto(`${world.server.url}/audit`);
    const { username, password } = world.bob;
    if (await page.getByRole('button', { name: 'Sign up' }).isVisible())
      await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByLabel('User name').fill(username);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('npx parley role auditor bob').waitFor();
    await screenshot(page, 'audit-missing-role');
    expect(await axe(page)).to.deep.equal([]);
    expect((await parley(['role', 'auditor', 'bob'], world.server.settings)).code).to.equal(0);
    await page.getByRole('button', { name: 'Check again' }).click();
    await heading('Events').waitFor();
    expect((await parley(['role', 'auditor', 'bob', '--remove'], world.server.settings)).code).to.equal(0);
    await page.reload();
    await heading("You don't have the auditor role yet").waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('User name').waitFor();
  });

  it('finds events by filters, and shows the details of one', async () => {
    await openConsole(page, world);
    await page.getByLabel('Type').selectOption('MessageSent');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.getByText('20 events, newest first. This is the last page.').waitFor();
    const texts = await page.locator('.events .what').allTextContents();
    expect(texts.slice(0, 2)).to.deep.equal(['message 20', 'message 19']);
    expect(new URL(page.url()).hash).to.equal('#/events?type=MessageSent');
    const row = page.locator('summary', { hasText: 'message 7' });
    await row.click();
    await page.getByText('"seq": 7').waitFor();
    await page.getByRole('link', { name: 'Room at this time' }).click();
    await page.getByText('7 messages. The newest has seq 7.').waitFor();
  });

  it('goes from page to page and back', async () => {
    await world.say('one more');
    for (let n = 0; n < 40; n++) await world.say(`and ${n}`);
    await openConsole(page, world, `#/events?stream=room:${world.roomId}`);
    await page.getByText('Page 1: 50 events').waitFor();
    await page.getByRole('button', { name: 'Next page' }).click();
    await page.getByText(/Page 2: \d+ events, newest first\. This is the last page\./).waitFor();
    await page.getByText('message 1', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Previous page' }).click();
    await page.getByText('Page 1: 50 events').waitFor();
  });

  it('finds events by a time with nine decimals of a second', async () => {
    const { recordedAt } = await firstMessage();
    const exact = recordedAt.replace('T', ' ').replace('Z', '000001');
    await openConsole(page, world, `#/events?stream=room:${world.roomId}&type=MessageSent`);
    await page.getByLabel('Until (UTC)').fill(exact);
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.getByText('1 event, newest first. This is the last page.').waitFor();
    const [, query] = new URL(page.url()).hash.split('?');
    expect(new URLSearchParams(query).get('until')).to.equal(recordedAt.replace('Z', '000001Z'));
    expect(await page.getByLabel('Until (UTC)').inputValue()).to.equal(exact);
  });

  it('shows the error of a wrong filter', async () => {
    await openConsole(page, world, '#/events?stream=nonsense');
    await page.getByRole('alert').filter({ hasText: 'Room or user: must be' }).waitFor();
  });

  it('follows live, and continues after a server restart', async () => {
    await openConsole(page, world, '#/events');
    await page.getByText('newest first').waitFor();
    await page.getByLabel('Follow live').check();
    await page.getByText('Live: new events appear at the top.').waitFor();
    await world.say('said while somebody looks');
    await page.locator('.events').getByText('said while somebody looks').waitFor();

    await world.server.kill();
    await page.getByText('Connection lost. Reconnecting…').waitFor();
    await world.server.start();
    await world.say('said when it was back');
    await page.locator('.events').getByText('said when it was back').waitFor();
    const texts = await page.locator('.events .what').allTextContents();
    expect(texts.filter((text) => text.startsWith('said'))).to.deep.equal([
      'said when it was back',
      'said while somebody looks',
    ]);
  });

  it('follows live past the empty lines that the server sends in silence', async () => {
    const message = await firstMessage();
    const event = { ...message, data: { ...message.data, text: 'said after a silence' } };
    const lines = `\n\n${JSON.stringify(event)}\n\n`;
    await page.route('**/audit/events/stream?*', (route) =>
      route.fulfill({ body: lines, contentType: 'application/x-ndjson' }),
    );
    await openConsole(page, world, '#/events?follow=true');
    await page.locator('.events').getByText('said after a silence').first().waitFor();
  });

  it('shows a room at any point in time, by slider and by keyboard', async () => {
    await openConsole(page, world, `#/past?room=${world.roomId}`);
    const slider = page.getByRole('slider');
    await slider.waitFor();
    await slider.focus();
    await page.keyboard.press('Home');
    await page.getByText('No message yet.').waitFor();
    // The changes are RoomCreated, ChatOpened and the messages.
    for (let n = 0; n < 3; n++) await page.keyboard.press('ArrowRight');
    const valueText = (await slider.getAttribute('aria-valuetext')) ?? '';
    const [, seq = '0'] = /Message sent (\d+)$/.exec(valueText) ?? [];
    await page.getByText(new RegExp(`^${seq} messages\\. The newest has seq ${seq}\\.`)).waitFor();
    expect(Number(seq)).to.be.greaterThan(0);
    await page.reload();
    await page.getByText(`${seq} messages. The newest has seq ${seq}.`).waitFor();
  });

  it('shows the point in time that its address says, also after Back', async () => {
    await openConsole(page, world, `#/past?room=${world.roomId}`);
    const shown = page.locator('output[for="change"]');
    await page.getByRole('slider').waitFor();
    const last = await shown.textContent();
    await page.getByRole('button', { name: 'Previous change' }).click();
    await page.waitForURL(/at=/);
    await eventually('it is an earlier time', async () => (await shown.textContent()) !== last);
    const before = await shown.textContent();
    await page.goBack();
    await shown.getByText(last ?? '').waitFor();
    await page.goForward();
    await shown.getByText(before ?? '').waitFor();
    await page.goto(`${world.server.url}/audit#/past?room=${world.roomId}&at=2020-01-01T00:00:00.000Z`);
    await shown.getByText('2020-01-01 00:00:00.000 UTC').waitFor();
    await page.goto(`${world.server.url}/audit#/past?room=${world.roomId}&at=yesterday`);
    await page.getByRole('alert').filter({ hasText: 'This is not a time.' }).waitFor();
    await shown.getByText(last ?? '').waitFor();
    // Other views have their address too.
    await page.goto(`${world.server.url}/audit#/message?room=one&seq=1`);
    const room = page.getByRole('combobox', { name: 'Room' });
    await eventually('the form shows it', async () => (await room.inputValue()) === 'one');
    await page.goto(`${world.server.url}/audit#/message?room=two&seq=1`);
    await eventually('the form follows', async () => (await room.inputValue()) === 'two');
  });

  it('shows a user at a point in time, found by name', async () => {
    await openConsole(page, world, '#/past');
    await page.getByLabel('User name, display name or user ID').fill('bob');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByText('1 user found:').waitFor();
    await page.getByLabel('Find a').selectOption('room');
    // The field of a room promises no user, and finds none.
    await page.getByLabel('Name of a group, or room ID').fill('bob');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByText('No group has a name with this text.').waitFor();
    await page.getByLabel('Find a').selectOption('user');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByRole('link', { name: 'bob' }).click();
    await page.getByRole('heading', { name: 'Rooms: 1' }).waitFor();
    expect(await axe(page)).to.deep.equal([]);
  });

  it('verifies a proof step by step, and offers it for download', async () => {
    const { partition, offset } = await firstMessage();
    await openConsole(page, world, `#/proof?partition=${partition}&offset=${offset}`);
    await page.getByText('Proof valid:').waitFor();
    const outcomes = await page.locator('.steps .outcome').allTextContents();
    expect(outcomes).to.have.lengthOf.above(7);
    expect(new Set(outcomes)).to.deep.equal(new Set(['passed']));
    const titles = await page.locator('.steps h3').allTextContents();
    for (const title of ['Request', 'Event', 'Leaf', 'Root', 'Checkpoint', 'Signing key', 'Signature'])
      expect(
        titles.some((text) => text.startsWith(title)),
        title,
      ).to.equal(true);
    await page.getByText('message 1').waitFor();
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download proof' }).click(),
    ]);
    const proof = JSON.parse(readFileSync(await file.path(), 'utf8'));
    expect(proof).to.include.keys('offset', 'size', 'entry', 'hashes', 'checkpoint', 'keys');
    expect(proof.offset).to.equal(offset);
  });

  it('says at once how many events a partition has when the offset lies beyond them', async () => {
    const { partition } = await firstMessage();
    const proofs: string[] = [];
    page.on('request', (request) => {
      if (request.url().includes('/proof?')) proofs.push(request.url());
    });
    await openConsole(page, world, `#/proof?partition=${partition}&offset=999999`);
    const said = await page.getByRole('alert').filter({ hasText: 'largest offset' }).textContent();
    const [, events, largest] = /has (\d+) events?\. The largest offset is (\d+)\./.exec(said ?? '') ?? [];
    expect(Number(largest)).to.equal(Number(events) - 1);
    expect(proofs, 'no proof is waited for').to.deep.equal([]);
    await page.getByLabel('Offset').fill(largest ?? '');
    await page.getByRole('button', { name: 'Verify proof' }).click();
    await page.getByText('Proof valid:').waitFor();
  });

  for (const [what, tamper, wrong] of [
    ['the entry', (proof) => ({ ...proof, entry: swapped(proof.entry, 40) }), 'Root'],
    [
      'a hash',
      (proof) => ({ ...proof, hashes: proof.hashes.with(0, swapped(proof.hashes[0] ?? '', 3)) }),
      'Root',
    ],
    ['the signature', (proof) => ({ ...proof, checkpoint: swapped(proof.checkpoint, -20) }), 'Signature'],
  ] as const satisfies readonly (readonly [string, (proof: Proof) => Proof, string])[])
    it(`rejects a proof when ${what} was changed`, async () => {
      const { partition, offset } = await firstMessage();
      await page.route('**/proof?offset=*', async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: tamper((await response.json()) as Proof) });
      });
      await openConsole(page, world, `#/proof?partition=${partition}&offset=${offset}`);
      await page.getByRole('alert').filter({ hasText: 'Proof invalid' }).waitFor();
      await page.locator('.steps > .failed h3', { hasText: wrong }).waitFor();
      if (what === 'the entry') {
        await screenshot(page, 'audit-refused');
        expect(await axe(page)).to.deep.equal([]);
      }
    });

  it('shows that it cannot verify signatures when the browser has no Ed25519', async () => {
    const { partition, offset } = await firstMessage();
    await page.addInitScript(
      'crypto.subtle.importKey = () => Promise.reject(new Error("NotSupportedError"))',
    );
    await openConsole(page, world, `#/proof?partition=${partition}&offset=${offset}`);
    await page.getByText('Undecided: this browser cannot verify Ed25519').waitFor();
    await page.locator('.steps > .unable h3', { hasText: 'Signature' }).waitFor();
  });

  it('verifies that every new head extends the one before', async () => {
    await openConsole(page, world, '#/heads');
    await page.getByText('signed and consistent with earlier heads').waitFor();
    const events = page.locator('.fields dd').first();
    const before = Number(await events.textContent());
    await world.say('so that it grows');
    await page.getByRole('button', { name: 'Check now' }).click();
    await page.locator('summary', { hasText: 'Verification steps' }).click();
    await page
      .getByText('The consistency proof leads to both root hashes: earlier events have not changed.')
      .waitFor(NEXT_CHECK);
    expect(Number(await events.textContent())).to.be.greaterThan(before);
    await page.locator('.chart canvas').waitFor();
    expect(await page.getByRole('alert').locator('section').count()).to.equal(0);
  });

  it('raises an alarm at a rewritten head, and keeps it until it is acknowledged', async () => {
    const signer = new Signer('example.org/log');
    const headOf = (...leaves: string[]) =>
      signer.head({ partition: 0, events: leaves.length, root: appendLeaves([], 0, leaves).root });
    let head = headOf('one', 'two', 'three');
    await page.route('**/audit/log/key', (route) => route.fulfill({ body: `${signer.key(0)}\n` }));
    await page.route('**/audit/log/0/checkpoint', (route) => route.fulfill({ body: head }));
    await openConsole(page, world, '#/heads');
    await page.getByText('signed and consistent with earlier heads').waitFor();

    head = headOf('one', 'another', 'three');
    await page.getByRole('button', { name: 'Check now' }).click();
    const alarm = page
      .getByRole('alert')
      .filter({ hasText: 'Alarm: the log of partition 0 failed verification' });
    await alarm.waitFor();
    await alarm
      .getByText('Two heads of the same size have different root hashes: there are two different logs.')
      .waitFor();
    expect(await axe(page)).to.deep.equal([]);
    await screenshot(page, 'audit-alarm');

    // Neither a correct head, nor another view, nor a reload removes the alarm.
    head = headOf('one', 'two', 'three');
    await page.goto(`${world.server.url}/audit#/events`);
    await page.reload();
    await alarm.waitFor();
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download evidence' }).click(),
    ]);
    const evidence = JSON.parse(readFileSync(await file.path(), 'utf8'));
    expect(evidence.trusted).to.equal(headOf('one', 'two', 'three'));
    expect(evidence.rejected).to.equal(headOf('one', 'another', 'three'));
    await page.getByRole('button', { name: 'Acknowledge' }).click();
    await alarm.waitFor({ state: 'detached' });

    await page.getByRole('link', { name: 'Signed heads' }).click();
    await heading('Acknowledged alarms').waitFor();
    // The check that follows an acknowledgement trusts what it gets.
    await page.getByRole('button', { name: 'Check now', disabled: false }).waitFor();
    head = headOf('one');
    await page.getByRole('button', { name: 'Check now' }).click();
    await alarm.getByText('The log has shrunk from 3 events to 1.').waitFor();
  });

  it('raises an alarm at a new key, and trusts the key after the acknowledgement', async () => {
    await openConsole(page, world, '#/heads');
    await page.getByText('signed and consistent with earlier heads').waitFor();
    expect((await parley(['audit', 'key', 'rotate'], world.server.settings)).code).to.equal(0);
    await world.say('signed by the new key');
    await page.getByRole('button', { name: 'Check now' }).click();
    await page
      .getByRole('alert')
      .getByText('This browser has never seen the key that signed this head.')
      .waitFor(NEXT_CHECK);
    await page.getByRole('link', { name: 'Proof' }).click();
    await page.getByLabel('Offset').fill('3');
    await page.getByRole('button', { name: 'Verify proof' }).click();
    await page.locator('.steps > .failed h3', { hasText: 'Known key' }).waitFor();
    await page.getByRole('link', { name: 'Signed heads' }).click();
    await page.getByRole('button', { name: 'Acknowledge' }).click();
    await page.getByText('signed and consistent with earlier heads').waitFor();
    await world.say('and this too');
    await page.getByRole('button', { name: 'Check now' }).click();
    await page.locator('summary', { hasText: 'Verification steps' }).click();
    await page
      .getByText('The consistency proof leads to both root hashes: earlier events have not changed.')
      .waitFor(NEXT_CHECK);
    expect(await page.getByRole('alert').locator('section').count()).to.equal(0);
  });

  it('raises an alarm when a partition disappears or a consistency proof is refused', async () => {
    await openConsole(page, world, '#/heads');
    await page.getByText('signed and consistent with earlier heads').waitFor();
    const notFound = { status: 404, contentType: 'application/problem+json', body: '{"code":"not_found"}' };
    await page.route('**/proof?from=*', (route) => route.fulfill(notFound));
    await world.say('not proven');
    await page.getByRole('button', { name: 'Check now' }).click();
    await page.getByRole('alert').getByText('The server gave no valid consistency proof').waitFor(NEXT_CHECK);
    await page.getByRole('button', { name: 'Acknowledge' }).click();
    await page.getByText('signed and consistent with earlier heads').waitFor();
    await page.route('**/audit/log/0/checkpoint', (route) => route.fulfill(notFound));
    await page.getByRole('button', { name: 'Check now' }).click();
    await page.getByRole('alert').getByText('The server no longer has this partition.').waitFor();
  });

  it('raises no alarm during an outage', async () => {
    await openConsole(page, world, '#/heads');
    await page.getByText('signed and consistent with earlier heads').waitFor();
    await page.route('**/audit/log/0/checkpoint', (route) => route.abort());
    await page.getByRole('button', { name: 'Check now' }).click();
    await page.getByText('no answer').waitFor();
    expect(await page.getByRole('alert').locator('section').count()).to.equal(0);
  });

  it('raises an alarm at a head with an invalid signature', async () => {
    await page.route('**/audit/log/0/checkpoint', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: swapped(await response.text(), -20) });
    });
    await openConsole(page, world, '#/events');
    await page.getByRole('alert').getByText('The Ed25519 signature is invalid.').waitFor();
  });

  for (const { name, options } of looks)
    it(`is accessible and fits the window (${name})`, async () => {
      const { partition, offset, recordedAt } = await firstMessage();
      const shown = await browser.newPage(options);
      const foreign = strangers(shown);
      const views = {
        events: [`#/events?stream=room:${world.roomId}`, 'newest first'],
        past: [`#/past?room=${world.roomId}&at=${recordedAt}`, 'The newest has seq'],
        proof: [`#/proof?partition=${partition}&offset=${offset}`, 'Proof valid:'],
        heads: ['#/heads', 'signed and consistent'],
      } as const;
      await openConsole(shown, world);
      for (const [view, [hash, text]] of Object.entries(views)) {
        await shown.goto(`${world.server.url}/audit${hash}`);
        await shown.getByText(text).first().waitFor();
        if (view === 'events') await shown.locator('summary', { hasText: 'message 1' }).first().click();
        if (view === 'heads') await shown.locator('.chart canvas').waitFor();
        expect(await axe(shown), view).to.deep.equal([]);
        const overflow = await shown.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
        expect(overflow, `${view} scrolls sideways`).to.be.at.most(0);
        await screenshot(shown, `audit-${view}-${name}`);
      }
      expect(foreign).to.deep.equal([]);
      await shown.close();
    });
});

interface Proof {
  readonly entry: string;
  readonly hashes: readonly string[];
  readonly checkpoint: string;
}

/** The text with one character replaced by another base64 character. */
function swapped(text: string, at: number): string {
  const place = at < 0 ? text.length + at : at;
  return `${text.slice(0, place)}${text[place] === 'A' ? 'B' : 'A'}${text.slice(place + 1)}`;
}
