import { expect } from 'chai';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { type BrowserWorld, strangers } from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { unsentText } from './keptRecords.js';

let names = 0;

/** A user with their own browser context, signed up through the page. */
export class Person {
  private constructor(
    readonly page: Page,
    readonly name: string,
    /** Requests to other hosts and violations of the content security policy. Tests expect none. */
    readonly strangers: readonly string[],
    private readonly isTouch: boolean,
  ) {}

  static readonly password = 'correct horse 1';

  /** @param prepare called before the page loads */
  static async at(
    browser: Browser,
    url: string,
    options: BrowserContextOptions = {},
    prepare: (page: Page) => Promise<unknown> = async () => {},
  ): Promise<Person> {
    const context = await browser.newContext({ locale: 'en-GB', ...options });
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    const person = new Person(
      page,
      `${++names % 2 === 1 ? 'ada' : 'ben'}-${names}`,
      strangers(page),
      options.hasTouch ?? false,
    );
    await prepare(page);
    await page.goto(url);
    await page.getByLabel('User name').fill(person.name);
    await page.getByLabel('Password').fill(Person.password);
    await page.getByRole('button', { name: 'Sign up' }).first().click();
    await person.search.waitFor();
    return person;
  }

  get search(): Locator {
    return this.page.getByRole('searchbox', { name: 'Find chats and people' });
  }
  get composer(): Locator {
    return this.page.getByRole('textbox', { name: /^Message to/ });
  }
  get banner(): Locator {
    return this.page.locator('.connection');
  }
  /** The messages that contain this text. */
  message(text: string): Locator {
    return this.page.getByRole('article').filter({ hasText: text });
  }
  /** A user's row in the chat list. */
  chat(name: string): Locator {
    return this.page.getByRole('navigation', { name: 'Chats' }).getByRole('button', { name });
  }

  /** Waits until this browser knows the user's friends: only who is added after that is new to them. */
  knowsFriends(): Promise<void> {
    const isKnown = "Object.keys(localStorage).some((key) => key.startsWith('parley.friends.'))";
    return eventually('the friends are known', () => this.page.evaluate<boolean>(isKnown));
  }

  /** Waits until the browser has stored this text of what is unsent, which the page shows before. */
  storesUnsent(text: string): Promise<void> {
    return eventually('it is stored', async () =>
      (await this.page.evaluate<string>(unsentText)).includes(text),
    );
  }

  /** Searches a user by name and opens the chat with them. */
  async open(name: string): Promise<void> {
    await this.search.fill(name);
    await this.page.getByRole('button', { name: `${name}: open chat` }).click();
    // Not that of the room before.
    await this.page.getByRole('textbox', { name: `Message to ${name}` }).waitFor();
  }

  async say(text: string): Promise<void> {
    await this.composer.fill(text);
    // Enter starts a new line under a finger.
    if (this.isTouch) await this.page.getByRole('button', { name: /^(Send|Save)$/ }).tap();
    else await this.composer.press('Enter');
  }

  /** Waits for a message with this text and, if given, this delivery mark. */
  async sees(text: string, mark?: 'sending' | 'sent' | 'read' | 'not sent'): Promise<void> {
    const message = this.message(text);
    await message.first().waitFor();
    if (mark)
      await message
        .locator('.mark', { hasText: new RegExp(`^${mark}$`) })
        .first()
        .waitFor();
  }

  /** Opens the options of a message: by its button, or with a finger that rests on it. */
  async openOptions(text: string): Promise<Locator> {
    const message = this.message(text).last();
    if (this.isTouch) await this.#longPress(message);
    else await message.getByRole('button', { name: 'Message options' }).click();
    const options = this.page.getByRole('dialog', { name: 'Message options' });
    await options.waitFor();
    return options;
  }

  /** Chooses one of the options of a message. */
  async choose(text: string, option: string): Promise<void> {
    await (await this.openOptions(text)).getByRole('button', { name: option, exact: true }).click();
  }

  async #longPress(element: Locator): Promise<void> {
    await element.scrollIntoViewIfNeeded();
    const box = await element.boundingBox();
    if (!box) throw new Error('the element is not in the page');
    const devTools = await this.page.context().newCDPSession(this.page);
    const touchPoints = [{ x: box.x + 16, y: box.y + 12 }];
    await devTools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints });
    await this.page.getByRole('dialog').waitFor();
    await devTools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
    await devTools.detach();
  }

  close(): Promise<void> {
    return this.page.context().close();
  }
}

/** A small screen that is touched. */
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } as const;

/** Holds a finger on an element until `until` is there. */
export async function hold(page: Page, element: Locator, until: Locator): Promise<void> {
  const box = await element.boundingBox();
  if (!box) throw new Error('it is not shown');
  const touch = await page.context().newCDPSession(page);
  const touchPoints = [{ x: box.x + box.width / 2, y: box.y + box.height / 2 }];
  await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints });
  await until.waitFor();
  await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
}

/** Presses “Try now”, unless the page has connected again by itself, which takes the button away. */
export async function tryNow(page: Page): Promise<void> {
  const button = page.getByRole('button', { name: 'Try now' });
  await Promise.race([button.click(), button.waitFor({ state: 'hidden' })]);
}

/** Does what leads to a message with this text, which must be marked then. The mark goes after two seconds. */
export async function leadTo(page: Page, text: string, act: () => Promise<void>): Promise<void> {
  await page.evaluate(`(() => {
    globalThis.wasMarked = false;
    new MutationObserver(() => {
      wasMarked ||= [...document.querySelectorAll('.found')].some((one) => one.textContent.includes(${JSON.stringify(text)}));
    }).observe(document.body, { subtree: true, childList: true, attributeFilter: ['class'] });
  })()`);
  await act();
  await eventually(`“${text}” is marked`, () => page.evaluate<boolean>('wasMarked'));
}

/** A line of an open menu. */
export const menuItem = (page: Page, name: string): Locator =>
  page.getByRole('menuitem', { name, exact: true });

/** Makes people for one test each. After it they must have asked no other host, and are closed. */
export function peopleIn(world: BrowserWorld): (options?: BrowserContextOptions) => Promise<Person> {
  const people: Person[] = [];
  afterEach(async () => {
    for (const person of people.splice(0)) {
      expect(person.strangers).to.deep.equal([]);
      await person.close();
    }
  });
  return async (options) => {
    const person = await Person.at(world.browser, world.server.url, options);
    people.push(person);
    return person;
  };
}
