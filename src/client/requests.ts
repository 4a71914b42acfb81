import type { Link } from './link.js';
import { type Backoff, backoffDelay } from './options.js';
import { type After, ClientError } from './types.js';

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
  /** The function that rejects each open request. */
  readonly #open = new Set<(error: ClientError) => void>();

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
    for (const cancel of [...this.#open]) cancel(error);
  }

  /** Calls `ask` with this connection and later ones, for at most `timeoutMs`. */
  async retryUntilAnswered<T>(ask: (link: Link) => Promise<T>, timeoutMs: number): Promise<T> {
    if (this.#ended) throw this.#ended;
    if (Number.isFinite(timeoutMs) && this.#open.size >= MAX_OPEN_REQUESTS)
      throw new ClientError({ code: 'too_many' });
    let cancel: (error: ClientError) => void = () => {};
    const canceled = new Promise<never>((_, reject) => {
      cancel = reject;
    });
    // It may be canceled between two waits.
    canceled.catch(() => {});
    this.#open.add(cancel);
    const timeout = (): void => cancel(new ClientError({ code: 'timeout' }));
    const stop = Number.isFinite(timeoutMs) ? this.timing.after(timeoutMs, timeout) : () => {};
    try {
      for (let failures = 0; ; failures++) {
        const link = this.#link ?? (await this.#nextLink(canceled));
        try {
          return await Promise.race([canceled, ask(link)]);
        } catch (error) {
          if (!(error instanceof ClientError) || !error.canRetry) throw error;
          // The client itself waits before it reconnects.
          if (error.code !== 'disconnected') await this.#pause(error, failures, canceled);
        }
      }
    } finally {
      stop();
      this.#open.delete(cancel);
    }
  }

  async #nextLink(canceled: Promise<never>): Promise<Link> {
    let go: (link: Link) => void = () => {};
    const next = new Promise<Link>((resolve) => {
      go = resolve;
    });
    this.#waitingForLink.add(go);
    try {
      return await Promise.race([canceled, next]);
    } finally {
      this.#waitingForLink.delete(go);
    }
  }

  /** Waits longer than the server asks for, so that the clients that it told so do not return all at once. */
  async #pause(error: ClientError, failures: number, canceled: Promise<never>): Promise<void> {
    const { after, random, backoff } = this.timing;
    const ms = (error.retryAfterMs ?? 0) + backoffDelay(failures, random(), backoff);
    let stop = (): void => {};
    const passed = new Promise<void>((resolve) => {
      stop = after(ms, resolve);
    });
    await Promise.race([canceled, passed]).finally(stop);
  }
}
