import { createHash, randomBytes } from 'node:crypto';
import { Ends } from './ends.js';
import { Expiring } from './expiring.js';
import type { SessionRow, VaultStore } from './store.js';
import type { Session, SessionStore } from './vault.js';

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
