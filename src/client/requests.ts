import type { Link } from './link.js';
import { type Backoff, backoffDelay } from './options.js';
import { type After, ClientError } from './types.js';

/** An `AbortController` with a reason, which the one of React Native does not have. */
export class Cancellation {
  #why: { readonly error: Error } | undefined;
  readonly #listeners = new Set<(error: Error) => void>();

  /** Only the first call counts. */
  cancel(error: Error): void {
    if (this.#why) return;
    this.#why = { error };
    for (const listener of [...this.#listeners]) listener(error);
    this.#listeners.clear();
  }

  /** Calls `listener` on cancellation, at once if that was before. Returns the function that unsubscribes. */
  on(listener: (error: Error) => void): () => void {
    if (this.#why) listener(this.#why.error);
    else this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** Waits until resolved, rejected or canceled. `start` begins the wait and returns its clean-up, which always runs. */
async function waitUnlessCanceled<T>(
  cancellation: Cancellation,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => () => void,
): Promise<T> {
  const cleanUp: (() => void)[] = [];
  try {
    return await new Promise<T>((resolve, reject) => {
      let isOver = false;
      cleanUp.push(
        cancellation.on((error) => {
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

const MAX_OPEN_REQUESTS = 1000;

export interface RetryTiming {
  readonly after: After;
  readonly random: () => number;
  readonly backoff: Backoff;
}

/** Requests that outlive connections: repeated until they are answered, refused, or out of time. */
export class Requests {
  #link: Link | undefined;
  #ended: ClientError | undefined;
  readonly #waitingForLink = new Set<(link: Link) => void>();
  readonly #open = new Set<Cancellation>();

  constructor(private readonly timing: RetryTiming) {}

  /** Sets the connection to use; `undefined`: requests wait for the next. */
  use(link: Link | undefined): void {
    this.#link = link;
    if (link) for (const go of [...this.#waitingForLink]) go(link);
  }

  /** Rejects all requests, present and future. */
  end(error: ClientError): void {
    this.#ended = error;
    this.#link = undefined;
    for (const request of [...this.#open]) request.cancel(error);
  }

  /** Calls `ask` with this connection and later ones, for at most `timeoutMs`. */
  async retryUntilAnswered<T>(ask: (link: Link) => Promise<T>, timeoutMs: number): Promise<T> {
    if (this.#ended) throw this.#ended;
    if (Number.isFinite(timeoutMs) && this.#open.size >= MAX_OPEN_REQUESTS)
      throw new ClientError({ code: 'too_many' });
    const request = new Cancellation();
    this.#open.add(request);
    const timeout = (): void => request.cancel(new ClientError({ code: 'timeout' }));
    const cancel = Number.isFinite(timeoutMs) ? this.timing.after(timeoutMs, timeout) : () => {};
    try {
      for (let failures = 0; ; failures++) {
        const link = this.#link ?? (await this.#nextLink(request));
        try {
          return await waitUnlessCanceled<T>(request, (resolve, reject) => {
            ask(link).then(resolve, reject);
            return () => {};
          });
        } catch (error) {
          if (!(error instanceof ClientError) || !error.canRetry) throw error;
          // The client itself waits before it reconnects.
          if (error.code !== 'disconnected') await this.#pause(error, failures, request);
        }
      }
    } finally {
      cancel();
      this.#open.delete(request);
    }
  }

  #nextLink(cancellation: Cancellation): Promise<Link> {
    return waitUnlessCanceled(cancellation, (resolve) => {
      this.#waitingForLink.add(resolve);
      return () => this.#waitingForLink.delete(resolve);
    });
  }

  /** Waits longer than the server asks for, so that the clients that it told so do not return all at once. */
  #pause(error: ClientError, failures: number, cancellation: Cancellation): Promise<void> {
    const { after, random, backoff } = this.timing;
    const ms = (error.retryAfterMs ?? 0) + backoffDelay(failures, random(), backoff);
    return waitUnlessCanceled(cancellation, (resolve) => after(ms, resolve));
  }
}
