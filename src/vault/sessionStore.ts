import { createHash, randomBytes } from 'node:crypto';
import { ExpiringCache } from '../base/collections.js';
import type { UserId } from '../domain/ids.js';
import type { RevocationCause, Session, SessionStore } from './vault.js';
import type { SessionRow, VaultStore } from './vaultStore.js';

/** From the start of one poll to the start of the next. */
const POLL_MS = 500;
/** A revocation reaches every node within this time, because a node that cannot poll stops using its cache. */
export const REVOCATION_DELAY_MS = 1000;
/** The cache is used for this long after the start of the last successful poll. */
const TRUST_CACHE_MS = REVOCATION_DELAY_MS - 100;
/** Each poll overlaps the one before: longer than a write and a poll can take together. */
const POLL_OVERLAP_MS = 15_000;

interface RevocationPollerOptions {
  /** See `VaultStore.listRecentlyEnded`. */
  readonly read: (lastMs: number) => Promise<readonly string[] | undefined>;
  readonly onEnded: (id: string) => void;
  /** Called for the first of consecutive failed polls. Polling continues. */
  readonly onError: (error: unknown) => void;
}

/**
 * Polls the vault every 500 ms for sessions that other processes have ended. So a revocation arrives even if its
 * notification is lost. While polls fail, the session cache must not be used.
 */
class RevocationPoller {
  readonly #options: RevocationPollerOptions;
  /** True when no other process uses this vault. */
  #isSoleProcess = false;
  /** Every earlier end is known. Starts at now: a new cache holds no session that could have ended. */
  #polledAt = performance.now();
  #isFailing = false;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: RevocationPollerOptions) {
    this.#options = options;
    void this.#poll();
  }

  /** Returns true if no cached session can have ended more than `REVOCATION_DELAY_MS` ago. */
  get isCacheTrusted(): boolean {
    return this.#isSoleProcess || performance.now() - this.#polledAt <= TRUST_CACHE_MS;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #poll(): Promise<void> {
    const began = performance.now();
    try {
      // Covers the time since the last success, so that a paused process misses no end.
      const ids = await this.#options.read(began - this.#polledAt + POLL_OVERLAP_MS);
      this.#isSoleProcess = ids === undefined;
      for (const id of ids ?? []) this.#options.onEnded(id);
      this.#polledAt = began;
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing && !this.#isClosed) this.#options.onError(error);
      this.#isFailing = true;
    }
    if (this.#isClosed || this.#isSoleProcess) return;
    const passed = performance.now() - began;
    this.#timer = setTimeout(() => void this.#poll(), Math.max(0, POLL_MS - passed));
    this.#timer.unref();
  }
}

/** Returns the token of `Authorization: Bearer <token>`, undefined for any other header. */
export function parseBearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +([\w~+/.=-]{1,8192})$/i.exec(authorization ?? '')?.[1];
}

const CACHE_TTL_MS = 5_000;
const MAX_CACHED_SESSIONS = 20_000;
/** Longer than any read takes, so that a slow read cannot bring an ended session back. */
const REVOKED_TTL_MS = 60_000;

/** 256 bits in base64url. */
const TOKEN_PATTERN = /^[\w-]{43}$/;
// Looking a token up by its hash leaves no comparison whose duration could leak it.
const idOf = (token: string) => createHash('sha256').update(token).digest('hex');
const sessionOf = ({ endedAt: _, issued: __, ...session }: SessionRow): Session => session;

