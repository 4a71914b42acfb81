import { expect } from 'chai';
import { openWorld } from '../support/browser.js';
import { parley } from '../support/parley.js';
import { Person } from './person.js';

describe('A new password by a code, in a browser', function () {
  this.timeout(120_000);
  const world = openWorld();

  it('is set with the code of an administrator, and signs in', async () => {
    const { page, name } = await Person.at(world.browser, world.server.url);
    await page.getByRole('button', { name: 'Account and settings' }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    const { out } = await parley(['user', 'reset-password', name], world.server.settings);
    const [code = ''] = /\b[\w-]{22,}\b/.exec(out) ?? [];

    const showForm = async () => {
      const signIn = page.getByRole('button', { name: 'Sign in', exact: true });
      const forCode = page.getByRole('button', { name: 'Forgot your password?' });
      await signIn.first().waitFor();
      if (!(await forCode.isVisible())) await signIn.click();
      await forCode.click();
      await page.getByText('Ask the people who run this server for a code.').waitFor();
      // Only what leads back is left of the form to sign in.
      for (const other of ['You are signed out.', 'Already have an account?'])
        expect(await page.getByText(other).count(), other).to.equal(0);
      await page.getByRole('button', { name: 'Back to sign-in' }).waitFor();
      await page.getByLabel('User name').fill(name);
      await page.getByLabel('New password', { exact: true }).fill('another good password');
    };
    await showForm();
    await page.getByLabel('Code').fill('0'.repeat(code.length));
    await page.getByRole('button', { name: 'Set the password' }).click();
    await page.getByText('This code is wrong').waitFor();
    await page.getByLabel('Code').fill(` ${code} `);
    await page.getByRole('button', { name: 'Set the password' }).click();
    await page.getByRole('searchbox').waitFor();
    expect(await page.getByLabel('Code').isVisible()).to.equal(false);
  });
});
