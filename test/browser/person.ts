import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { strangers } from '../support/browser.js';

let names = 0;

/** Somebody with a window of their own, who signs up by the page. */
export class Person {
  private constructor(
    readonly page: Page,
    readonly name: string,
    /** Whatever the page asked elsewhere or did against its policy: to be empty. */
    readonly strangers: readonly string[],
  ) {}

  static readonly password = 'correct horse 1';

  /** @param prepare done to the page before it is opened */
  static async at(
    browser: Browser,
    url: string,
    options: BrowserContextOptions = {},
    prepare: (page: Page) => Promise<void> = async () => {},
  ): Promise<Person> {
    const context = await browser.newContext({ locale: 'en-GB', ...options });
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    const person = new Person(page, `${++names % 2 === 1 ? 'ada' : 'ben'}-${names}`, strangers(page));
    await prepare(page);
    await page.goto(url);
    await page.getByLabel('User name').fill(person.name);
    await page.getByLabel('Password').fill(Person.password);
    await page.getByRole('button', { name: 'Sign up' }).first().click();
    await person.search.waitFor();
    return person;
  }

  get search(): Locator {
    return this.page.getByRole('searchbox', { name: 'Find people' });
  }
  get composer(): Locator {
    return this.page.getByRole('textbox', { name: /^Message to/ });
  }
  get banner(): Locator {
    return this.page.locator('.connection');
  }
  /** The message with this text. */
  message(text: string): Locator {
    return this.page.getByRole('article').filter({ hasText: text });
  }
  /** The line of somebody in the list of chats. */
  chat(name: string): Locator {
    return this.page.getByRole('navigation', { name: 'Chats' }).getByRole('button', { name });
  }

  /** Opens the chat with somebody, found by name. */
  async open(name: string): Promise<void> {
    await this.search.fill(name);
    await this.page.getByRole('button', { name: `${name}: open chat` }).click();
    await this.composer.waitFor();
  }

  async say(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.composer.press('Enter');
  }

  /** Resolves once a message with this text is in the page, with this mark if one is named. */
  async sees(text: string, mark?: 'sending' | 'sent' | 'read' | 'not sent'): Promise<void> {
    const message = this.message(text);
    await message.first().waitFor();
    if (mark)
      await message
        .locator('.mark', { hasText: new RegExp(`^${mark}$`) })
        .first()
        .waitFor();
  }

  close(): Promise<void> {
    return this.page.context().close();
  }
}
