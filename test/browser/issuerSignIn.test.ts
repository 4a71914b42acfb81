import { expect } from 'chai';
import type { Page } from 'playwright-core';
import { axe, openWorld, screenshot } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { signUp } from '../support/people.js';
import { type IssuerGifts, type RealIssuer, startRealIssuer } from '../support/realIssuer.js';
import { type ServerProcess, startServer } from '../support/server.js';

describe('The sign-in by an issuer', function () {
  this.timeout(120_000);
  const world = openWorld();
  let issuer: RealIssuer;
  let server: ServerProcess;
  const started: { readonly issuer: RealIssuer; readonly server: ServerProcess }[] = [];
  before(async () => {
    ({ issuer, server } = await start());
  });
  after(async () => {
    for (const system of started) {
      await system.server.stop();
      system.issuer.close();
    }
  });

  /** An issuer, and a server that signs in by it. Both end with the tests. */
  async function start(gifts: IssuerGifts = {}, env: Record<string, string> = { SIGN_UP: 'external' }) {
    const ofThese = await startRealIssuer(gifts);
    const at = await startServer({ engine: 'sqlite', env: { ...ofThese.settings, ...env } });
    ofThese.serve({ redirectUri: `${at.url}/`, server: at.url });
    const system = { issuer: ofThese, server: at };
    started.push(system);
    return system;
  }

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

  /** Signs in there, and comes back into the chat. */
  async function signInAt(page: Page, at: RealIssuer): Promise<void> {
    await page.getByRole('button', { name: 'Continue with 127.0.0.1' }).click();
    await page.waitForURL(`${at.url}/**`);
    await page.locator('input[name="login"]').fill('ada-of-the-issuer');
    await page.locator('input[name="password"]').fill('any');
    await page.locator('button[type="submit"]').click();
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('searchbox').waitFor();
    await page.getByRole('heading', { name: 'Ada L.' }).waitFor();
  }

  it('leads there and back into the chat, where a reload keeps the user', async () => {
    const page = await open(server);
    await page.getByRole('button', { name: 'Continue with 127.0.0.1' }).waitFor();
    expect(await page.getByLabel('Password').count(), 'nobody has a password here').to.equal(0);
    expect(await axe(page)).to.deep.equal([]);
    await screenshot(page, 'chat-sign-in-issuer');
    await signInAt(page, issuer);
    expect(page.url(), 'the code is not kept in the address').to.equal(`${server.url}/`);
    await page.reload();
    await page.getByRole('heading', { name: 'Ada L.' }).waitFor();
    await page.context().close();
  });

  it('opens the invitation afterwards that the page was opened with', async () => {
    const { issuer: inviting, server: at } = await start({}, {});
    const { user, username } = await signUp(at, 'ben-who-invites');
    const page = await (await world.browser.newContext({ locale: 'en-GB' })).newPage();
    await page.goto(`${at.url}/#user=${user.userId}`);
    await signInAt(page, inviting);
    await page.getByRole('dialog', { name: 'Profile' }).getByText(username).first().waitFor();
    await page.context().close();
  });

  it('goes on without the user when a token ends: by a refresh token that no script can read', async () => {
    const { issuer: short, server: at } = await start({ idTokenSeconds: 5, refreshes: true });
    const page = await open(at);
    const sent: string[] = [];
    let sockets = 0;
    page.on('websocket', (socket) => {
      sockets++;
      socket.on('framesent', ({ payload }) => sent.push(String(payload)));
    });
    const tokenOf = (): Promise<string> =>
      page.evaluate<string>("JSON.parse(localStorage.getItem('parley.session')).token");
    await signInAt(page, short);
    const first = await tokenOf();
    const other = await page.context().newPage();
    await other.goto(at.url);
    await other.getByRole('heading', { name: 'Ada L.' }).waitFor();
    // Each refresh token is good for one renewal: two tabs share them, and the second renewal needs the second one.
    const renewals = (): number => sent.filter((frame) => frame.includes('"event":"renew"')).length;
    await eventually('two renewals', async () => renewals() >= 2);
    expect(await tokenOf()).not.to.equal(first);
    expect(sockets, 'the connection goes on').to.equal(1);
    // The issuer of the test has cookies of the same host.
    const kept = async () =>
      (await page.context().cookies(`${at.url}/oidc/renew`)).filter(({ name }) => name === 'parley_renewal');
    const [cookie] = await kept();
    expect(cookie).to.include({ httpOnly: true, secure: true, sameSite: 'Strict', path: '/oidc' });
    expect(await page.evaluate<string>('document.cookie + JSON.stringify(localStorage)')).not.to.contain(
      decodeURIComponent(cookie?.value ?? ''),
    );
    await page.getByRole('button', { name: 'Account and settings' }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Continue with 127.0.0.1' }).waitFor();
    expect(await kept()).to.deep.equal([]);
    await page.context().close();
  });

  it('signs out once no renewal is under way, which would bring the browser a new session', async () => {
    const { issuer: short, server: at } = await start({ idTokenSeconds: 5, refreshes: true });
    const page = await open(at);
    await signInAt(page, short);
    let release = (): void => {};
    const order: string[] = [];
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let hold = (): void => {};
    const isHeld = new Promise<void>((resolve) => {
      hold = resolve;
    });
    await page.route('**/oidc/renew', async (route) => {
      hold();
      await released;
      order.push('renewal');
      await route.continue();
    });
    page.on('request', (request) => request.url().endsWith('/user/signout') && order.push('sign-out'));
    // One that was asked for before is over soon; the next one is held.
    await isHeld;
    await page.getByRole('button', { name: 'Account and settings' }).click();
    await page.getByRole('button', { name: 'Sign out' }).click();
    const waiting = 'navigator.locks.query().then(({ pending }) => pending.length)';
    await eventually(
      'it waits, or has not waited',
      async () => order.length > 0 || (await page.evaluate<number>(waiting)) > 0,
    );
    release();
    await page.getByRole('button', { name: 'Continue with 127.0.0.1' }).waitFor();
    expect(order.slice(0, 2)).to.deep.equal(['renewal', 'sign-out']);
    const cookies = await page.context().cookies(`${at.url}/oidc/renew`);
    expect(cookies.filter(({ name }) => name === 'parley_renewal')).to.deep.equal([]);
    await page.context().close();
  });

  it('asks the issuer in silence once a session has lapsed, and signs out whom it has forgotten', async () => {
    const { issuer: known, server: at } = await start({ isSilent: true });
    const page = await open(at);
    await signInAt(page, known);
    const lapse = async (): Promise<void> => {
      // As after a night in which the device was asleep: the server does not take the token any more.
      await page.evaluate(`(() => {
        const session = JSON.parse(localStorage.getItem('parley.session'));
        const payload = btoa(JSON.stringify({ exp: 1 })).replaceAll('=', '');
        localStorage.setItem('parley.session', JSON.stringify({ ...session, token: 'x.' + payload + '.x' }));
      })()`);
      await page.reload();
    };
    await lapse();
    const length = "JSON.parse(localStorage.getItem('parley.session') ?? '{}').token?.length ?? 0";
    // The page may be on its way.
    const hasToken = (): Promise<boolean> =>
      page.evaluate<number>(length).then(
        (characters) => characters > 100,
        () => false,
      );
    await eventually('a token of the issuer', hasToken);
    await page.getByRole('heading', { name: 'Ada L.' }).waitFor();
    await page.context().clearCookies();
    await lapse();
    await page.getByRole('button', { name: 'Continue with 127.0.0.1' }).waitFor();
    await page.waitForURL(`${at.url}/`);
    expect(await page.getByText('has not signed you in').count(), 'nothing has gone wrong').to.equal(0);
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
