import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type Router from '@koa/router';
import { z } from 'zod';
import { notFound, unauthenticated } from '../base/errors.js';
import { type CommandRouter, routerVia } from '../domain/commands.js';
import { Time } from '../domain/fields.js';
import type { Actor, KeyId, UserId } from '../domain/ids.js';
import { PAGE_ROWS, SEARCH_CHARACTERS } from '../domain/limits.js';
import type { AdminAction } from '../domain/roles.js';
import { ROLES, type Role } from '../domain/streams.js';
import { User } from '../domain/userMessageChat.js';
import { isUsername } from '../domain/users.js';
import { cutPage } from '../projections/answerPages.js';
import type { UserPageRequest } from '../projections/models/userSearch.js';
import type { Queries } from '../projections/queries.js';
import type { Passwords, Session, Vault } from '../vault/vault.js';
import type { SessionRules } from './accounts.js';
import { type PasswordGuard, type PasswordTurn, type RoleParts, requireRole, serveResource } from './auth.js';
import { readBody, readIdAlone, readNoBody, readQuery } from './problems.js';
import { hasLength, NoFields, pageLimit, ResetPassword } from './schemas.js';

/** The life of a code that sets a new password. */
const CODE_LIFE_MS = 24 * 60 * 60_000;
const CODE_BYTES = 16;

/** A code of 128 bits, in groups that people can read to each other. */
function newCode(): string {
  const digits = randomBytes(CODE_BYTES).toString('hex');
  return digits.match(/.{4}/g)?.join('-') ?? digits;
}

/** The hash of a code, however it was typed. */
const hashCode = (code: string): string =>
  createHash('sha256').update(code.toLowerCase().replace(/[\s-]/g, '')).digest('hex');

export interface AdministrationParts {
  readonly vault: Pick<Vault, 'credentials' | 'sessions'>;
  readonly commands: CommandRouter;
  readonly queries: Queries;
  /** Resolves when no node honours these sessions any more, which have ended in the vault. */
  readonly announceEnds: (sessions: readonly string[]) => Promise<void>;
  /** See `Erasures.erase`. */
  readonly erase: (userId: UserId, username: string, via?: KeyId) => Promise<void>;
}

/** A user as admins see them. */
export interface AdministeredUser {
  readonly user: User;
  readonly isOnline: boolean;
  readonly lastSeen: Time | null;
  /** Of a user who was never connected: see `UserListAnswer`. */
  readonly lastActive?: Time;
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

  /** The same, for decisions that come through a server key, whose id each event names. */
  through(key: KeyId): UserAdministration {
    const { commands, erase } = this.#parts;
    return new UserAdministration({
      ...this.#parts,
      commands: routerVia(commands, key),
      erase: (userId, username) => erase(userId, username, key),
    });
  }

