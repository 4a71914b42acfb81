import type { Client } from '../types.js';

/** Tells the server whether somebody looks at this device; every connection begins as active. */
export class Activity {
  #wish = true;
  /** What the present connection counts as. */
  #said = true;
  #isIdentified = false;
  #isBusy = false;

  constructor(private readonly client: Pick<Client, 'request'>) {}

  set(isActive: boolean): void {
    this.#wish = isActive;
    void this.#say();
  }

  /** A connection has identified. What is under way is said to it by the client, and settles what was said. */
  identified(): void {
    this.#isIdentified = true;
    this.#said = true;
    void this.#say();
  }

  /** There is no connection to say it to. */
  lost(): void {
    this.#isIdentified = false;
  }

  async #say(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      while (this.#isIdentified && this.#said !== this.#wish) {
        const wish = this.#wish;
        await this.client.request(wish ? 'active app' : 'background app', {}, { timeoutMs: Infinity });
        this.#said = wish;
      }
    } catch {
      // The client has ended, and its presence with it.
    } finally {
      this.#isBusy = false;
    }
  }
}
