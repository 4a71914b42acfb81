import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { documented } from '../docs/paste.js';
import { openBrowser } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/freePort.js';
import { HostServer } from '../support/hostServer.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';
import { repository } from './dockerfile.js';
import { Program } from './program.js';

describe('The example of a page for the users of another sign-in', function () {
  this.timeout(120_000);
  let browser: Browser | undefined;
  let server: ServerProcess;
  let host: HostServer;
  let program: Program;
  let origin: string;

  before(async function () {
    browser = await openBrowser();
    if (!browser) return this.skip();
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    server = await startServer({ engine: 'sqlite', env: { SIGN_UP: 'closed', ALLOWED_ORIGINS: origin } });
    host = await HostServer.of(server, 'users,rooms,messages');
    program = new Program([process.execPath, join(copy(server.url), 'server.mjs')], {
      PARLEY_URL: server.url,
      PARLEY_KEY: host.key,
      PORT: String(port),
    });
    await eventually('the application listens', () => program.said.includes('listening on'));
  });
  after(async () => {
    await program?.stop();
    await server?.stop();
    await browser?.close();
  });

  /** The example in a folder of its own, with the client installed and the address of the server in the page. */
  function copy(url: string): string {
    const folder = tempDir();
    mkdirSync(join(folder, 'node_modules/@parley'), { recursive: true });
    symlinkSync(join(repository, 'packages/client'), join(folder, 'node_modules/@parley/client'));
    for (const file of ['package.json', 'server.mjs', 'index.html']) {
      const code = readFileSync(join(repository, 'examples/embed', file), 'utf8');
      writeFileSync(join(folder, file), code.replaceAll(documented, url));
    }
    return folder;
  }

  async function open(user?: string): Promise<Page> {
    if (!browser) throw new Error('there is no browser');
    const context = await browser.newContext();
    if (user !== undefined) await context.addCookies([{ name: 'user', value: user, url: origin }]);
    const page = await context.newPage();
    await page.goto(origin);
    return page;
  }

  it('has at most 40 lines of each kind', () => {
    for (const file of ['server.mjs', 'index.html']) {
      const code = readFileSync(join(repository, 'examples/embed', file), 'utf8');
      expect(code.trim().split('\n').length, file).to.be.at.most(40);
    }
  });

  it('shows its users their chats, without a password or a build', async () => {
    const [ann, bob] = [await open('4711'), await open('4712')];
    for (const page of [ann, bob]) await page.getByRole('heading', { name: '0 unread' }).waitFor();
    const { body } = await host.ask('PUT /server/rooms/private', { members: ['ext:4711', 'ext:4712'] });
    const path = `/server/rooms/${body.room.roomId}/messages/${randomUUID()}`;
    const sent = await host.ask(`PUT ${path}`, { senderId: 'ext:4711', message: 'Hello' });
    expect(sent.status, sent.text).to.equal(201);
    await bob.getByRole('heading', { name: 'User 4712: 1 unread' }).waitFor();
    await bob.getByText('User 4711: Hello').waitFor();
    await ann.getByText('User 4712: Hello').waitFor();
  });

  it('gives no token to others, and the page says so', async () => {
    const page = await open();
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
  });
});
