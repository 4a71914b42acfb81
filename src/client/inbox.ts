import type { CursorStore, Push } from './types.js';

/** Pushes that wait for their handlers; beyond this the client disconnects, and resumes from its cursor. */
const MAX_WAITING = 10_000;

/**
 * Handles pushes one after the other and keeps the cursor. A push's cursor is stored after its handlers
 * ran, so that a crash between the two repeats the push and never skips it.
 */
export class Inbox {
  readonly #waiting: Push[] = [];
  #beginning: string | undefined;
  #cursor: string | undefined;
  #isLoaded = false;
  #isOpen = false;
  #isRunning = false;
  #draining: Promise<void> = Promise.resolve();

  constructor(
    private readonly handle: (push: Push) => Promise<void>,
    private readonly store: CursorStore,
    private readonly report: (error: unknown) => void,
  ) {}

  /** False when too many wait: the caller must disconnect, and resume from the last cursor. */
  add(push: Push): boolean {
    if (this.#waiting.length >= MAX_WAITING) return false;
    this.#waiting.push(push);
    this.#run();
    return true;
  }

  /** The cursor to resume from; waits for the handler that is running. */
  async cursor(): Promise<string | undefined> {
    await this.#draining;
    if (!this.#isLoaded) this.#cursor = await this.store.load();
    this.#isLoaded = true;
    return this.#cursor;
  }

  /** Begins a connection at the cursor from the answer to `identity`. */
  begin(cursor: string): void {
    this.#beginning = cursor;
    this.#isOpen = true;
    this.#run();
  }

  /** Ends a connection. The server pushes unhandled events again, from the last cursor on. */
  end(): void {
    this.#isOpen = false;
    this.#waiting.length = 0;
  }

  /** Forgets a cursor that the server refuses. */
  forget(): Promise<void> {
    return this.#save(undefined);
  }

  #run(): void {
    if (!this.#isOpen || this.#isRunning) return;
    this.#isRunning = true;
    this.#draining = this.#drain();
  }

  async #drain(): Promise<void> {
    if (this.#beginning !== undefined) await this.#save(this.#beginning);
    this.#beginning = undefined;
    for (let push = this.#waiting.shift(); push !== undefined; push = this.#waiting.shift()) {
      await this.handle(push);
      if (push.cursor !== undefined) await this.#save(push.cursor);
    }
    this.#isRunning = false;
  }

  async #save(cursor: string | undefined): Promise<void> {
    this.#cursor = cursor;
    try {
      await this.store.save(cursor);
    } catch (error) {
      // The connection goes on: after a restart, pushes are only repeated.
      this.report(error);
    }
  }
}
