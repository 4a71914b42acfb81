import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import { forbidden, ParleyError, unauthenticated } from '../base/errors.js';
import { networkOf } from '../base/origins.js';
import { type AttemptLimit, PasswordPlaces } from '../base/rateLimits.js';
import type { Moment } from '../domain/commands.js';
import { streamOf, type UserId } from '../domain/ids.js';
import { hasRole } from '../domain/roles.js';
import type { Role } from '../domain/streams.js';
import type { User } from '../domain/userMessageChat.js';
import type { Standing } from '../host/issuerSessions.js';
import { type EventLog, partitionOf } from '../log/log.js';
import type { Queries } from '../projections/queries.js';
import type { Progress } from '../projections/queryWaits.js';
import { parseBearerToken } from '../vault/sessionStore.js';
import type { Session, SessionStore } from '../vault/vault.js';
import { HttpError, STORE_DOWN } from './problems.js';

export type Handler = (ctx: RouterContext) => Promise<void> | void;

/** The methods of one path. */
export type Methods = Partial<Record<'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', Handler>>;

/**
 * Serves a path. `HEAD` is answered as `GET`, `OPTIONS` with the methods, any other with 405 and `Allow`. The first
 * resource that matches a path gets it: serve literal paths before those with parameters.
 */
export function serveResource(router: Router, path: string, methods: Methods): void {
  const allow = [...Object.keys(methods), ...(methods.GET ? ['HEAD'] : []), 'OPTIONS'].sort().join(', ');
  const handlerOf = (method: string): Handler | undefined =>
    methods[(method === 'HEAD' ? 'GET' : method) as keyof Methods]; // Undefined for any other key.
  router.all(path, async (ctx) => {
    const handler = handlerOf(ctx.method);
    if (handler) return handler(ctx);
    if (ctx.method !== 'OPTIONS')
      throw new HttpError(405, `${ctx.method} is not allowed here, only ${allow}`, { Allow: allow });
    ctx.set('Allow', allow);
    ctx.status = 204;
  });
}

/** Makes a handler that runs only with a session, and is given it; else `unauthenticated`. */
export type RequireSession = (handler: (ctx: RouterContext, session: Session) => Promise<void>) => Handler;

export interface SessionParts {
  readonly sessions: SessionStore;
  /** Takes one of the requests that the user may make; returns why not. Requests that only read are not counted. */
  readonly checkRequest: (user: UserId) => ParleyError | undefined;
}

export const requireSession =
  ({ sessions, checkRequest }: SessionParts): RequireSession =>
  (handler) =>
  async (ctx) => {
    const token = parseBearerToken(ctx.get('Authorization'));
    const session = token === undefined ? undefined : await sessions.find(token, new Date());
    if (!session) throw unauthenticated('sign in and send the token as Authorization: Bearer');
    ctx.state.user = session.userId;
    const isReading = ctx.method === 'GET' || ctx.method === 'HEAD';
    const refusal = isReading ? undefined : checkRequest(session.userId);
    if (!refusal) return handler(ctx, session);
    ctx.state.isTooSoon = true;
    throw refusal;
  };

/** The user that the path names, who must be the one that asks. Throws `forbidden`, also where the path names nobody. */
export function requireSelf(ctx: RouterContext, { userId }: Session, refusal: string): UserId {
  if (ctx.params.userId?.toLowerCase() !== userId) throw forbidden(refusal);
  return userId;
}

/** Returns whether a user may do what a role permits, by everything in the log at the time of the call. */
export type RoleCheck = (userId: UserId, role: Role) => Promise<boolean>;

/** The log and the read models that say what a user is now. */
export interface PresentSource {
  readonly log: Pick<EventLog, 'partitions' | 'tail'>;
  readonly queries: Pick<Queries, 'roles' | 'self'>;
  readonly progress: Pick<Progress, 'folded'>;
}

/** Asks for something of a user by everything in the log at the time of the call. */
async function askAtPresent<T>(
  { log, progress }: PresentSource,
  userId: UserId,
  ask: (at: readonly Moment[]) => Promise<T>,
): Promise<T> {
  const partition = partitionOf(streamOf('user', userId), log.partitions);
  const folded = progress.folded(partition);
  // Read together: the model has nearly always folded everything that is in the log.
  const [tail, now] = await Promise.all([log.tail(partition), ask([])]);
  const size = tail?.size ?? 0;
  return size <= folded ? now : ask([{ partition, size }]);
}

export function roleCheck(source: PresentSource): RoleCheck {
  return async (userId, role) => {
    const roles = await askAtPresent(source, userId, (at) => source.queries.roles([userId], at));
    return hasRole(roles.get(userId) ?? [], role);
  };
}

