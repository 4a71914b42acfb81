import { createHash } from 'node:crypto';
import { forbidden } from '../base/errors.js';
import type { BoundedLog } from '../base/rateLimits.js';
import { label } from '../domain/fields.js';
import type { UserId } from '../domain/ids.js';
import { PROFILE_CODE_POINTS } from '../domain/limits.js';
import type { HostLinkStore } from '../vault/hostLinks.js';
import type { Session, SessionStore } from '../vault/vault.js';
import type { HostUsers } from './hostUsers.js';
import { type Issuer, isJwt, type LogoutClaims, type TokenClaims } from './issuer.js';

/** What a user may do at present. */
export type Standing = 'good' | 'suspended' | 'erased';

export interface IssuerSessionParts {
  readonly issuer: Pick<Issuer, 'verify' | 'verifyLogout'>;
  readonly sessions: SessionStore;
  readonly links: Pick<HostLinkStore, 'refuseUntil' | 'refuseSession'> & Pick<HostLinkStore, 'isRefused'>;
  readonly users: Pick<HostUsers, 'ensure' | 'find'>;
  readonly rules: {
    readonly lifetimeMs: number;
    /** By everything in the log now. */
    readonly standingOf: (userId: UserId) => Promise<Standing>;
    readonly lines: Pick<BoundedLog, 'write'>;
  };
}

const RENAMED = 'preferred_username is taken or no user name: the new user has a generated name';
const DisplayName = label(PROFILE_CODE_POINTS.displayName);

/**
 * Sessions of the issuer's tokens. A verified token gets a row in the vault, so that it is verified once, and ends as
 * any other session does. The row of an ended session stays until the token has expired.
 */
export class IssuerSessions {
  readonly #parts: IssuerSessionParts;
  /** Tokens that are being verified. */
  readonly #pending = new Map<string, Promise<Session | undefined>>();

  constructor(parts: IssuerSessionParts) {
    this.#parts = parts;
  }

  /** The vault's sessions, with those of the issuer's tokens. */
  get store(): SessionStore {
    return { ...this.#parts.sessions, find: (token, now) => this.find(token, now) };
  }

  /**
   * As `SessionStore.find`. The first token of a subject makes its user. Throws `overloaded` if the issuer's keys cannot
   * be had, and `forbidden` for a suspended user.
   */
  async find(token: string, now: Date): Promise<Session | undefined> {
    const { sessions } = this.#parts;
    if (!isJwt(token)) return sessions.find(token, now);
    const known = await sessions.findIssued(token, now);
    if (known !== undefined) return known === 'ended' ? undefined : known;
    const id = createHash('sha256').update(token).digest('hex');
    const pending = this.#pending.get(id) ?? this.#begin(token, now).finally(() => this.#pending.delete(id));
    this.#pending.set(id, pending);
    return pending;
  }

  /**
   * Ends what a logout token names, and refuses its older tokens from then on. Returns the sessions that have ended,
   * which every node must be told of; undefined if the token is not good. Throws `overloaded` as `find` does.
   */
  async logOut(token: string, now: Date): Promise<string[] | undefined> {
    const claims = await this.#parts.issuer.verifyLogout(token, now);
    return claims && this.#end(claims);
  }

  async #end({ subject, sid, issuedAt }: LogoutClaims): Promise<string[]> {
    const { links, sessions, users } = this.#parts;
    // Before the sessions: a token that is being verified is looked up again after its session was made.
    if (sid !== undefined) {
      await links.refuseSession(sid);
      return sessions.revokeIssued({ sid });
    }
    if (subject === undefined) return [];
    await links.refuseUntil(subject, issuedAt);
    const userId = await users.find(subject);
    const upTo = new Date(issuedAt * 1000);
    return userId === undefined ? [] : sessions.revokeIssued({ userId, upTo });
  }

  async #begin(token: string, now: Date): Promise<Session | undefined> {
    const { issuer, sessions, users, rules } = this.#parts;
    const claims = await issuer.verify(token, now);
    if (!claims || (await this.#isRefused(claims))) return undefined;
    // A token of the future is one of now: clocks differ.
    const createdAt = new Date(Math.min(claims.issuedAt * 1000, now.getTime()));
    const expiresAt = new Date(Math.min(claims.endsAt * 1000, createdAt.getTime() + rules.lifetimeMs));
    if (expiresAt <= now) return undefined;
    const { userId, isRenamed } = await users.ensure(claims.subject, newUserOf(claims));
    // Without the names: the log outlives an erasure.
    if (isRenamed) rules.lines.write('warn', RENAMED, { user: userId });
    if (!(await this.#isInGoodStanding(userId))) return undefined;
    const session = await sessions.createIssued(token, {
      ...{ userId, createdAt: createdAt.toISOString(), expiresAt: expiresAt.toISOString() },
      ...(claims.sid === undefined ? {} : { sid: claims.sid }),
    });
    if (!session) return undefined;
    // A logout, a suspension or an erasure meanwhile did not see the new session. So end it here.
    let isGood = false;
    try {
      isGood = !(await this.#isRefused(claims)) && (await this.#isInGoodStanding(userId));
    } finally {
      if (!isGood) await sessions.revoke(session.id);
    }
    return isGood ? session : undefined;
  }

  /** False: the user is erased. Throws `forbidden` for a suspended one. */
  async #isInGoodStanding(userId: UserId): Promise<boolean> {
    const standing = await this.#parts.rules.standingOf(userId);
    if (standing === 'suspended') throw forbidden('this account is suspended', 'suspended');
    return standing === 'good';
  }

  #isRefused({ subject, issuedAt, sid }: TokenClaims): Promise<boolean> {
    return this.#parts.links.isRefused(subject, issuedAt, sid);
  }
}

/** What a token says of a new user. */
const newUserOf = ({ username, name }: TokenClaims): Parameters<HostUsers['ensure']>[1] => ({
  ...(username === undefined ? {} : { username: { wanted: username, isRequired: false } }),
  profile: name !== undefined && DisplayName.safeParse(name).success ? { displayName: name } : {},
});
