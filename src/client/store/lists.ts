import { ClientError } from '../clientErrors.js';
import { backoffDelay } from '../options.js';
import { Cancellation, type RetryTiming, waitUnlessCanceled } from '../requests.js';
import type { Profile } from '../rest.js';
import type { Client, User } from '../types.js';
import { applyFriend } from './folds.js';
import { applyChatPage } from './liveFolds.js';
import { type Observable, rerunIfCalled, singleFlight } from './observable.js';
import type { State } from './storeState.js';

interface ListParts {
  readonly client: Pick<Client, 'request'>;
  readonly store: Observable<State>;
  /** Fetches a user with their friends. */
  readonly fetchProfile: (userId: string) => Promise<Profile>;
  readonly timing: RetryTiming;
  readonly onError: (error: unknown) => void;
}

/** Fetches what is not pushed: earlier chats, friends, and presence. */
export class Lists {
  readonly #parts: ListParts;
  readonly #cancellation = new Cancellation();

  constructor(parts: ListParts) {
    this.#parts = parts;
  }

  /** Fetches the newest page of chats with presence, and friends once. Never rejects. */
  readonly refresh = rerunIfCalled(async () => {
    const both = await Promise.allSettled([this.#fetchNewestChats(), this.#fetchFriends()]);
    for (const one of both) if (one.status === 'rejected') this.#report(one.reason);
  });

  /** Fetches one more page of older chats. */
  readonly fetchOlder = singleFlight(async () => {
    const { client, store } = this.#parts;
    const next = store.state.nextChats;
    if (next === undefined) return;
    const answer = await client.request('get active chats', { next });
    store.apply((state) => applyChatPage(state, answer, false));
  });

  close(): void {
    this.#cancellation.cancel(new ClientError({ code: 'closed' }));
  }

  async #fetchNewestChats(): Promise<void> {
    const { client, store } = this.#parts;
    const answer = await client.request('get active chats', {}, { timeoutMs: Infinity });
    store.apply((state) => applyChatPage(state, answer, true));
  }

  async #fetchFriends(): Promise<void> {
    const { store } = this.#parts;
    const { me, hasFriends } = store.state;
    if (hasFriends || me === undefined) return;
    const { friends = [] } = await this.#fetchProfile(me);
    store.apply((state) => ({ ...friends.reduce(applyFriend, state), hasFriends: true }));
  }

  /** Retries as the client does on the socket, as REST has no retries of its own. */
  async #fetchProfile({ userId }: User): Promise<Profile> {
    const { fetchProfile, timing } = this.#parts;
    const { after, random, backoff } = timing;
    for (let failures = 0; ; failures++) {
      try {
        return await waitUnlessCanceled<Profile>(this.#cancellation, (resolve, reject) => {
          fetchProfile(userId).then(resolve, reject);
          return () => {};
        });
      } catch (error) {
        if (!(error instanceof ClientError) || !error.canRetry) throw error;
        const ms = (error.retryAfterMs ?? 0) + backoffDelay(failures, random(), backoff);
        await waitUnlessCanceled<void>(this.#cancellation, (resolve) => after(ms, resolve));
      }
    }
  }

  /** After the end of the client its errors are expected, and not reported. */
  #report(error: unknown): void {
    const isOver =
      error instanceof ClientError && ['closed', 'signed_out', 'unauthenticated'].includes(error.code);
    if (!isOver) this.#parts.onError(error);
  }
}
