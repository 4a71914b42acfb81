import { expect } from 'chai';
import type { Locator } from 'playwright-core';
import { axe, openWorld, screenshot } from '../support/browser.js';
import { parley } from '../support/parley.js';
import { menuItem, Person, PHONE, peopleIn } from './person.js';

describe('People in the web chat', function () {
  this.timeout(120_000);
  const world = openWorld({ CONTACTS: 'consent' });
  const somebody = peopleIn(world);
  const look = async ({ page }: Person, view: string): Promise<void> => {
    await screenshot(page, `people-${view}`);
    expect(await axe(page), view).to.deep.equal([]);
  };
  /** `writer` has written to `reader`, who is no contact. */
  async function requested(reader: Person, text = 'May I?'): Promise<Person> {
    const writer = await somebody();
    await writer.open(reader.name);
    await writer.say(text);
    await writer.sees(text, 'sent');
    return writer;
  }
  const requestsOf = ({ page }: Person): Locator => page.getByRole('button', { name: /^Requests/ });
  const inRequests = ({ page }: Person, name: string): Locator =>
    page.getByRole('navigation', { name: 'Requests' }).getByRole('button', { name });

  it('keeps requests apart from the chats, until one is accepted', async () => {
    const ann = await somebody();
    const bob = await requested(ann);
    await requestsOf(ann).click();
    expect(await ann.page.getByRole('navigation', { name: 'Chats' }).count()).to.equal(0);
    await inRequests(ann, bob.name).click();
    await ann.sees('May I?');
    const bar = ann.page.getByRole('region', { name: 'Request' });
    for (const name of ['Report', 'Block', 'Accept']) await bar.getByRole('button', { name }).waitFor();
    expect(await ann.composer.count(), 'a field before the answer').to.equal(0);
    await look(ann, 'request-wide');
    await bar.getByRole('button', { name: 'Accept' }).click();
    await ann.composer.waitFor();
    await ann.chat(bob.name).waitFor();
    expect(await requestsOf(ann).count()).to.equal(0);
    await ann.say('You may');
    await bob.sees('You may');
  });

  it('blocks from a request, and shows who is blocked', async () => {
    const ann = await somebody(PHONE);
    const bob = await requested(ann);
    await requestsOf(ann).tap();
    await inRequests(ann, bob.name).tap();
    await look(ann, 'request-phone');
    await ann.page.getByRole('button', { name: 'Block' }).tap();
    await ann.page.getByRole('heading', { name: `Block ${bob.name}?` }).waitFor();
    await look(ann, 'question-phone');
    await ann.page.getByRole('dialog').getByRole('button', { name: 'Block' }).tap();
    await ann.page.getByText(`You have blocked ${bob.name}.`).waitFor();
    // The list folds away what the chat folds away.
    await ann.page.getByRole('button', { name: 'Back to chats' }).tap();
    const listed = inRequests(ann, bob.name);
    await listed.filter({ hasText: 'Message from a person you blocked' }).waitFor();
    expect(await listed.textContent()).not.to.contain('May I?');
    await listed.tap();
    await ann.page.getByText(`You have blocked ${bob.name}.`).waitFor();
    await bob.say('Hello?');
    await bob.sees('Hello?', 'not sent');
    await ann.page.getByRole('button', { name: 'Unblock' }).tap();
    await ann.page.getByText(`You have blocked ${bob.name}.`).waitFor({ state: 'hidden' });
    await bob.message('Hello?').getByRole('button', { name: 'Try again' }).click();
    await bob.sees('Hello?', 'sent');
    await ann.sees('Hello?');
  });

  it('reports a person with a category and a note, and blocks them with it', async () => {
    const [ann, bob] = [await somebody(), await somebody()];
    await ann.open(bob.name);
    await ann.say('Hello');
    await ann.sees('Hello', 'sent');
    await ann.page.getByRole('button', { name: bob.name, exact: true }).click();
    const dialog = ann.page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Report' }).click();
    await dialog.getByRole('heading', { name: `Report ${bob.name}` }).waitFor();
    expect(await dialog.getByRole('button', { name: 'Send report' }).isEnabled()).to.equal(false);
    await dialog.getByLabel('Harassment or bullying').check();
    await dialog.getByLabel('Note to the moderators').fill('He never stops');
    await dialog.getByLabel('Block this person too').check();
    await look(ann, 'report-wide');
    await dialog.getByRole('button', { name: 'Send report' }).click();
    await dialog.getByText('The moderators will look at your report.').waitFor();
    const { out } = await parley(['report', 'list'], world.server.settings);
    expect(out).to.contain('harassment');
    await dialog.getByRole('button', { name: 'Done' }).click();
    // Back in the profile.
    await dialog.getByRole('button', { name: 'Unblock' }).waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await ann.page.getByText(`You have blocked ${bob.name}.`).waitFor();
  });

  it('lists who is blocked, and unblocks them', async () => {
    const [ann, bob] = [await somebody(PHONE), await somebody()];
    await ann.open(bob.name);
    await ann.page.getByRole('button', { name: 'Chat menu' }).last().tap();
    await menuItem(ann.page, 'Block').tap();
    await ann.page.getByRole('dialog').getByRole('button', { name: 'Block' }).tap();
    await ann.page.getByText(`You have blocked ${bob.name}.`).waitFor();
    await ann.page.getByRole('button', { name: 'Back to chats' }).tap();
    await ann.page.getByRole('button', { name: 'Account and settings' }).tap();
    await look(ann, 'account-phone');
    await ann.page.getByRole('button', { name: 'Blocked people' }).tap();
    await ann.page.getByRole('button', { name: `Unblock ${bob.name}` }).waitFor();
    await look(ann, 'blocked-phone');
    await ann.page.getByRole('button', { name: `Unblock ${bob.name}` }).tap();
    await ann.page.getByText('You have not blocked anybody.').waitFor();
    // Back leads to the settings.
    await ann.page.getByRole('button', { name: 'Back', exact: true }).tap();
    await ann.page.getByRole('button', { name: 'Privacy' }).waitFor();
  });

  it('changes the preferences of privacy, for all devices', async () => {
    const [ann, bob] = [await somebody(), await somebody()];
    const openPrivacy = async ({ page }: Person): Promise<void> => {
      await page.getByRole('button', { name: 'Account and settings' }).click();
      await page.getByRole('button', { name: 'Privacy' }).click();
    };
    await openPrivacy(ann);
    const { page } = ann;
    const whoWrites = page.getByRole('group', { name: 'Who may start a chat with me' });
    const whoInvites = page.getByRole('group', { name: 'Who may add me to groups' });
    for (const choose of [
      () => whoWrites.getByLabel('My contacts').check(),
      () => whoInvites.getByLabel('Nobody').check(),
      () => page.getByLabel('Others can find me by part of my name').uncheck(),
      () => page.getByLabel('Others see when I am online').uncheck(),
      () => page.getByLabel('Others see what I have read').uncheck(),
    ]) {
      await choose();
      await page.getByText('Saved.').waitFor();
    }
    await look(ann, 'privacy-wide');
    await page.reload();
    await openPrivacy(ann);
    expect(await whoWrites.getByLabel('My contacts').isChecked()).to.equal(true);
    expect(await whoInvites.getByLabel('Nobody').isChecked()).to.equal(true);
    for (const box of await page.getByRole('checkbox').all()) expect(await box.isChecked()).to.equal(false);
    // Bob may not write to her.
    await bob.open(ann.name);
    await bob.say('Hello?');
    await bob.sees('Hello?', 'not sent');
  });

  it('says at each field of a password what is wrong with it, and leads back from there', async () => {
    const ann = await somebody();
    const { page } = ann;
    const dialog = page.getByRole('dialog');
    await page.getByRole('button', { name: 'Account and settings' }).click();
    await page.getByRole('button', { name: 'Download my data' }).click();
    await dialog.getByText('Your data was downloaded.').waitFor();
    await page.getByRole('button', { name: 'Delete my account' }).click();
    await dialog.getByRole('heading', { name: 'Delete my account' }).waitFor();
    expect(await dialog.getByText('Your data was downloaded.').count()).to.equal(0);
    await look(ann, 'delete-account');
    await dialog.getByRole('button', { name: 'Back' }).click();
    await dialog.getByRole('button', { name: 'Change password' }).click();
    await dialog.getByRole('heading', { name: 'Change password' }).waitFor();
    const wrong = dialog.locator('[aria-invalid="true"]');
    const change = async (password: string, newPassword: string): Promise<void> => {
      await dialog.getByLabel('Your password').fill(password);
      await dialog.getByLabel('New password').fill(newPassword);
      await dialog.getByRole('button', { name: 'Change password' }).click();
    };
    await change(Person.password, 'password123');
    await dialog.getByText('Use at least 8 characters, and not one of the most common passwords.').waitFor();
    expect(await wrong.getAttribute('id')).to.equal('new-password');
    await look(ann, 'change-password');
    await change('not the password', 'another mild evening');
    await dialog.getByText('Wrong password.').waitFor();
    expect(await wrong.getAttribute('id')).to.equal('password');
    await dialog.getByRole('button', { name: 'Show New password' }).click();
    expect(await dialog.getByLabel('New password').inputValue()).to.equal('another mild evening');
    expect(await dialog.getByLabel('New password').getAttribute('type')).to.equal('text');
    await change(Person.password, 'another mild evening');
    await dialog.getByText('Password changed. All your other devices are signed out.').waitFor();
    await dialog.getByRole('button', { name: 'Done' }).click();
    await dialog.getByRole('heading', { name: 'Account and settings' }).waitFor();
  });

  it('invites people with a link, which leads to a chat, also after they have signed up', async () => {
    const ann = await somebody();
    await ann.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await ann.page.getByRole('button', { name: 'Invite people' }).first().click();
    await ann.page.getByText('Link copied.').waitFor();
    const link = await ann.page.evaluate<string>('navigator.clipboard.readText()');

    const context = await world.browser.newContext({ locale: 'en-GB' });
    const page = await context.newPage();
    await page.goto(link);
    await page.getByLabel('User name').fill(`${ann.name}-guest`);
    await page.getByLabel('Password').fill(Person.password);
    await page.getByRole('button', { name: 'Sign up' }).click();
    const profile = page.getByRole('dialog').filter({ hasText: ann.name });
    await profile.getByRole('button', { name: 'Message' }).click();
    await page.getByRole('textbox', { name: `Message to ${ann.name}` }).waitFor();
    await page.reload();
    await page.getByRole('textbox', { name: `Message to ${ann.name}` }).waitFor();
    expect(await page.getByRole('dialog').count(), 'the profile after a reload').to.equal(0);
    // The link also works in a page that is open.
    await page.evaluate(`location.hash = ${JSON.stringify(new URL(link).hash)}`);
    await profile.waitFor();
    await context.close();

    const phone = await somebody(PHONE);
    await phone.page.evaluate(`navigator.share = async ({ url }) => {
      globalThis.shared = url;
    }`);
    await phone.page.getByRole('button', { name: 'Friends' }).tap();
    await phone.page.getByRole('dialog').getByRole('button', { name: 'Invite people' }).tap();
    expect(await phone.page.evaluate<string>('shared')).to.match(/\/#user=[\w-]+$/);
  });

  it('shows somebody who was added that they were', async () => {
    const [ann, bob] = [await somebody(), await somebody(PHONE)];
    await bob.knowsFriends();
    await ann.search.fill(bob.name);
    await ann.page.getByRole('button', { name: `Add ${bob.name} as a friend` }).click();
    await ann.page.getByText('Friend', { exact: true }).waitFor();
    await bob.page.getByRole('button', { name: 'Friends, 1 new' }).tap();
    await bob.page.getByRole('button', { name: `${ann.name}, new: profile` }).waitFor();
    await look(bob, 'friends-phone');
    await bob.page.getByRole('button', { name: `${ann.name}, new: profile` }).tap();
    await bob.page.getByRole('button', { name: 'Remove from friends' }).waitFor();
    await look(bob, 'profile-phone');
    await bob.page.getByRole('button', { name: 'Close' }).tap();
    await bob.page.reload();
    // It was seen; who adds is not told of their own doing.
    for (const { page } of [ann, bob]) {
      await page.getByRole('button', { name: 'Friends', exact: true }).click();
      await page
        .getByRole('button', { name: `${page === ann.page ? bob.name : ann.name}: profile` })
        .waitFor();
    }
    await bob.page.getByRole('button', { name: `${ann.name}: profile` }).tap();
    await bob.page.getByRole('button', { name: 'Remove from friends' }).tap();
    await bob.page.getByRole('dialog').getByRole('button', { name: 'Remove from friends' }).tap();
    await ann.page.getByText('No friends yet.').waitFor();
  });

  it('shows a changed profile to others at once, and finds it by its name', async () => {
    const [ann, bob] = [await somebody(), await somebody()];
    await ann.open(bob.name);
    await ann.say('Hello');
    await requestsOf(bob).click();
    await inRequests(bob, ann.name).click();
    await bob.page.getByRole('button', { name: 'Accept' }).click();
    await ann.page.getByRole('button', { name: 'My profile' }).click();
    const shown = `Ann Lee ${ann.name}`;
    await ann.page.getByLabel('Display name').fill(`${shown}\u202e`);
    await ann.page.getByRole('button', { name: 'Save' }).click();
    await ann.page
      .getByText('This text has characters that are not allowed here.', { exact: true })
      .waitFor();
    await ann.page.getByLabel('Display name').fill(shown);
    await ann.page.getByLabel('Status').fill('At the sea');
    await ann.page.getByLabel('About').fill('x'.repeat(501));
    await ann.page.getByText('1 character too long.').waitFor();
    expect(await ann.page.getByRole('button', { name: 'Save' }).isEnabled()).to.equal(false);
    await ann.page.getByLabel('About').fill('I like tea.\nAnd boats.');
    await ann.page.getByRole('button', { name: 'Save' }).click();
    await ann.page.getByText('Saved.').waitFor();
    await look(ann, 'my-profile-wide');
    await bob.chat(shown).waitFor();
    await bob.page.getByRole('button', { name: shown, exact: true }).click();
    for (const text of ['At the sea', 'And boats.', `@${ann.name}`])
      await bob.page.getByRole('dialog').getByText(text).waitFor();
    await look(bob, 'profile-wide');
    const carl = await somebody();
    await carl.search.fill(shown);
    await carl.page.getByRole('button', { name: `${shown}: open chat` }).waitFor();
  });
});
