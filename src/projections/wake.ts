/** One waiter that is woken, or that has waited long enough. A call to `wake` before the wait counts. */
export class Wake {
  #isRung = false;
  #resolve: (() => void) | undefined;

  wake(): void {
    this.#isRung = true;
    this.#resolve?.();
  }

  /** Resolves at the next `wake`, or after `ms`. */
  async wait(ms: number): Promise<void> {
    if (!this.#isRung)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#resolve = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    this.#resolve = undefined;
    this.#isRung = false;
  }
}
