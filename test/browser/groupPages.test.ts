import { expect } from 'chai';
import type { Locator } from 'playwright-core';
import { axe, openWorld, screenshot } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { menuItem, type Person, PHONE, peopleIn } from './person.js';

describe('Groups in the web chat', function () {
  this.timeout(120_000);
  const world = openWorld();
  const somebody = peopleIn(world);
  const look = async ({ page }: Person, view: string): Promise<void> => {
    await screenshot(page, `groups-${view}`);
    expect(await axe(page), view).to.deep.equal([]);
  };
  const dialog = ({ page }: Person): Locator => page.getByRole('dialog');
  const press = (person: Person, name: string): Promise<void> =>
    dialog(person).getByRole('button', { name, exact: true }).click();

  /** A group that this person makes of these others. */
  async function group(owner: Person, name: string, members: readonly Person[]): Promise<void> {
    await owner.page.getByRole('button', { name: 'New group' }).click();
    await dialog(owner).getByLabel('Group name').fill(name);
    for (const member of members) {
      await dialog(owner).getByLabel('Search people').fill(member.name);
      await dialog(owner).getByRole('checkbox', { name: member.name }).check();
    }
    await press(owner, 'Create group');
    await owner.page.getByRole('textbox', { name: `Message to ${name}` }).waitFor();
  }
  async function details(person: Person, name: string): Promise<void> {
    await person.page.getByRole('button', { name, exact: true }).click();
    await dialog(person).getByRole('list', { name: 'Members' }).waitFor();
  }
  const member = (person: Person, name: string): Locator =>
    dialog(person).getByRole('list', { name: 'Members' }).getByRole('listitem').filter({ hasText: name });
  /** Opens the menu of a member and chooses in it. */
  async function choose(person: Person, name: string, what: string): Promise<void> {
    await dialog(person)
      .getByRole('button', { name: `Menu of ${name}` })
      .click();
    await menuItem(person.page, what).click();
  }

  it('are made with a name and members, who all talk', async () => {
    const [ann, bob, carl] = [await somebody(), await somebody(PHONE), await somebody()];
    await ann.page.getByRole('button', { name: 'New group' }).click();
    await dialog(ann).getByLabel('Group name').fill('Sunday walkers');
    await dialog(ann).getByLabel('Search people').fill(bob.name);
    await dialog(ann).getByRole('checkbox', { name: bob.name }).check();
    await look(ann, 'new-wide');
    // Who was chosen by mistake leaves by the chip.
    await dialog(ann)
      .getByRole('button', { name: `Do not add ${bob.name}` })
      .click();
    for (const { name } of [bob, carl]) {
      await dialog(ann).getByLabel('Search people').fill(name);
      await dialog(ann).getByRole('checkbox', { name }).check();
    }
    await press(ann, 'Create group');
    await ann.page.getByText('3 members').waitFor();
    await ann.say('Where do we meet?');
    await bob.chat('Sunday walkers').tap();
    await bob.sees('Where do we meet?');
    await bob.say('At the mill');
    await carl.chat('Sunday walkers').getByText(`${bob.name}: At the mill`).waitFor();
    await ann.sees('At the mill');
    await screenshot(bob.page, 'groups-room-phone');
  });

  it('show their members with their roles to all, as they change', async () => {
    const [ann, bob, carl] = [await somebody(), await somebody(), await somebody(PHONE)];
    await group(ann, 'Choir', [bob, carl]);
    await carl.chat('Choir').tap();
    await details(carl, 'Choir');
    await member(carl, ann.name).getByText('Owner').waitFor();
    expect(
      await dialog(carl)
        .getByRole('button', { name: /^Menu of/ })
        .count(),
      'of a member',
    ).to.equal(0);
    await details(ann, 'Choir');
    await choose(ann, bob.name, 'Make admin');
    for (const person of [ann, carl]) await member(person, bob.name).getByText('Admin').waitFor();
    await look(carl, 'details-phone');
    await choose(ann, bob.name, 'Make owner');
    await look(ann, 'question-wide');
    await press(ann, 'Make owner');
    await member(carl, bob.name).getByText('Owner').waitFor();
    // Of two owners one may step down; the last one may not.
    await choose(ann, ann.name, 'Make member');
    await member(carl, ann.name).getByText('Owner').waitFor({ state: 'hidden' });
    // Her own page may know it later than his.
    await dialog(ann)
      .getByRole('button', { name: /^Menu of/ })
      .first()
      .waitFor({ state: 'hidden' });
    await bob.chat('Choir').click();
    await details(bob, 'Choir');
    await dialog(bob)
      .getByRole('button', { name: `Menu of ${carl.name}` })
      .waitFor();
    expect(
      await dialog(bob)
        .getByRole('button', { name: `Menu of ${bob.name}` })
        .count(),
    ).to.equal(0);
    await choose(bob, carl.name, 'Remove from the group');
    await press(bob, 'Remove from the group');
    await member(bob, carl.name).waitFor({ state: 'hidden' });
    await dialog(carl).getByText('You are no longer in this group.', { exact: true }).waitFor();
    await press(carl, 'Close');
    expect(await carl.composer.count()).to.equal(0);
  });

  it('take more members, and say who does not want to be added', async () => {
    const [ann, bob, carl, dora] = [await somebody(), await somebody(), await somebody(), await somebody()];
    await carl.page.getByRole('button', { name: 'Account and settings' }).click();
    await carl.page.getByRole('button', { name: 'Privacy' }).click();
    await carl.page.getByRole('group', { name: 'Who may add me to groups' }).getByLabel('Nobody').check();
    await carl.page.getByText('Saved.').waitFor();
    await group(ann, 'Chess', [bob]);
    await details(ann, 'Chess');
    await press(ann, 'Add members');
    for (const { name } of [carl, dora]) {
      await dialog(ann).getByLabel('Search people').fill(name);
      await dialog(ann).getByRole('checkbox', { name }).check();
    }
    // Who is a member already cannot be chosen.
    await dialog(ann).getByLabel('Search people').fill(bob.name);
    await dialog(ann).getByText('Nobody found.').waitFor();
    await press(ann, 'Add 2 people');
    await dialog(ann).getByText(`${carl.name} does not accept invitations from you.`).waitFor();
    await look(ann, 'refused-wide');
    await press(ann, 'Done');
    await member(ann, dora.name).waitFor();
    await dora.chat('Chess').waitFor();
    expect(await carl.chat('Chess').count()).to.equal(0);
  });

  it('have settings for their admins, which hold at once', async () => {
    const [ann, bob] = [await somebody(PHONE), await somebody()];
    await group(ann, 'News', [bob]);
    await bob.chat('News').click();
    await bob.page.getByRole('textbox', { name: 'Message to News' }).waitFor();
    await details(bob, 'News');
    expect(await dialog(bob).getByRole('button', { name: 'Group settings' }).count()).to.equal(0);
    await press(bob, 'Close');
    await details(ann, 'News');
    await press(ann, 'Group settings');
    const set = dialog(ann);
    await set.getByLabel('Group name').fill('News of the week');
    await set.getByLabel('About this group').fill('Once a week, on Fridays.');
    for (const name of ['Who may add members', 'Who may send messages'])
      await set.getByRole('group', { name }).getByLabel('Only admins').check();
    await set.getByRole('group', { name: 'What new members see' }).getByLabel('All messages').check();
    await look(ann, 'settings-phone');
    await press(ann, 'Save');
    await dialog(ann).getByText('Once a week, on Fridays.').waitFor();
    await bob.chat('News of the week').waitFor();
    await bob.composer.waitFor({ state: 'hidden' });
    await details(bob, 'News of the week');
    expect(await dialog(bob).getByRole('button', { name: 'Add members' }).count()).to.equal(0);
    await press(bob, 'Close');
    await press(ann, 'Group settings');
    expect(
      await set.getByRole('group', { name: 'What new members see' }).getByLabel('All messages').isChecked(),
    ).to.equal(true);
  });

  it('say who owns them next, before their only owner leaves and after', async () => {
    const [ann, bob, carl] = [await somebody(), await somebody(), await somebody()];
    await group(ann, 'Skating', [bob, carl]);
    await carl.chat('Skating').click();
    await carl.composer.waitFor();
    await ann.page.getByRole('button', { name: 'Account and settings' }).click();
    await press(ann, 'Delete my account');
    const next = `${bob.name} becomes the owner. To choose somebody else`;
    await dialog(ann)
      .getByRole('listitem')
      .filter({ hasText: `Skating: ${next}` })
      .waitFor();
    await press(ann, 'Close');
    await ann.page.getByRole('button', { name: 'Chat menu' }).last().click();
    await menuItem(ann.page, 'Leave group').click();
    await dialog(ann).getByText(next).waitFor();
    await dialog(ann).getByRole('button', { name: 'Leave group' }).click();
    const lines = carl.page.locator('.happening');
    const told = [`${ann.name} left.`, `${bob.name} is now an owner, because the last owner left.`];
    for (const line of told) await lines.filter({ hasText: line }).waitFor();
    expect((await lines.allInnerTexts()).slice(-2), 'the reason comes first').to.deep.equal(told);
    await carl.page.reload();
    // What the device has kept is shown first, and then what the server has.
    await eventually(
      'they are told again',
      async () => String((await lines.allInnerTexts()).slice(-2)) === String(told),
    );
    expect(await lines.filter({ hasText: ' made ' }).count()).to.equal(0);
  });

  it('are left by a member, and closed by an owner', async () => {
    const [ann, bob, carl] = [await somebody(), await somebody(), await somebody(PHONE)];
    await group(ann, 'Rowing', [bob, carl]);
    await carl.chat('Rowing').tap();
    await carl.page.getByRole('button', { name: 'Chat menu' }).last().tap();
    await menuItem(carl.page, 'Leave group').tap();
    await dialog(carl).getByText('You keep the messages').waitFor();
    await look(carl, 'leave-phone');
    await dialog(carl).getByRole('button', { name: 'Leave group' }).tap();
    await carl.composer.waitFor({ state: 'hidden' });
    await carl.page.getByText('You are no longer in this group.').waitFor();
    expect(await carl.page.getByText(/ members?$/).count(), 'a number of members').to.equal(0);
    await ann.page.getByText('2 members').waitFor();
    await bob.chat('Rowing').click();
    await bob.composer.waitFor();
    await details(ann, 'Rowing');
    await press(ann, 'Close group');
    await press(ann, 'Close group');
    for (const person of [ann, bob]) await person.composer.waitFor({ state: 'hidden' });
    await dialog(ann).waitFor({ state: 'hidden' });
  });
});
