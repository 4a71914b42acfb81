import type { CursorStore, Message, Push } from './types.js';

/** Pushes waiting for their handlers; a client that falls behind further lets go and resumes. */
const MAX_WAITING = 10_000;

/**
 * Handles pushes one after the other and keeps the cursor: a push's cursor is stored only after its
 * handlers ran, so that a crash between the two repeats the push and never skips it.
 */
export class Inbox {
  readonly #waiting: Push[] = [];
  #beginning: string | undefined;
  #cursor: string | undefined;
  #loaded = false;
  #open = false;
  #running = false;
  #rest: Promise<void> = Promise.resolve();

  constructor(
    private readonly handle: (push: Push) => Promise<void>,
    private readonly store: CursorStore,
    private readonly report: (error: unknown) => void,
  ) {}

  /** False when too much waits: the connection must go, and come back from the last cursor. */
  add(push: Push): boolean {
    if (this.#waiting.length >= MAX_WAITING) return false;
    this.#waiting.push(push);
    this.#run();
    return true;
  }

  /** Where to resume from, once the handler that may still be running is done. */
  async cursor(): Promise<string | undefined> {
    await this.#rest;
    if (!this.#loaded) this.#cursor = await this.store.load();
    this.#loaded = true;
    return this.#cursor;
  }

  /** Begins a connection at the cursor that its `identity` was answered with. */
  begin(cursor: string): void {
    this.#beginning = cursor;
    this.#open = true;
    this.#run();
  }

  /** Ends a connection: what was not handled will be pushed again from the last cursor. */
  shut(): void {
    this.#open = false;
    this.#waiting.length = 0;
  }

  /** Forgets a cursor that the server refuses. */
  forget(): Promise<void> {
    return this.#save(undefined);
  }

  #run(): void {
    if (!this.#open || this.#running) return;
    this.#running = true;
    this.#rest = this.#drain();
  }

  async #drain(): Promise<void> {
    if (this.#beginning !== undefined) await this.#save(this.#beginning);
    this.#beginning = undefined;
    for (let push = this.#waiting.shift(); push !== undefined; push = this.#waiting.shift()) {
      await this.handle(push);
      if (push.cursor !== undefined) await this.#save(push.cursor);
    }
    this.#running = false;
  }

  async #save(cursor: string | undefined): Promise<void> {
    this.#cursor = cursor;
    try {
      await this.store.save(cursor);
    } catch (error) {
      // The connection can go on; a restart will only be told more than it needs.
      this.report(error);
    }
  }
}

/**
 * The messages of one room as a device knows them, in the order of `seq`, each once: answers, pushes
 * and fetched pages may come in any order and overlap.
 */
export class Timeline {
  readonly #bySeq = new Map<number, Message>();

  /** True when it was not known yet. */
  add(message: Message): boolean {
    const isNew = !this.#bySeq.has(message.seq);
    this.#bySeq.set(message.seq, message);
    return isNew;
  }

  get messages(): readonly Message[] {
    return [...this.#bySeq.values()].sort((a, b) => a.seq - b.seq);
  }
}
