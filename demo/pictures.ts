/**
 * Takes a picture of every view of the pages in every look, to be looked at: `npm run pictures -- <folder>`. A further
 * argument is a regular expression for the names of the pictures: `npm run pictures -- /tmp/seen 'chats.*phone'`. A view
 * that fails, or in which a text is drawn over another, names itself; the others go on, and the exit code is 1.
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Browser } from 'playwright-core';
import { overlaps } from '../test/support/overlaps.js';
import { type Look, looks } from './pictures/looks.js';
import { openStage, Scene } from './pictures/scene.js';
import type { View } from './pictures/view.js';
import { fileOf, viewsOf } from './pictures/views.js';
import { World } from './pictures/world.js';

/** The looks that are taken at the same time. */
const AT_ONCE = 3;

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Takes one picture. Resolves with false if the view fails. */
async function take(
  browser: Browser,
  world: World,
  view: View,
  look: Look,
  folder: string,
): Promise<boolean> {
  const file = fileOf(view, look);
  const scene = await Scene.open(browser, world, look);
  try {
    await view.show(scene);
    await scene.rest();
    await scene.page.screenshot({ path: join(folder, file), animations: 'disabled', caret: 'initial' });
    const covered = await overlaps(scene.page);
    if (covered.length > 0) throw new Error(`texts are drawn over each other: ${covered.join('; ')}`);
    return true;
  } catch (error) {
    print(`✗ ${file}: ${error instanceof Error ? error.message : String(error)}`);
    await scene.page.screenshot({ path: join(folder, `failed-${file}`) }).catch(() => {});
    return false;
  } finally {
    await scene.close();
  }
}

/** Takes the pictures of one look that are wanted. Resolves with the number of those taken and of those that failed. */
async function takeAll(browser: Browser, look: Look, folder: string, wanted: RegExp) {
  const shown = viewsOf(look).filter((view) => wanted.test(fileOf(view, look)));
  if (shown.length === 0) return { taken: 0, failed: 0 };
  const world = await World.create(look.language);
  let failed = 0;
  for (const view of shown) if (!(await take(browser, world, view, look, folder))) failed++;
  await world.close();
  return { taken: shown.length - failed, failed };
}

const [folder, names = ''] = process.argv.slice(2);
if (folder === undefined || folder.startsWith('-')) {
  print("Usage: npm run pictures -- <folder> ['<regular expression for the names>']");
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const browser = await openStage();
const queue = [...looks];
const total = { taken: 0, failed: 0 };
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let look = queue.shift(); look; look = queue.shift()) {
      const { taken, failed } = await takeAll(browser, look, folder, new RegExp(names));
      total.taken += taken;
      total.failed += failed;
    }
  }),
);
await browser.close();
print(`${total.taken} pictures are in ${resolve(folder)}; ${total.failed} views failed.`);
process.exitCode = total.failed === 0 ? 0 : 1;
