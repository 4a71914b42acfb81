import { readFileSync } from 'node:fs';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import type { SignedIn } from '../../packages/client/src/index.js';
import { hold } from '../../test/browser/person.js';
import { openBrowser } from '../../test/support/browser.js';
import { type Look, windowOf } from './looks.js';
import type { Name } from './people.js';
import type { World } from './world.js';

/** How long a view may take to show what it waits for. */
const WAIT_MS = 20_000;
/** A page that keeps asking, such as one that follows events, never rests. */
const REST_MS = 3000;

type Values = Readonly<Record<string, string>>;

/** A browser for pictures. */
export async function openStage(): Promise<Browser> {
  const browser = await openBrowser();
  if (!browser) throw new Error('pictures need a Chromium: apt-get install chromium');
  return browser;
}

/** A page of one view, with what leads through it in any language. */
export class Scene {
  private constructor(
    readonly world: World,
    readonly look: Look,
    readonly page: Page,
    private readonly context: BrowserContext,
    private readonly texts: Values,
  ) {}

  static async open(browser: Browser, world: World, look: Look): Promise<Scene> {
    const context = await browser.newContext(windowOf(look));
    context.setDefaultTimeout(WAIT_MS);
    return new Scene(world, look, await context.newPage(), context, textsOf(look.language));
  }

  get isPhone(): boolean {
    return this.look.device === 'phone';
  }

  close(): Promise<void> {
    return this.context.close();
  }

  /** The text of this name, with its values. It must have no plural and no choice. */
  text(name: string, values: Values = {}): string {
    const text = this.texts[name];
    if (text === undefined) throw new Error(`there is no text ${name}`);
    return text.replace(/\{(\w+)\}/g, (_, key: string) => values[key] ?? '');
  }

  /** A button with this text or label. */
  button(name: string, values: Values = {}): Locator {
    return this.page.getByRole('button', { name: this.text(name, values), exact: true }).first();
  }

  press(name: string, values: Values = {}): Promise<void> {
    return this.button(name, values).click();
  }

  /** Opens a page of the server. `who` is signed in, if given. */
  async visit(address: string, who?: Name): Promise<void> {
    if (who) await this.page.addInitScript(storing(this.world.player(who).session));
    await this.page.goto(this.world.server.url + address);
  }

  /** Opens the chat of Ada, or of somebody else; with a room, if one is named. */
  async chat(room?: string, who: Name = 'ada'): Promise<void> {
    await this.visit(room === undefined ? '/' : `/#room=${this.world.room(room)}`, who);
    // A narrow window has the list behind the room.
    const list = this.page.locator('.side .list').first();
    await list.waitFor({ state: room !== undefined && this.isPhone ? 'attached' : 'visible' });
    if (room === undefined) return;
    await this.page.locator('.scroller article').first().waitFor();
    await this.page.locator('.room .title-button').waitFor();
  }

  /** Opens the dialog that a button of the bar leads to, and then what its buttons lead to. */
  async dialog(...names: readonly string[]): Promise<Locator> {
    await this.chat();
    return this.pressAll(...names);
  }

  /** Presses these buttons one after the other. Resolves with the dialog that they lead to. */
  async pressAll(...names: readonly string[]): Promise<Locator> {
    for (const name of names) await this.press(name);
    const dialog = this.page.locator('dialog[open]');
    await dialog.waitFor();
    return dialog;
  }

  /** The last message of the open room that contains this text. */
  article(text: string): Locator {
    return this.page.getByRole('article').filter({ hasText: text }).last();
  }

  /** Opens the options of a message, as a mouse or a finger does. */
  async messageMenu(message: Locator): Promise<Locator> {
    const menu = this.page.locator('dialog.popup[open]');
    await message.scrollIntoViewIfNeeded();
    if (this.isPhone) await hold(this.page, message.locator('.text').first(), menu);
    else {
      await message.hover();
      await message.getByRole('button', { name: this.text('messages.menu') }).click();
    }
    await menu.waitFor();
    return menu;
  }

  /** Chooses in the options of a message. */
  async choose(message: Locator, option: string): Promise<void> {
    const menu = await this.messageMenu(message);
    await menu.getByRole('button', { name: this.text(option), exact: true }).click();
  }

  /** Resolves when nothing is loaded any more, or a page goes on loading. */
  async rest(): Promise<void> {
    await this.page.waitForLoadState('networkidle', { timeout: REST_MS }).catch(() => {});
    const loading = this.page.getByText('Loading…');
    await loading
      .first()
      .waitFor({ state: 'hidden', timeout: REST_MS })
      .catch(() => {});
  }
}

/** Compiled files are one folder deeper than their sources. */
const textsOf = (language: string): Values =>
  JSON.parse(readFileSync(new URL(`../../../web/texts/${language}.json`, import.meta.url), 'utf8'));

const storing = ({ token, user }: SignedIn): string =>
  `localStorage.setItem('parley.session', ${JSON.stringify(JSON.stringify({ token, user }))})`;
