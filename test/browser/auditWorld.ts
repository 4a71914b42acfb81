import type { Browser, Page } from 'playwright-core';
import type { SignedIn } from '../../packages/client/src/index.js';
import { Rest } from '../../packages/client/src/rest.js';
import { openBrowser, openPageForEach } from '../support/browser.js';
import { freePort } from '../support/freePort.js';
import { parley } from '../support/parley.js';
import { newDevice, type Person, signUp } from '../support/people.js';
import { type ServerProcess, startServer } from '../support/server.js';

/** A server with a conversation of two users. The first of them is an auditor. */
export interface AuditWorld {
  readonly server: ServerProcess;
  readonly ann: Person;
  readonly bob: Person;
  readonly roomId: string;
  /** The server's answer to Ann's sign-in. */
  readonly session: SignedIn;
  /** Sends a message from Bob to Ann. */
  say(text: string): Promise<void>;
  close(): Promise<void>;
}

/** Starts the server and sends `messages` messages. */
export async function auditWorld(messages = 20): Promise<AuditWorld> {
  const server = await startServer({
    engine: 'sqlite',
    // It is there again after a restart.
    env: { RATE_LIMIT: 'off', LOG_ORIGIN: 'example.org/log', PORT: String(await freePort()) },
  });
  const [ann, bob] = [await signUp(server, 'ann'), await signUp(server, 'bob')];
  const given = await parley(['role', 'auditor', 'ann'], server.settings);
  if (given.code !== 0) throw new Error(given.err);
  const session = await new Rest(server.url).signIn(ann.username, ann.password);
  const phone = await newDevice(server, bob);
  const roomId = await phone.chatWith(ann);
  for (let n = 1; n <= messages; n++) await phone.say(roomId, `message ${n}`);
  return {
    ...{ server, ann, bob, roomId, session },
    async say(text) {
      await phone.say(roomId, text);
    },
    async close() {
      phone.close();
      await server.stop();
    },
  };
}

/** Opens the console, or another page, with this session. */
export async function openConsole(
  page: Page,
  { server, session }: { readonly server: { readonly url: string }; readonly session: SignedIn },
  hash = '',
  path = '/audit',
): Promise<void> {
  const { token, expiresAt, user } = session;
  const kept = JSON.stringify(JSON.stringify({ token, expiresAt, user }));
  await page.addInitScript(`localStorage.setItem('parley.session', ${kept})`);
  await page.goto(`${server.url}${path}${hash}`);
}

/** What a test of the audit console has. */
interface AuditTest {
  readonly browser: Browser;
  readonly world: AuditWorld;
  readonly page: Page;
}

/**
 * Opens a browser and a world with `messages` messages for the suite, to which `prepare` adds, and a page for each test.
 * `use` gets them before each test. Where there is no browser, the suite is left out.
 */
export function openAuditSuite(
  use: (test: AuditTest) => void,
  { messages, prepare }: { messages?: number; prepare?: (world: AuditWorld) => Promise<void> } = {},
): void {
  let browser: Browser;
  let world: AuditWorld;
  before(async function () {
    const opened = await openBrowser();
    if (!opened) return this.skip();
    browser = opened;
    world = await auditWorld(messages);
    await prepare?.(world);
  });
  after(async () => {
    await browser?.close();
    await world?.close();
  });
  openPageForEach(
    () => browser,
    (page) => use({ browser, world, page }),
  );
}