  /**
   * Ends all sessions, and lets nobody sign in as this user. Resolves with false if it was so before. `decidedAt`: when it
   * was decided, if it may have been carried out; then it changes nothing if the user was restored since.
   */
  async suspend(by: Actor, userId: UserId, reason: string, decidedAt?: Time): Promise<boolean> {
    const { commands, queries } = this.#parts;
    const asked = decidedAt === undefined ? {} : { decidedAt };
    const command = { kind: 'suspend user', userId, by, reason, ...asked } as const;
    const { changed, moment } = await commands.execute<'suspend user'>(command, randomUUID());
    const user = (await queries.users([userId], [moment])).get(userId);
    // A sign-in looks into the log after it has made its session: either it finds the suspension, or this its session.
    if (user?.suspended) await this.#endSessions(userId);
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

  /** Whether the user is suspended now. Throws `not_found` for an unknown or erased one. */
  async isSuspended(userId: UserId): Promise<boolean> {
    const user = (await this.#parts.queries.users([userId], [])).get(userId);
    if (!user || user.erased) throw notFound(`there is no user ${userId}`);
    return user.suspended === true;
  }

  /** Issues a code with which the user sets a new password once. An earlier code stops working. */
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

  /** Records that a token is issued for the user. Throws `forbidden` for a suspended one too. */
  async recordToken(by: Actor, userId: UserId): Promise<void> {
    await this.#decide(by, userId, 'token issued');
  }

  /**
   * Ends the sessions that the user had at this time; all of them while the user is suspended. For a decision that was
   * cut off. May be repeated: it leaves those that the user has made since.
   */
  async endSessionsBefore(userId: UserId, time: Time): Promise<void> {
    const { queries, vault, announceEnds } = this.#parts;
    const user = (await queries.users([userId], [])).get(userId);
    const left = (await this.sessionsOf(userId)).filter(
      ({ createdAt }) => user?.suspended || createdAt <= time,
    );
    for (const { id } of left) await vault.sessions.revoke(id);
    if (left.length > 0) await announceEnds(left.map(({ id }) => id));
  }

  /** A page of users, with what the log and the vault say of them. */
  async list(page: UserPageRequest): Promise<{ users: AdministeredUser[]; next?: string }> {
    const { queries } = this.#parts;
    const { users, next } = await queries.userPage(page, []);
    const ids = users.map(({ userId }) => userId);
    const [roles, presence, sessions] = await Promise.all([
      queries.roles(ids, []),
      queries.presence('admin', ids, []),
      Promise.all(ids.map((id) => this.sessionsOf(id))),
    ]);
    const listed = await Promise.all(
      users.map(async (user, i): Promise<AdministeredUser> => {
        const { isOnline = false, lastSeen = null } = presence.get(user.userId) ?? {};
        const open = sessions[i] ?? [];
        const seen = { isOnline, lastSeen };
        const active = isOnline || lastSeen !== null ? undefined : await this.#lastActive(user, open);
        const known = active === undefined ? {} : { lastActive: active };
        return { user, ...seen, ...known, sessions: open.length, roles: roles.get(user.userId) ?? [] };
      }),
    );
    // What is said of them beside their profiles may make the page too large.
    const { shown, end } = cutPage(listed, false, (one) => one);
    const last = end?.user.userId ?? next;
    return { users: shown, ...(last === undefined ? {} : { next: last }) };
  }

  /** When a user who was never connected was active, as far as it is known without reading the log. */
  async #lastActive({ userId, erased }: User, open: readonly Session[]): Promise<Time | undefined> {
    if (erased) return undefined;
    const sentAt = await this.#parts.queries.lastSentAt(userId);
    return [...open.map(({ createdAt }) => createdAt), ...(sentAt === undefined ? [] : [sentAt])]
      .sort()
      .at(-1);
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

/** Admins manage users. Each look and each decision is in the log. */

const namePart = z
  .string()
  .refine(
    (text) => hasLength({ min: 1, max: SEARCH_CHARACTERS }, text),
    `must have 1–${SEARCH_CHARACTERS} characters`,
  );
const aboutPart = {
  minLength: 1,
  maxLength: SEARCH_CHARACTERS,
  description: 'Any part of a user name or display name, taken literally, without regard to case.',
};

export const UserListQuery = z.strictObject({
  q: namePart.exactOptional().meta(aboutPart),
  limit: pageLimit(PAGE_ROWS),
  next: z
    .string()
    .regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be the next of an earlier page')
    .exactOptional()
    .meta({ description: 'The `next` of the page before.' }),
});

/** A search by name: as `UserListQuery`, but `q` must be there. */
export const UserSearchQuery = UserListQuery.extend({ q: namePart.meta(aboutPart) });

export const UserListAnswer = z.strictObject({
  users: z.array(
    z.strictObject({
      user: User,
      isOnline: z.boolean(),
      lastSeen: Time.nullable().meta({
        description:
          'The end of the last connection to `/ws`; null while the user is online, and of one who never was.',
      }),
      lastActive: Time.exactOptional().meta({
        description:
          'Of a user who was never online, such as one for whom the host application writes: when the newest open session began, or when the user sent the newest message of one of their 20 newest chats.',
      }),
      sessions: z.int().min(0).meta({ description: 'The number of open sessions.' }),
      roles: z.array(z.enum(ROLES)),
    }),
  ),
  next: z.string().exactOptional().meta({ description: 'Goes into `next`; absent at the end.' }),
});

export const ResetCodeAnswer = z.strictObject({
  code: z.string().meta({ description: 'For `POST /user/password-reset`: it sets a new password once.' }),
  expiresAt: Time,
});

export interface AdminParts {
  readonly roles: RoleParts;
  readonly commands: CommandRouter;
  readonly administration: UserAdministration;
}

export function mountAdminUsers(router: Router, { roles, commands, administration }: AdminParts): void {
  const administered = requireRole(roles, 'admin');

  serveResource(router, '/admin/users', {
    GET: administered(async (ctx, { userId }) => {
      const page = readQuery(ctx, UserListQuery);
      const query = ctx.query as Record<string, string>; // A checked query has strings only.
      const command = { kind: 'record audit read', userId, resource: 'users', query } as const;
      await commands.execute<'record audit read'>(command, randomUUID());
      ctx.body = await administration.list(page);
    }),
  });

  serveResource(router, '/admin/users/:userId', {
    DELETE: administered(async (ctx, session) => {
      const userId = readIdAlone(ctx, 'userId');
      await readNoBody(ctx, NoFields);
      await administration.erase(session.userId, userId);
      ctx.status = 204;
    }),
  });

  serveResource(router, '/admin/users/:userId/password', {
    POST: administered(async (ctx, session) => {
      const userId = readIdAlone(ctx, 'userId');
      await readNoBody(ctx, NoFields);
      ctx.body = await administration.issueCode(session.userId, userId);
      ctx.status = 201;
    }),
  });
}

export interface ResetParts {
  readonly vault: Pick<Vault, 'credentials' | 'sessions'>;
  readonly passwords: Passwords;
  readonly sessionRules: Pick<SessionRules, 'announceEnds'>;
}

/** Setting a new password with the code that an admin or an operator has issued. */
export function mountPasswordReset(router: Router, parts: ResetParts, guard: PasswordGuard): void {
  serveResource(router, '/user/password-reset', {
    POST: async (ctx) => {
      const turn = await guard.admit(ctx);
      readQuery(ctx, NoFields);
      await resetPassword(await readBody(ctx, ResetPassword), turn, parts);
      ctx.status = 204;
    },
  });
}

/** Uses the code up, sets the password and ends all sessions. Throws `unauthenticated`, alike for whatever is wrong. */
async function resetPassword(
  { username, code, newPassword }: z.infer<typeof ResetPassword>,
  turn: PasswordTurn,
  { vault, passwords, sessionRules }: ResetParts,
): Promise<void> {
  const { credentials, sessions } = vault;
  const userId = await turn(credentials.idOf(username), async () => {
    // Before the code is looked at, so that the time tells nobody whether there is one.
    const newHash = await passwords.hash(newPassword);
    if (!isUsername(username)) return undefined;
    if (!(await credentials.useReset(username, hashCode(code), newHash, new Date()))) return undefined;
    const found = await credentials.find(username);
    return found === undefined || found === 'erased' ? undefined : found.userId;
  });
  if (userId === undefined)
    throw unauthenticated('wrong user name or code, or the code was used or has expired');
  const why = 'password_changed';
  await sessionRules.announceEnds(await sessions.revokeAll(userId, undefined, why), why);
}
