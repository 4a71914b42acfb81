import { randomUUID } from 'node:crypto';
import type { Browser, Page } from 'playwright-core';
import { createUser, password } from '../systems/parley.js';

/** A phone with a quarter of this machine's speed, on a line like that of Lighthouse. */
const SLOWER = 4;
const LATENCY_MS = 150;
const BYTES_PER_SECOND = 200_000;

async function slowDown(page: Page): Promise<void> {
  const devTools = await page.context().newCDPSession(page);
  await devTools.send('Network.enable');
  await devTools.send('Network.emulateNetworkConditions', {
    ...{ offline: false, latency: LATENCY_MS },
    ...{ downloadThroughput: BYTES_PER_SECOND, uploadThroughput: BYTES_PER_SECOND },
  });
  await devTools.send('Emulation.setCPUThrottlingRate', { rate: SLOWER });
}

/** Notes in the page when an element is first there. */
const watchFor = (selector: string): string => `
  const look = () => {
    if (window.foundAt === undefined && document.querySelector(${JSON.stringify(selector)}))
      window.foundAt = performance.now();
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });`;

async function foundAt(page: Page, selector: string): Promise<number> {
  await page.locator(selector).first().waitFor({ state: 'attached', timeout: 60_000 });
  return Math.round(await page.evaluate<number>('window.foundAt'));
}

const FORM = 'button[type="submit"]:enabled';
const LIST = 'input[type="search"]';

/** How long somebody new waits for a form that works, from the start of the navigation. */
export async function timeForm(browser: Browser, origin: string): Promise<number> {
  const context = await browser.newContext({ viewport: { width: 375, height: 740 } });
  const page = await context.newPage();
  await slowDown(page);
  await page.addInitScript(watchFor(FORM));
  await page.goto(origin);
  const wait = await foundAt(page, FORM);
  await context.close();
  return wait;
}

/** How long a user whose browser keeps the chat waits for the list of chats. */
export async function timeList(browser: Browser, origin: string): Promise<number> {
  const user = await createUser(origin, `page-${randomUUID().slice(0, 8)}`);
  const context = await browser.newContext({ viewport: { width: 375, height: 740 } });
  const page = await context.newPage();
  await page.goto(origin);
  await page.locator(FORM).waitFor();
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#username').fill(user.username);
  await page.locator('#password').fill(password);
  await page.locator('button[type="submit"]').click();
  await page.locator(LIST).waitFor();
  await page.evaluate(`navigator.serviceWorker.ready.then(({ active }) => active.state === 'activated' ||
    new Promise((done) => active.addEventListener('statechange', done)))`);
  await slowDown(page);
  await page.addInitScript(watchFor(LIST));
  await page.reload();
  const wait = await foundAt(page, LIST);
  await context.close();
  return wait;
}
