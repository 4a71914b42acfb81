import { ClientError } from './clientErrors.js';
import type { Link } from './link.js';
import { type Backoff, backoffDelay } from './options.js';
import type { After } from './types.js';

/**
 * Says once that something is over, and why. An `AbortController` would do, but the one of React
 * Native knows no reason.
 */
export class Ending {
  #why: { readonly error: Error } | undefined;
  readonly #listeners = new Set<(error: Error) => void>();

  /** Ends it; the first reason stays. */
  end(error: Error): void {
    if (this.#why) return;
    this.#why = { error };
    for (const listener of [...this.#listeners]) listener(error);
    this.#listeners.clear();
  }

  /** Calls `listener` when it ends, at once if it has; what it returns stops that. */
  on(listener: (error: Error) => void): () => void {
    if (this.#why) listener(this.#why.error);
    else this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A wait that `ending` may cut short; `start` begins it and returns what undoes it, called in any case. */
export async function until<T>(
  ending: Ending,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
): Promise<T> {
  const cleanUp: (() => void)[] = [];
  try {
    return await new Promise<T>((resolve, reject) => {
      let isOver = false;
      cleanUp.push(
        ending.on((error) => {
          isOver = true;
          reject(error);
        }),
      );
      if (!isOver) cleanUp.push(start(resolve, reject));
    });
  } finally {
    for (const undo of cleanUp) undo();
  }
}

const MAX_OPEN = 1000;

interface Timing {
  readonly after: After;
  readonly random: () => number;
  readonly backoff: Backoff;
}

/** Requests that outlive connections: tried until they are answered, refused, or out of time. */
export class Requests {
  #link: Link | undefined;
  #ended: ClientError | undefined;
  readonly #waitingForLink = new Set<(link: Link) => void>();
  readonly #open = new Set<Ending>();

  constructor(private readonly timing: Timing) {}

  /** The connection to use from now on; `undefined`: wait for the next. */
  use(link: Link | undefined): void {
    this.#link = link;
    if (link) for (const go of [...this.#waitingForLink]) go(link);
  }

  /** Rejects all that wait, and all that come. */
  end(error: ClientError): void {
    this.#ended = error;
    this.#link = undefined;
    for (const request of [...this.#open]) request.end(error);
  }

  /** Tries `ask` on this connection and later ones, for at most `timeoutMs`. */
  async untilAnswered<T>(ask: (link: Link) => Promise<T>, timeoutMs: number): Promise<T> {
    if (this.#ended) throw this.#ended;
    if (Number.isFinite(timeoutMs) && this.#open.size >= MAX_OPEN)
      throw new ClientError({ code: 'too_many' });
    const request = new Ending();
    this.#open.add(request);
    const timeout = (): void => request.end(new ClientError({ code: 'timeout' }));
    const cancel = Number.isFinite(timeoutMs) ? this.timing.after(timeoutMs, timeout) : () => {};
    try {
      for (let failures = 0; ; failures++) {
        const link = this.#link ?? (await this.#nextLink(request));
        try {
          return await until<T>(request, (resolve, reject) => {
            ask(link).then(resolve, reject);
            return () => {};
          });
        } catch (error) {
          if (!(error instanceof ClientError) || !error.again) throw error;
          // A lost connection has a back-off of its own.
          if (error.code !== 'disconnected') await this.#pause(error, failures, request);
        }
      }
    } finally {
      cancel();
      this.#open.delete(request);
    }
  }

  #nextLink(ending: Ending): Promise<Link> {
    return until(ending, (resolve) => {
      this.#waitingForLink.add(resolve);
      return () => this.#waitingForLink.delete(resolve);
    });
  }

  /** What the server asks for is the least we wait: all that it told so would come back in step. */
  #pause(error: ClientError, failures: number, ending: Ending): Promise<void> {
    const { after, random, backoff } = this.timing;
    const ms = (error.retryAfterMs ?? 0) + backoffDelay(failures, random(), backoff);
    return until(ending, (resolve) => after(ms, resolve));
  }
}
