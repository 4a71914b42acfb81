import type { Page } from 'playwright-core';
import { eventually } from '../support/eventually.js';

/** What names an element in these tests: its label, its text or its id. */
const NAME = "ariaLabel || element.textContent || element.id || ''";

/** The name of what has the focus. */
export const focusedName = (page: Page): Promise<string> =>
  page.evaluate<string>(`(() => { const element = document.activeElement; return element.${NAME}; })()`);

/** Presses Tab until the element with this name has the focus, once it is there. */
export async function tabTo(page: Page, name: string): Promise<void> {
  const isThere = `[...document.querySelectorAll('input, textarea, button')].some((element) => (element.${NAME}) === ${JSON.stringify(name)})`;
  await eventually(`${name} is there`, () => page.evaluate<boolean>(isThere));
  for (let n = 0; n < 30; n++) {
    if ((await focusedName(page)) === name) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`the keyboard does not lead to ${name}`);
}

/** Opens and closes a box by the keyboard, 20 times: Enter opens it where the focus is, however soon after Escape. */
export async function opensAtOnce(page: Page, name: string): Promise<void> {
  const { keyboard } = page;
  const box = page.getByRole('dialog', { name });
  await keyboard.press('Enter');
  for (const _ of Array(20)) {
    await box.waitFor();
    // The second key is on its way before the first is answered.
    await Promise.all([keyboard.press('Escape'), keyboard.press('Enter')]);
  }
  await box.waitFor();
  await keyboard.press('Escape');
  await box.waitFor({ state: 'hidden' });
}
