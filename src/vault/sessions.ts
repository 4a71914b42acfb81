import { createHash, randomBytes } from 'node:crypto';
import { Expiring } from '../base/collections.js';
import type { Session, SessionStore } from './vault.js';
import type { SessionRow, VaultStore } from './vaultStore.js';

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
class Ends {
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

/** The token of `Authorization: Bearer <token>`; undefined for anything else. It is looked up by its hash, so no comparison leaks. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +([\w~+/.=-]{1,1024})$/i.exec(authorization ?? '')?.[1];
}

const CACHED_MS = 5_000;
const MAX_CACHED = 20_000;
/** Longer than any read takes. */
const ENDS_KEPT_MS = 60_000;

/** 256 bits in base64url. */
const TOKEN = /^[\w-]{43}$/;
const idOf = (token: string) => createHash('sha256').update(token).digest('hex');
const sessionOf = ({ endedAt: _, ...session }: SessionRow): Session => session;

/** Sign-ins. A token is shown once, when it is made; the vault holds its SHA-256. */
export function sessionStore(
  store: VaultStore,
  report: (message: string, error: unknown) => void = () => {},
): SessionStore & { close(): void } {
  const cache = new Expiring<Session>({ ttlMs: CACHED_MS, maxEntries: MAX_CACHED });
  const ended = new Expiring<string>({ ttlMs: ENDS_KEPT_MS, maxEntries: MAX_CACHED });
  const handlers = new Set<(id: string) => void>();

  const ends = new Ends({
    read: (lastMs) => store.endedLately(lastMs),
    onEnded: hasEnded,
    onTrouble: (error) => report('the ends of sessions cannot be looked for', error),
  });

  async function live(id: string): Promise<Session | undefined> {
    const known = ends.isFresh ? cache.get(id) : undefined;
    if (known) return known;
    const asOf = performance.now();
    const row = await store.session(id);
    // The end may have come while the row was on its way.
    if (row === undefined || row.endedAt !== null || ended.get(id)) return undefined;
    const session = sessionOf(row);
    cache.set(id, session, asOf);
    return session;
  }

  /** Every look finds those of the one before it too: each is told of once. */
  function hasEnded(id: string): void {
    if (ended.get(id) !== undefined) return;
    ended.set(id, id);
    cache.delete(id);
    for (const handler of handlers) handler(id);
  }

  return {
    async create(userId, now, ttlMs) {
      const token = randomBytes(32).toString('base64url');
      const session: Session = {
        userId,
        id: idOf(token),
        createdAt: now.toISOString(),
        expiresAt: new Date(now.getTime() + ttlMs).toISOString(),
      };
      await store.insertSession({ ...session, endedAt: null });
      return { token, session };
    },
    async find(token, now) {
      if (!TOKEN.test(token)) return undefined;
      const session = await live(idOf(token));
      return session && now < new Date(session.expiresAt) ? session : undefined;
    },
    async end(id) {
      await store.endSession(id, new Date().toISOString());
      hasEnded(id);
    },
    async endAll(userId, except) {
      const ids = await store.endSessions(userId, except ?? null, new Date().toISOString());
      for (const id of ids) hasEnded(id);
      return ids;
    },
    async list(userId) {
      const rows = await store.sessions(userId);
      return rows.map((row) => ({
        ...sessionOf(row),
        ...(row.endedAt === null ? {} : { endedAt: row.endedAt }),
      }));
    },
    hear(ids) {
      for (const id of ids) hasEnded(id);
    },
    onEnd(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    close() {
      ends.close();
      cache.close();
      ended.close();
    },
  };
}