/** Sign-in sessions over the vault's rows. A token is returned once, at creation. The vault holds its SHA-256. */
export function createSessionStore(
  store: VaultStore,
  report: (message: string, error: unknown) => void = () => {},
): SessionStore & { close(): void } {
  const cache = new ExpiringCache<Session>({ ttlMs: CACHE_TTL_MS, maxEntries: MAX_CACHED_SESSIONS });
  const revoked = new ExpiringCache<string>({ ttlMs: REVOKED_TTL_MS, maxEntries: MAX_CACHED_SESSIONS });
  const handlers = new Set<Parameters<SessionStore['onRevoked']>[0]>();
  const poller = new RevocationPoller({
    read: (lastMs) => store.listRecentlyEnded(lastMs),
    onEnded: (id) => handleRevoked(id),
    onError: (error) =>
      report('cannot read revoked sessions; the session cache is off until that works', error),
  });

  async function findOpen(id: string): Promise<Session | undefined> {
    const cached = poller.isCacheTrusted ? cache.get(id) : undefined;
    if (cached) return cached;
    const asOf = performance.now();
    const row = await store.findSession(id);
    // The session may have been revoked while its row was being read.
    if (row === undefined || row.endedAt !== null || revoked.get(id)) return undefined;
    const session = sessionOf(row);
    cache.set(id, session, asOf);
    return session;
  }

  /** Calls the handlers once for each id, although overlapping polls return an id several times. */
  function handleRevoked(id: string, why?: RevocationCause): void {
    if (revoked.get(id) !== undefined) return;
    revoked.set(id, id);
    cache.delete(id);
    for (const handler of handlers) handler(id, why);
  }

  async function revokeEach(ended: Promise<string[]>, why?: RevocationCause): Promise<string[]> {
    const ids = await ended;
    for (const id of ids) handleRevoked(id, why);
    return ids;
  }

  return {
    async create(userId, now, ttlMs) {
      const created = createSession(userId, now, ttlMs);
      await store.insertSession({ ...created.session, endedAt: null, issued: null });
      return created;
    },
    async find(token, now) {
      if (!TOKEN_PATTERN.test(token)) return undefined;
      const session = await findOpen(idOf(token));
      return session && now < new Date(session.expiresAt) ? session : undefined;
    },
    async findById(id, now) {
      const row = await store.findSession(id);
      if (row === undefined || row.endedAt !== null || revoked.get(id)) return undefined;
      return now < new Date(row.expiresAt) ? sessionOf(row) : undefined;
    },
    async revoke(id) {
      await store.endSession(id, new Date().toISOString());
      handleRevoked(id);
    },
    ...issuedSessions(store, { findOpen, isRevoked: (id) => revoked.get(id) !== undefined, revokeEach }),
    revokeAll: (userId, except, why) =>
      revokeEach(store.endSessions(userId, except ?? null, new Date().toISOString()), why),
    list: async (userId) => (await store.listSessions(userId)).map(listedSessionOf),
    noteRevoked(ids, why) {
      for (const id of ids) handleRevoked(id, why);
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

interface OpenSessions {
  findOpen(id: string): Promise<Session | undefined>;
  isRevoked(id: string): boolean;
  /** Tells of sessions that have ended in the store. */
  revokeEach(ended: Promise<string[]>): Promise<string[]>;
}

/** The sessions of an issuer's tokens: rows beside the others. */
function issuedSessions(
  store: VaultStore,
  { findOpen, isRevoked, revokeEach }: OpenSessions,
): Pick<SessionStore, 'findIssued' | 'createIssued'> & Pick<SessionStore, 'revokeIssued'> {
  return {
    async findIssued(token, now) {
      const id = idOf(token);
      const open = await findOpen(id);
      if (open) return now < new Date(open.expiresAt) ? open : 'ended';
      return isRevoked(id) || (await store.findSession(id)) ? 'ended' : undefined;
    },
    async createIssued(token, { sid, ...session }) {
      const created = { ...session, id: idOf(token) };
      const issued = sid === undefined ? '' : idOf(sid);
      const isNew = await store.insertSession({ ...created, endedAt: null, issued });
      return isNew ? created : findOpen(created.id);
    },
    revokeIssued(of) {
      const at = new Date().toISOString();
      const isOfUser = 'userId' in of;
      return revokeEach(
        isOfUser
          ? store.endIssuedTo(of.userId, of.upTo.toISOString(), at)
          : store.endIssuedAs(idOf(of.sid), at),
      );
    },
  };
}

function createSession(userId: UserId, now: Date, ttlMs: number): { token: string; session: Session } {
  const token = randomBytes(32).toString('base64url');
  const expiresAt = new Date(now.getTime() + ttlMs).toISOString();
  return { token, session: { userId, id: idOf(token), createdAt: now.toISOString(), expiresAt } };
}

const listedSessionOf = (row: SessionRow) => ({
  ...sessionOf(row),
  ...(row.endedAt === null ? {} : { endedAt: row.endedAt }),
});
