import { ClientError } from '../clientErrors.js';
import { type Backoff, backoffDelay } from '../options.js';
import { Ending, until } from '../requests.js';
import type { Profile, Rest } from '../rest.js';
import type { After, Client, User } from '../types.js';
import { chats } from './applyPush.js';
import { friend } from './folds.js';
import { type Observable, oneAfterOther, oneForAll } from './observable.js';
import type { State } from './storeState.js';

interface Parts {
  readonly client: Pick<Client, 'request'>;
  readonly rest: Pick<Rest, 'user'>;
  readonly token: string;
  readonly store: Observable<State>;
  readonly after: After;
  readonly random: () => number;
  readonly backoff: Backoff;
  readonly onError: (error: unknown) => void;
}

/** Asks for what is not pushed: the chats and friends there were before, and who is there now. */
export class Lists {
  readonly #parts: Parts;
  readonly #ending = new Ending();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** The newest page of chats with their members' presence, and friends unless they are known; never rejects. */
  readonly refresh = oneAfterOther(async () => {
    const both = await Promise.allSettled([this.#newestChats(), this.#friends()]);
    for (const one of both) if (one.status === 'rejected') this.#failed(one.reason);
  });

  /** One more page of older chats. */
  readonly older = oneForAll(async () => {
    const { client, store } = this.#parts;
    const next = store.state.nextChats;
    if (next === undefined) return;
    const answer = await client.request('get active chats', { next });
    store.apply((state) => chats(state, answer, false));
  });

  close(): void {
    this.#ending.end(new ClientError({ code: 'closed' }));
  }

  async #newestChats(): Promise<void> {
    const { client, store } = this.#parts;
    const answer = await client.request('get active chats', {}, { timeoutMs: Infinity });
    store.apply((state) => chats(state, answer, true));
  }

  async #friends(): Promise<void> {
    const { store } = this.#parts;
    const { me, hasFriends } = store.state;
    if (hasFriends || me === undefined) return;
    const { friends = [] } = await this.#profile(me);
    store.apply((state) => ({ ...friends.reduce(friend, state), hasFriends: true }));
  }

  /** REST has no connection that comes back by itself: it is asked again as the client would. */
  async #profile({ userId }: User): Promise<Profile> {
    const { rest, token, random, backoff, after } = this.#parts;
    for (let failures = 0; ; failures++) {
      try {
        return await until<Profile>(this.#ending, (resolve, reject) => {
          rest.user(token, userId).then(resolve, reject);
          return () => {};
        });
      } catch (error) {
        if (!(error instanceof ClientError) || !error.again) throw error;
        const ms = (error.retryAfterMs ?? 0) + backoffDelay(failures, random(), backoff);
        await until<void>(this.#ending, (resolve) => after(ms, resolve));
      }
    }
  }

  /** Once the client has ended nothing more is expected; the connection's state says so. */
  #failed(error: unknown): void {
    const isOver =
      error instanceof ClientError && ['closed', 'signed_out', 'unauthenticated'].includes(error.code);
    if (!isOver) this.#parts.onError(error);
  }
}
