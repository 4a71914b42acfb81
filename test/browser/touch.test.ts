import { expect } from 'chai';
import { openWorld } from '../support/browser.js';
import { type Person, PHONE, peopleIn } from './person.js';

/**
 * Every control in view that a finger could miss, because it takes presses of less than 44 px of height around its
 * middle. Links within a sentence are as high as its lines. Evaluated in the page.
 */
const MISSED = `(() => {
  const takes = (control, x, y) => {
    const hit = document.elementFromPoint(x, y);
    return hit !== null && (control.contains(hit) || hit.closest('label')?.control === control);
  };
  const frameOf = (element) => {
    const parent = element.parentElement;
    if (parent === null) return { top: 0, bottom: innerHeight };
    return getComputedStyle(parent).overflowY === 'auto' ? parent.getBoundingClientRect() : frameOf(parent);
  };
  const controls = document.querySelectorAll('button, input, textarea, select, a.button, [role="option"]');
  return [...controls].flatMap((control) => {
    const { left, right, top, bottom } = control.getBoundingClientRect();
    const [x, y] = [(left + right) / 2, (top + bottom) / 2];
    const frame = frameOf(control);
    const isInView = y > frame.top + 22 && y < frame.bottom - 22 && takes(control, x, y);
    if (!isInView || control.disabled) return [];
    const isHigh = takes(control, x, y - 21) && takes(control, x, y + 21);
    const name = control.ariaLabel || control.textContent || control.name || control.className;
    return isHigh ? [] : [name + ': ' + Math.round(bottom - top) + ' px'];
  });
})()`;

describe('The chat under a finger', function () {
  this.timeout(120_000);
  const world = openWorld();
  const somebody = peopleIn(world);
  const expectNoneMissed = async ({ page }: Person, view: string): Promise<void> => {
    expect(await page.evaluate<string[]>(MISSED), view).to.deep.equal([]);
  };

  it('has no control lower than 44 px', async () => {
    const stranger = await (await world.browser.newContext(PHONE)).newPage();
    await stranger.goto(world.server.url);
    await stranger.getByLabel('User name').waitFor();
    expect(await stranger.evaluate<string[]>(MISSED), 'sign up').to.deep.equal([]);
    await stranger.getByRole('button', { name: 'Sign in' }).last().tap();
    await stranger.getByRole('button', { name: 'Forgot your password?' }).waitFor();
    expect(await stranger.evaluate<string[]>(MISSED), 'sign in').to.deep.equal([]);
    await stranger.context().close();

    const [ann, bob] = [await somebody(PHONE), await somebody()];
    const { page } = ann;
    await ann.open(bob.name);
    for (const text of ['Where are you?', 'I wait at the mill']) await ann.say(text);
    await bob.chat(ann.name).click();
    await bob.choose('at the mill', 'React with 👍');
    await page.locator('.reaction').waitFor();
    await expectNoneMissed(ann, 'room');
    await ann.openOptions('at the mill');
    await expectNoneMissed(ann, 'message options');
    await page.getByRole('button', { name: 'More emoji' }).tap();
    await page.locator('.emoji-grid button').nth(20).waitFor();
    await expectNoneMissed(ann, 'emoji');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: bob.name }).first().tap();
    await page.getByRole('dialog').getByRole('button', { name: 'Block' }).waitFor();
    await expectNoneMissed(ann, 'profile');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Back to chats' }).tap();
    await ann.chat(bob.name).waitFor();
    await expectNoneMissed(ann, 'chats');
    for (const view of ['Account and settings', 'My profile', 'New group']) {
      await page.getByRole('button', { name: view }).first().tap();
      await page.getByRole('dialog').getByRole('heading', { name: view }).waitFor();
      await expectNoneMissed(ann, view);
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
    }
  });
});
