import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { axe, openWorld, screenshot } from '../support/browser.js';
import { type RealIssuer, startRealIssuer } from '../support/realIssuer.js';
import { type ServerProcess, startServer } from '../support/server.js';

describe('The sign-in by an issuer', function () {
  this.timeout(60_000);
  const world = openWorld();
  let issuer: RealIssuer;
  let server: ServerProcess;
  before(async () => {
    issuer = await startRealIssuer();
    server = await startServer({ engine: 'sqlite', env: { ...issuer.settings, SIGN_UP: 'external' } });
    issuer.serve({ redirectUri: `${server.url}/`, server: server.url });
  });
  after(async () => {
    await server?.stop();
    issuer?.close();
  });

  async function open(at: ServerProcess): Promise<Page> {
    const page = await (await world.browser.newContext({ locale: 'en-GB' })).newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(at.url);
    return page;
  }
  /** To the issuer, as a user goes there. */
  async function goToIssuer(page: Page): Promise<void> {
    await page.getByRole('button', { name: 'Continue with 127.0.0.1' }).click();
    await page.waitForURL(`${issuer.url}/**`);
  }

  it('leads there and back into the chat, where a reload keeps the user', async () => {
    const page = await open(server);
    await page.getByRole('button', { name: 'Continue with 127.0.0.1' }).waitFor();
    expect(await page.getByLabel('Password').count(), 'nobody has a password here').to.equal(0);
    expect(await axe(page)).to.deep.equal([]);
    await screenshot(page, 'chat-sign-in-issuer');
    await goToIssuer(page);
    await page.locator('input[name="login"]').fill('ada-of-the-issuer');
    await page.locator('input[name="password"]').fill('any');
    await page.locator('button[type="submit"]').click();
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('searchbox').waitFor();
    await page.getByRole('heading', { name: 'Ada L.' }).waitFor();
    expect(page.url(), 'the code is not kept in the address').to.equal(`${server.url}/`);
    await page.reload();
    await page.getByRole('heading', { name: 'Ada L.' }).waitFor();
    await page.context().close();
  });

  it('says so when the issuer has not signed the user in, and can be tried again', async () => {
    const page = await open(server);
    await goToIssuer(page);
    await page.getByRole('link', { name: 'Cancel' }).click();
    await page.getByRole('alert').getByText('127.0.0.1 has not signed you in. Try again.').waitFor();
    expect(page.url()).to.equal(`${server.url}/`);
    await goToIssuer(page);
    await page.context().close();
  });

  it('does not take an answer that this tab has not asked for', async () => {
    const page = await (await world.browser.newContext({ locale: 'en-GB' })).newPage();
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await page.goto(`${server.url}/?code=stolen&state=somebody`);
    await page.getByRole('button', { name: 'Continue with 127.0.0.1' }).waitFor();
    expect(asked).to.include('/signin-options');
    expect(asked).not.to.include('/oidc/signin');
    await page.context().close();
  });

  it('stands beside the password where both are there', async () => {
    const both = await startServer({ engine: 'sqlite', env: issuer.settings });
    const page = await open(both);
    await page.getByRole('button', { name: 'Continue with 127.0.0.1' }).waitFor();
    await page.getByLabel('User name').fill('ada-with-password');
    const password = page.getByLabel('Password');
    await password.fill('correct horse 1');
    expect(await password.getAttribute('type')).to.equal('password');
    await page.getByRole('button', { name: 'Show Password' }).click();
    expect(await password.getAttribute('type')).to.equal('text');
    expect(await password.inputValue()).to.equal('correct horse 1');
    await page.getByRole('button', { name: 'Sign up' }).first().click();
    await page.getByRole('searchbox').waitFor();
    await page.context().close();
    await both.stop();
  });

  it('offers no new account where the server makes none, and says whom to ask', async () => {
    const closed = await startServer({ engine: 'sqlite', env: { SIGN_UP: 'closed' } });
    const page = await open(closed);
    await page.getByText('Only the people who run this server can create accounts.').waitFor();
    expect(await page.getByRole('button', { name: 'Sign up' }).count()).to.equal(0);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('Fill in your user name and password.').waitFor();
    await page.getByLabel('User name').fill('nobody');
    await page.getByLabel('Password').fill('correct horse 1');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('Wrong user name or password.').waitFor();
    await page.context().close();
    await closed.stop();
  });
});
