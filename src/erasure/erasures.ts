import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ParleyError, unknown } from '../errors.js';
import type { UserId } from '../events/ids.js';
import type { BegunErasure } from '../vault/vault.js';
import { type ErasureParts, eraseUser } from './erase.js';

/** Between two looks for erasures that were cut off. */
const LOOK_MS = 2_000;
/** What the caller waits for; it goes on without them. */
const ANSWER_MS = 20_000;

export interface ErasuresDeps extends ErasureParts {
  /** Whether this node is to finish what another has begun of this user. */
  readonly isOurs: (user: UserId) => boolean;
  /** An erasure of another node's that is listed for so long has been cut off. 0: there is no other node. */
  readonly patienceMs: number;
  readonly logger: Logger;
}

/** One that is under way here. */
interface Run {
  readonly done: Promise<void>;
  /** It is in the log. */
  isDecided: boolean;
}

/** Erases users, and finishes what a crash or an outage has cut off. */
export class Erasures {
  readonly #deps: ErasuresDeps;
  readonly #underWay = new Map<UserId, Run>();
  /** Those listed that are not under way here, and since when they have been seen; of `performance.now()`. */
  #seen = new Map<UserId, number>();
  readonly #stopping = new AbortController();

  constructor(deps: ErasuresDeps) {
    this.#deps = deps;
  }

  /** Looks for what was cut off, from now on, and for what a vault from a back-up has of those who were erased. */
  start(): void {
    this.#listAgain().catch((error: unknown) => this.#report(error));
    void this.#look();
  }

  /** Begins nothing more; what is under way ends where it is, and is finished by who comes next. */
  stop(): void {
    this.#stopping.abort();
  }

  /**
   * Erases the user, whose name this is. Resolves when all of it is done. Throws `overloaded` when nothing was done,
   * `unknown` when it may take effect yet: what is in the log is tried until it is done.
   */
  async erase(userId: UserId, username: string): Promise<void> {
    const { erasures } = this.#deps.vault;
    const run = this.#run(await erasures.begin(userId, username));
    const late = new AbortController();
    try {
      await Promise.race([run.done, tooLate(late.signal)]);
    } catch (error) {
      if (run.isDecided || !isRefusal(error)) throw unknown('the user will be erased', error);
      // Else it would be done by and by, and they were told that it was not.
      await erasures.end(userId);
      throw error;
    } finally {
      late.abort();
    }
  }

  /** One at a time of each user. */
  #run(erasure: BegunErasure): Run {
    const { userId } = erasure;
    const known = this.#underWay.get(userId);
    if (known) return known;
    const onDecided = () => {
      run.isDecided = true;
    };
    const done = eraseUser(erasure, this.#deps, onDecided, this.#stopping.signal).finally(() =>
      this.#underWay.delete(userId),
    );
    const run: Run = { done, isDecided: false };
    this.#underWay.set(userId, run);
    return run;
  }

  /** Whom the log has erased and the vault knows is erased again. */
  async #listAgain(): Promise<void> {
    const { queries, vault, logger } = this.#deps;
    for await (const names of queries.openedErased())
      for (const [userId, name] of names) {
        logger.info({ userId }, 'the vault knows somebody who has been erased: they are erased again');
        await vault.erasures.begin(userId, name);
      }
  }

  async #look(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#deps.vault.erasures
        .list()
        .then((listed) => this.#finish(listed))
        .catch((error: unknown) => this.#report(error));
      await pause(LOOK_MS, undefined, { signal }).catch(() => undefined); // It is ending.
    }
  }

  async #finish(listed: readonly BegunErasure[]): Promise<void> {
    const { isOurs, patienceMs } = this.#deps;
    const now = performance.now();
    const others = listed.filter(({ userId }) => !this.#underWay.has(userId));
    this.#seen = new Map(others.map(({ userId }) => [userId, this.#seen.get(userId) ?? now]));
    for (const erasure of others) {
      const { userId } = erasure;
      if (this.#stopping.signal.aborted) return;
      if (isOurs(userId) && now - (this.#seen.get(userId) ?? now) >= patienceMs)
        await this.#run(erasure).done.catch((error: unknown) => this.#report(error));
    }
  }

  #report(err: unknown): void {
    if (!this.#stopping.signal.aborted)
      this.#deps.logger.warn({ err }, 'an erasure that was cut off cannot be finished yet; trying again');
  }
}

/** With these the first step was refused, so that nothing was done. */
const isRefusal = (error: unknown): boolean =>
  error instanceof ParleyError && error.code !== 'unknown' && error.code !== 'internal';

async function tooLate(signal: AbortSignal): Promise<never> {
  await pause(ANSWER_MS, undefined, { signal });
  throw new Error('the erasure takes its time');
}
