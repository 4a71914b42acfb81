import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { freePort } from './freePort.js';
import { isSoak } from './lanes.js';
import { type ServerProcess, startServer } from './server.js';
import { tellOnFailure } from './setUp.js';

/** Where screenshots are left to be looked at; CI takes none. */
const artefacts = fileURLToPath(new URL('../../../artefacts/', import.meta.url));
/** The headless shell first: it has no windows, and takes a third of the time. */
const places = [
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];

/**
 * A Chromium without a window, to be closed by the caller: `CHROMIUM`, or one that the system has. Where there is
 * none it is `undefined`, and one line says what is left out; in CI it is an error.
 *
 * @param more flags of Chromium
 */
export async function openBrowser(
  more: readonly string[] = [],
  from: readonly string[] = places,
): Promise<Browser | undefined> {
  const executablePath = process.env.CHROMIUM ?? from.find((place) => existsSync(place));
  if (executablePath === undefined) {
    if (process.env.CI === 'true') throw new Error('CI needs a Chromium: apt-get install chromium');
    console.warn('no Chromium here (CHROMIUM names one): the tests in a browser are left out');
    return undefined;
  }
  // As root, in a container, Chromium has no sandbox of its own; it opens this project's pages only.
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-dev-shm-usage', ...more],
  });
  open.add(browser);
  browser.on('disconnected', () => open.delete(browser));
  return browser;
}

const open = new Set<Browser>();
const [SHOWN_LETTERS, SHOWN_WITHIN_MS] = [600, 5000];

tellOnFailure(async () => {
  const pages = [...open].flatMap((browser) => browser.contexts()).flatMap((context) => context.pages());
  return (await Promise.all(pages.map(shownBy))).join('\n');
});

/** The address and the beginning of the text of a page. */
async function shownBy(page: Page): Promise<string> {
  const body = await page
    .locator('body')
    // biome-ignore lint/performance/useDomNodeTextContent: only what is seen
    .innerText({ timeout: SHOWN_WITHIN_MS })
    .catch((error: unknown) => String(error));
  return `${page.url()} shows: ${body.replace(/\s+/g, ' ').slice(0, SHOWN_LETTERS)}`;
}

/** The same with notifications, which the headless shell does not have, if there is one. */
export const openWholeBrowser = (): Promise<Browser | undefined> =>
  openBrowser([], [...places.slice(1), ...places]);

/** The two widths and the two schemes that every main view is looked at in. */
const allLooks = [375, 1280].flatMap((width) =>
  (['light', 'dark'] as const).map((colorScheme) => ({
    name: `${width}-${colorScheme}`,
    options: {
      viewport: { width, height: width < 600 ? 740 : 800 },
      colorScheme,
    } satisfies BrowserContextOptions,
  })),
);

/** Each width and each colour scheme once; the long form has all pairs. */
export const looks = allLooks.filter(({ name }) => isSoak || name === '375-dark' || name === '1280-light');

/** Text that axe is found in: pages allow no script but the server's own, and the debugger may add one. */
const axeSource = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

interface AxeOptions {
  /** Contrast takes two thirds of the time, and on a long page several seconds. Default: true. */
  readonly hasContrast?: boolean;
}

/** What axe finds against WCAG 2.2 AA and its best practices on what the page shows now, a line each. */
export async function axe(page: Page, { hasContrast = true }: AxeOptions = {}): Promise<readonly string[]> {
  if ((await page.evaluate('typeof axe')) === 'undefined')
    await page.evaluate(readFileSync(axeSource, 'utf8'));
  const rules = { 'color-contrast': { enabled: hasContrast } };
  // With no other results, axe describes no element that is as it should be: half of the time.
  const options = JSON.stringify({ resultTypes: ['violations'], rules });
  const found = await page.evaluate<{ violations: readonly Violation[] }>(`axe.run(document, ${options})`);
  return found.violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${help}\n  ${html}\n  ${failureSummary}`),
  );
}

interface Violation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** Keeps a picture of what the page shows as `artefacts/<name>.png`. */
export async function screenshot(page: Page, name: string): Promise<void> {
  if (process.env.CI === 'true') return;
  mkdirSync(artefacts, { recursive: true });
  await page.screenshot({ path: `${artefacts}${name}.png`, animations: 'disabled' });
}

/**
 * Everything a page asked for from elsewhere, and every breach of its policy: to be empty at the end. Called
 * before the page is opened.
 */
export function strangers(page: Page): readonly string[] {
  const found: string[] = [];
  page.on('request', (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (!['data:', 'blob:'].includes(protocol) && hostname !== '127.0.0.1') found.push(request.url());
  });
  page.on('console', (message) => {
    if (/Content Security Policy|Content-Security-Policy/.test(message.text())) found.push(message.text());
  });
  page.on('pageerror', (error) => found.push(String(error)));
  return found;
}

/** Gives each test a wide page of the suite's browser, which must have asked no other host when the test has ended. */
export function openPageForEach(browser: () => Browser, use: (page: Page) => void): void {
  let page: Page | undefined;
  let asked: readonly string[] = [];
  beforeEach(async () => {
    page = await browser().newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(15_000);
    asked = strangers(page);
    use(page);
  });
  afterEach(async () => {
    expect(asked).to.deep.equal([]);
    await page?.close();
  });
}

/** What the tests of a suite share. Both are there once the suite has begun. */
export interface BrowserWorld {
  readonly browser: Browser;
  readonly server: ServerProcess;
}

/** Gives the suite a browser and a server of its own. Where there is no browser, the suite is left out. */
export function openWorld(env: Readonly<Record<string, string>> = {}): BrowserWorld {
  let [browser, server]: [Browser?, ServerProcess?] = [];
  before(async function () {
    browser = await openBrowser();
    if (!browser) return this.skip();
    // It is there again after a restart.
    const PORT = String(await freePort());
    server = await startServer({ engine: 'sqlite', env: { PORT, ...env } });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
  const begun = <T>(part: T | undefined): T => {
    if (part === undefined) throw new Error('the suite has not begun');
    return part;
  };
  return {
    get browser() {
      return begun(browser);
    },
    get server() {
      return begun(server);
    },
  };
}
