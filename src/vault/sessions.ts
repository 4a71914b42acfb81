import { createHash, randomBytes } from 'node:crypto';
import { ExpiringCache } from '../base/collections.js';
import type { Session, SessionStore } from './vault.js';
import type { SessionRow, VaultStore } from './vaultStore.js';

/** Between the beginnings of two looks. */
const POLL_MS = 500;
/** What is remembered is trusted for so long after the beginning of the last look that succeeded. */
const TRUST_CACHE_MS = 900;
/** Looks reach back so much further than to the last one: more than a write and a look can take together. */
const POLL_OVERLAP_MS = 15_000;
/** An end that was stored so long ago is known to every process, or it does not trust what it remembers. */
export const REVOCATION_DELAY_MS = 1000;

export interface RevocationPollerOptions {
  /** As `VaultStore.endedLately`. */
  readonly read: (lastMs: number) => Promise<readonly string[] | undefined>;
  readonly onEnded: (id: string) => void;
  /** A look failed; the next ones are tried all the same. Told of the first of several in a row. */
  readonly onError: (error: unknown) => void;
}

/**
 * Looks twice a second which sessions other processes have ended, so that nothing depends on being told. While that
 * fails nothing remembered is trusted.
 */
class RevocationPoller {
  readonly #options: RevocationPollerOptions;
  /** Nobody else ends sessions of this vault. */
  #isSoleProcess = false;
  /** All ends of before are known; at first nothing is remembered that could have ended. */
  #polledAt = performance.now();
  #isFailing = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: RevocationPollerOptions) {
    this.#options = options;
    void this.#poll();
  }

  /** Whether a session that is remembered as open has surely not ended more than `KNOWN_AFTER_MS` ago. */
  get isCacheTrusted(): boolean {
    return this.#isSoleProcess || performance.now() - this.#polledAt <= TRUST_CACHE_MS;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #poll(): Promise<void> {
    const began = performance.now();
    try {
      // Whatever held this process up since: it is told of every end in that time.
      const ids = await this.#options.read(began - this.#polledAt + POLL_OVERLAP_MS);
      this.#isSoleProcess = ids === undefined;
      for (const id of ids ?? []) this.#options.onEnded(id);
      this.#polledAt = began;
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing && !this.#closed) this.#options.onError(error);
      this.#isFailing = true;
    }
    if (this.#closed || this.#isSoleProcess) return;
    const passed = performance.now() - began;
    this.#timer = setTimeout(() => void this.#poll(), Math.max(0, POLL_MS - passed));
    this.#timer.unref();
  }
}

/** The token of `Authorization: Bearer <token>`; undefined for anything else. It is looked up by its hash, so no comparison leaks. */
export function parseBearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +([\w~+/.=-]{1,1024})$/i.exec(authorization ?? '')?.[1];
}

const CACHE_TTL_MS = 5_000;
const MAX_CACHED_SESSIONS = 20_000;
/** Longer than any read takes. */
const REVOKED_TTL_MS = 60_000;

/** 256 bits in base64url. */
const TOKEN_PATTERN = /^[\w-]{43}$/;
const idOf = (token: string) => createHash('sha256').update(token).digest('hex');
const sessionOf = ({ endedAt: _, ...session }: SessionRow): Session => session;

/** Sign-ins. A token is shown once, when it is made; the vault holds its SHA-256. */
export function createSessionStore(
  store: VaultStore,
  report: (message: string, error: unknown) => void = () => {},
): SessionStore & { close(): void } {
  const cache = new ExpiringCache<Session>({ ttlMs: CACHE_TTL_MS, maxEntries: MAX_CACHED_SESSIONS });
  const revoked = new ExpiringCache<string>({ ttlMs: REVOKED_TTL_MS, maxEntries: MAX_CACHED_SESSIONS });
  const handlers = new Set<(id: string) => void>();

  const poller = new RevocationPoller({
    read: (lastMs) => store.listRecentlyEnded(lastMs),
    onEnded: handleRevoked,
    onError: (error) => report('the ends of sessions cannot be looked for', error),
  });

  async function findOpen(id: string): Promise<Session | undefined> {
    const known = poller.isCacheTrusted ? cache.get(id) : undefined;
    if (known) return known;
    const asOf = performance.now();
    const row = await store.session(id);
    // The end may have come while the row was on its way.
    if (row === undefined || row.endedAt !== null || revoked.get(id)) return undefined;
    const session = sessionOf(row);
    cache.set(id, session, asOf);
    return session;
  }

  /** Every look finds those of the one before it too: each is told of once. */
  function handleRevoked(id: string): void {
    if (revoked.get(id) !== undefined) return;
    revoked.set(id, id);
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
      if (!TOKEN_PATTERN.test(token)) return undefined;
      const session = await findOpen(idOf(token));
      return session && now < new Date(session.expiresAt) ? session : undefined;
    },
    async revoke(id) {
      await store.endSession(id, new Date().toISOString());
      handleRevoked(id);
    },
    async revokeAll(userId, except) {
      const ids = await store.endSessions(userId, except ?? null, new Date().toISOString());
      for (const id of ids) handleRevoked(id);
      return ids;
    },
    async list(userId) {
      const rows = await store.sessions(userId);
      return rows.map((row) => ({
        ...sessionOf(row),
        ...(row.endedAt === null ? {} : { endedAt: row.endedAt }),
      }));
    },
    noteRevoked(ids) {
      for (const id of ids) handleRevoked(id);
    },
    onRevoked(handler) {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    close() {
      poller.close();
      cache.close();
      revoked.close();
    },
  };
}
