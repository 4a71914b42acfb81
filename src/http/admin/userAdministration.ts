import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { notFound } from '../../base/errors.js';
import type { CommandRouter } from '../../domain/commands.js';
import type { Time } from '../../domain/fields.js';
import type { Actor, UserId } from '../../domain/ids.js';
import type { AdminAction } from '../../domain/people/administration.js';
import type { Role } from '../../domain/streams.js';
import type { User } from '../../domain/userMessageChat.js';
import type { UserPageRequest } from '../../projections/models/userSearch.js';
import type { Queries } from '../../projections/queries.js';
import type { Session, Vault } from '../../vault/vault.js';

/** The life of a code that sets a new password. */
const CODE_LIFE_MS = 24 * 60 * 60_000;
const CODE_BYTES = 16;

/** A code of 128 bits, in groups that people can read to each other. */
function newCode(): string {
  const digits = randomBytes(CODE_BYTES).toString('hex');
  return digits.match(/.{4}/g)?.join('-') ?? digits;
}

/** The hash of a code, however it was typed. */
export const hashCode = (code: string): string =>
  createHash('sha256').update(code.toLowerCase().replace(/[\s-]/g, '')).digest('hex');

export interface AdministrationParts {
  readonly vault: Pick<Vault, 'credentials' | 'sessions'>;
  readonly commands: CommandRouter;
  readonly queries: Queries;
  /** Resolves when no node honours these sessions any more, which have ended in the vault. */
  readonly announceEnds: (sessions: readonly string[]) => Promise<void>;
  /** See `Erasures.erase`. */
  readonly erase: (userId: UserId, username: string) => Promise<void>;
}

/** A user as admins see them. */
export interface AdministeredUser {
  readonly user: User;
  readonly isOnline: boolean;
  readonly lastSeen: Time | null;
  /** The number of sessions that are open. */
  readonly sessions: number;
  readonly roles: readonly Role[];
}

/**
 * What moderators, admins and operators do to users. `by` is who decides, whose role the caller has checked; `system`
 * for an operator. Each decision is in the log before it is carried out. Each may be repeated. Throws `not_found` for an
 * unknown or erased user, and `forbidden` for one who holds a role unless an operator decides.
 */
export class UserAdministration {
  readonly #parts: AdministrationParts;

  constructor(parts: AdministrationParts) {
    this.#parts = parts;
  }

  /** Ends all sessions, and lets nobody sign in as this user. Resolves with false if it was so before. */
  async suspend(by: Actor, userId: UserId, reason: string): Promise<boolean> {
    const { commands, queries } = this.#parts;
    const command = { kind: 'suspend user', userId, by, reason } as const;
    const { changed, moment } = await commands.execute<'suspend user'>(command, randomUUID());
    await queries.users([userId], [moment]);
    // A sign-in looks into the log after it has made its session: either it finds the suspension, or this its session.
    await this.#endSessions(userId);
    return changed;
  }

  /** Ends a suspension. Resolves with false if there was none. */
  async restore(by: Actor, userId: UserId, reason: string): Promise<boolean> {
    const { commands, queries } = this.#parts;
    const command = { kind: 'restore user', userId, by, reason } as const;
    const { changed, moment } = await commands.execute<'restore user'>(command, randomUUID());
    await queries.users([userId], [moment]);
    return changed;
  }

  /** Issues a code with which the user sets a new password once. An earlier code is good no more. */
  async issueCode(by: Actor, userId: UserId): Promise<{ code: string; expiresAt: Time }> {
    const { credentials } = this.#parts.vault;
    const username = await this.#decide(by, userId, 'password reset');
    const code = newCode();
    const expiresAt = new Date(Date.now() + CODE_LIFE_MS).toISOString();
    if (!(await credentials.setReset(username, { codeHash: hashCode(code), expiresAt })))
      throw notFound(`user ${userId} is erased`);
    return { code, expiresAt };
  }

  /** Erases the user, as the user can. */
  async erase(by: Actor, userId: UserId): Promise<void> {
    await this.#parts.erase(userId, await this.#decide(by, userId, 'erasure'));
  }

  /** Erases a user who has confirmed it. */
  eraseSelf(userId: UserId, username: string): Promise<void> {
    return this.#parts.erase(userId, username);
  }

  /** The user's open sessions, the newest first. */
  async sessionsOf(userId: UserId): Promise<Session[]> {
    const now = new Date();
    const sessions = await this.#parts.vault.sessions.list(userId);
    return sessions.filter(({ endedAt, expiresAt }) => endedAt === undefined && now < new Date(expiresAt));
  }

  /** Ends all sessions of the user on every node. Resolves with their number. */
  async endSessions(by: Actor, userId: UserId): Promise<number> {
    await this.#decide(by, userId, 'sessions ended');
    return this.#endSessions(userId);
  }

  /** A page of users, with what the log and the vault say of them. */
  async list(page: UserPageRequest): Promise<{ users: AdministeredUser[]; next?: string }> {
    const { queries } = this.#parts;
    const { users, ...rest } = await queries.userPage(page, []);
    const ids = users.map(({ userId }) => userId);
    const [roles, presence, sessions] = await Promise.all([
      queries.roles(ids, []),
      queries.presence(ids, []),
      Promise.all(ids.map((id) => this.sessionsOf(id))),
    ]);
    const listed = users.map((user, i): AdministeredUser => {
      const { isOnline = false, lastSeen = null } = presence.get(user.userId) ?? {};
      const open = sessions[i]?.length ?? 0;
      return { user, isOnline, lastSeen, sessions: open, roles: roles.get(user.userId) ?? [] };
    });
    return { users: listed, ...rest };
  }

  /** Records the decision. Resolves with the user's name. */
  async #decide(by: Actor, userId: UserId, action: AdminAction): Promise<string> {
    const { commands, queries } = this.#parts;
    const command = { kind: 'administer user', userId, by, action } as const;
    const { moment } = await commands.execute<'administer user'>(command, randomUUID());
    const username = (await queries.users([userId], [moment])).get(userId)?.username;
    if (username == null) throw notFound(`user ${userId} is erased`);
    return username;
  }

  async #endSessions(userId: UserId): Promise<number> {
    const ended = await this.#parts.vault.sessions.revokeAll(userId);
    await this.#parts.announceEnds(ended);
    return ended.length;
  }
}