/** Finds a user with what only their own devices are shown, as `roleCheck` checks a role. */
export type FindPresent = (userId: UserId) => Promise<User | undefined>;

export const presentUser =
  (source: PresentSource): FindPresent =>
  (userId) =>
    askAtPresent(source, userId, (at) => source.queries.self(userId, at));

/** What a user may do at present. An unknown one is as good as erased. */
export async function standingOf(find: FindPresent, userId: UserId): Promise<Standing> {
  const user = await find(userId);
  if (!user || user.erased) return 'erased';
  return user.suspended ? 'suspended' : 'good';
}

export interface RoleParts extends SessionParts {
  readonly hasRole: RoleCheck;
}

/** Makes a handler that only users with this role reach; others get `forbidden`. */
export const requireRole = (parts: RoleParts, role: Role): RequireSession => {
  const signedIn = requireSession(parts);
  return (handler) =>
    signedIn(async (ctx, session) => {
      if (!(await parts.hasRole(session.userId, role)))
        throw forbidden(`this needs the role ${role}, which an operator can give to you`);
      return handler(ctx, session);
    });
};

export interface PasswordLimits {
  /** Undefined with `AUTH_RATE_LIMIT=off`: no limit at all, as benchmarks need. */
  readonly attemptLimit: AttemptLimit | undefined;
  /** The number of proxies in front that set `X-Forwarded-For`. */
  readonly trustedProxies: number;
}

/**
 * Runs the work of one request that checks or sets a password, as a place and an attempt of this user. Throws
 * `rate_limited` when there is none. `claim`: see `CredentialStore.idOf`.
 */
export type PasswordTurn = <T>(claim: string, work: () => Promise<T>) => Promise<T>;

/** Limits the requests that check a password, by address and by user: how many there are, and how many at once. */
export class PasswordGuard {
  readonly #limits: PasswordLimits;
  readonly #places = new PasswordPlaces();

  constructor(limits: PasswordLimits) {
    this.#limits = limits;
  }

  /**
   * Takes an attempt of the request's address: call it before the body is read. Throws `rate_limited` when there is
   * none, and `overloaded` when the limit cannot be read.
   */
  async admit({ req }: RouterContext): Promise<PasswordTurn> {
    const { attemptLimit, trustedProxies } = this.#limits;
    if (!attemptLimit) return (_, work) => work();
    const address = networkOf(req, trustedProxies);
    await takeAttempt(attemptLimit, address, 'too many passwords come from this address');
    return async (claim, work) => {
      const leave = this.#places.take(claim, address);
      if (!leave)
        throw rateLimited('a password of this user, or four of this address, are being checked', 1000);
      try {
        await takeAttempt(attemptLimit, claim, 'too many passwords are tried for this user');
        return await work();
      } finally {
        leave();
      }
    };
  }
}

async function takeAttempt(limit: AttemptLimit, key: string, refusal: string): Promise<void> {
  const retryAfterMs = await limit.take(key).catch((cause: unknown) => {
    // Nothing has been done yet, so that this is not `unknown`.
    throw new ParleyError('overloaded', STORE_DOWN, { retryAfterMs: 1000 }, { cause });
  });
  if (retryAfterMs > 0) throw rateLimited(refusal, retryAfterMs);
}

const rateLimited = (message: string, retryAfterMs: number) =>
  new ParleyError('rate_limited', message, { retryAfterMs });

/**
 * The issuer's refresh token, in a cookie that no script can read: a page that is attacked does not lose it. It goes to
 * `/oidc` alone.
 */
const RENEWAL_COOKIE = 'parley_renewal';
const RENEWAL_ATTRIBUTES = 'Path=/oidc; HttpOnly; Secure; SameSite=Strict';
const RENEWAL_SECONDS = 30 * 24 * 60 * 60;
/** Browsers take a cookie of 4 KiB, with its name and attributes. */
const RENEWAL_CHARACTERS = 3500;

/** Keeps the token that renews the session of this browser; without one, none is kept. */
export function keepRenewal(ctx: RouterContext, token: string | undefined): void {
  const value = encodeURIComponent(token ?? '');
  const isKept = value !== '' && value.length <= RENEWAL_CHARACTERS;
  const cookie = isKept ? `${value}; Max-Age=${RENEWAL_SECONDS}` : '; Max-Age=0';
  ctx.append('Set-Cookie', `${RENEWAL_COOKIE}=${cookie}; ${RENEWAL_ATTRIBUTES}`);
}

/** The token that renews the session of this browser. */
export function renewalOf(ctx: RouterContext): string | undefined {
  const value = ctx.cookies.get(RENEWAL_COOKIE);
  try {
    return value === undefined || value === '' ? undefined : decodeURIComponent(value);
  } catch {
    return undefined; // It is not one of `keepRenewal`.
  }
}
