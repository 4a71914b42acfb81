import type { Page } from 'playwright-core';

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
