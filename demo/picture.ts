/**
 * Takes the picture of docs/images again: two people who talk, one on a laptop and one on a phone. Run it after a change
 * of the chat page: `npm run build && node dist/demo/picture.js`.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { startServer } from '../test/support/server.js';
import { openStage } from './pictures/scene.js';

const OUT = fileURLToPath(new URL('../../docs/images/chat.webp', import.meta.url));
const PASSWORD = 'correct horse 1';
const HEIGHT = 680;

/** Signs up a person in a window of their own. */
async function sit(browser: Browser, url: string, name: string, width: number): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width, height: HEIGHT },
    deviceScaleFactor: 1.5,
    locale: 'en-GB',
    colorScheme: 'light',
  });
  const page = await context.newPage();
  await page.goto(url);
  await page.getByLabel('User name').fill(name);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign up' }).first().click();
  await page.getByRole('searchbox').waitFor();
  return page;
}

const composer = (page: Page) => page.getByRole('textbox', { name: /^Message to/ });

async function open(page: Page, name: string): Promise<void> {
  await page.getByRole('searchbox').fill(name);
  await page.getByRole('button', { name: `${name}: open chat` }).click();
  await composer(page).waitFor();
}

/** Sends a message, and waits until the other window shows it. */
async function say(from: Page, to: Page, text: string): Promise<void> {
  await composer(from).fill(text);
  await from.getByRole('button', { name: 'Send' }).click();
  await to.getByRole('article').filter({ hasText: text }).first().waitFor();
}

/** Puts both windows beside each other, and resolves with the picture as WebP. */
async function compose(browser: Browser, windows: readonly Page[]): Promise<Buffer> {
  const shots = await Promise.all(windows.map((page) => page.screenshot({ animations: 'disabled' })));
  const images = shots.map((shot) => `<img src="data:image/png;base64,${shot.toString('base64')}">`);
  const stage = await browser.newPage({
    deviceScaleFactor: 1.5,
    viewport: { width: 1300, height: HEIGHT + 80 },
  });
  await stage.setContent(`<style>
    body { margin: 0; display: flex; gap: 32px; justify-content: center; align-items: center; height: 100vh; background: #dfe6f0 }
    img { height: ${HEIGHT}px; border-radius: 12px; box-shadow: 0 6px 24px #0004 }
    img + img { border-radius: 28px; outline: 6px solid #1a2230 }
  </style>${images.join('')}`);
  const png = (await stage.screenshot()).toString('base64');
  const url = await stage.evaluate<string>(`(async () => {
    const image = await createImageBitmap(await (await fetch('data:image/png;base64,${png}')).blob());
    const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', 0.8);
  })()`);
  return Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
}

const server = await startServer({ engine: 'sqlite' });
const browser = await openStage();
const laptop = await sit(browser, server.url, 'Ada', 820);
const phone = await sit(browser, server.url, 'Ben', 380);
await open(laptop, 'Ben');
await composer(laptop).fill('Hi Ben! Did you get home in that storm?');
await composer(laptop).press('Enter');
await open(phone, 'Ada');
await say(phone, laptop, 'Just now. No signal for two hours in the tunnel');
await say(phone, laptop, 'Everything you wrote came in order the moment I was back.');
await say(laptop, phone, 'And what you wrote on the train?');
await say(phone, laptop, 'Waited on my phone and went out by itself. Once, not twice.');
await say(laptop, phone, 'Lunch tomorrow at noon then?');
await laptop.getByText('read', { exact: true }).last().waitFor();
await composer(phone).pressSequentially('See you t');
await laptop
  .getByText(/typing/)
  .first()
  .waitFor();
writeFileSync(OUT, await compose(browser, [laptop, phone]));
await browser.close();
await server.stop();
