/** Between the beginnings of two looks. */
const LOOK_MS = 500;
/** What is remembered is trusted for so long after the beginning of the last look that succeeded. */
const FRESH_MS = 900;
/** Looks reach back so much further than to the last one: more than a write and a look can take together. */
const OVERLAP_MS = 15_000;
/** An end that was stored so long ago is known to every process, or it does not trust what it remembers. */
export const KNOWN_AFTER_MS = 1000;

export interface EndsOptions {
  /** As `VaultStore.endedLately`. */
  readonly read: (lastMs: number) => Promise<readonly string[] | undefined>;
  readonly onEnded: (id: string) => void;
  /** A look failed; the next ones are tried all the same. Told of the first of several in a row. */
  readonly onTrouble: (error: unknown) => void;
}

/**
 * Looks twice a second which sessions other processes have ended, so that nothing depends on being told. While that
 * fails nothing remembered is trusted.
 */
export class Ends {
  readonly #options: EndsOptions;
  /** Nobody else ends sessions of this vault. */
  #isAlone = false;
  /** All ends of before are known; at first nothing is remembered that could have ended. */
  #lookedAt = performance.now();
  #isFailing = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: EndsOptions) {
    this.#options = options;
    void this.#look();
  }

  /** Whether a session that is remembered as open has surely not ended more than `KNOWN_AFTER_MS` ago. */
  get isFresh(): boolean {
    return this.#isAlone || performance.now() - this.#lookedAt <= FRESH_MS;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const began = performance.now();
    try {
      // Whatever held this process up since: it is told of every end in that time.
      const ids = await this.#options.read(began - this.#lookedAt + OVERLAP_MS);
      this.#isAlone = ids === undefined;
      for (const id of ids ?? []) this.#options.onEnded(id);
      this.#lookedAt = began;
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing && !this.#closed) this.#options.onTrouble(error);
      this.#isFailing = true;
    }
    if (this.#closed || this.#isAlone) return;
    const passed = performance.now() - began;
    this.#timer = setTimeout(() => void this.#look(), Math.max(0, LOOK_MS - passed));
    this.#timer.unref();
  }
}
