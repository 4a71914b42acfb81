import { randomUUID } from 'node:crypto';
import type Router from '@koa/router';
import type { z } from 'zod';
import {
  forbidden,
  notFound,
  outcomeUnknown,
  overloaded,
  ParleyError,
  unauthenticated,
  wrongFields,
} from '../base/errors.js';
import type { CommandRouter, Moment } from '../domain/commands.js';
import { FIRST_ROWS } from '../domain/limits.js';
import type { Chat, User } from '../domain/userMessageChat.js';
import { isUsername } from '../domain/users.js';
import { chooseColor, registerUser } from '../host/hostUsers.js';
import type { Queries } from '../projections/queries.js';
import { PasswordHashes } from '../vault/credentials.js';
import type { Credential, Passwords, RevocationCause, Session, Vault } from '../vault/vault.js';
import {
  type FindPresent,
  keepRenewal,
  type PasswordGuard,
  type PasswordTurn,
  type RequireSession,
  serveResource,
  standingOf,
} from './auth.js';
import { readBody, readNoBody, readQuery } from './problems.js';
import { ChangePassword, NoFields, SignIn, SignOutQuery, SignUp } from './schemas.js';

/** What requests that check a password need. */
export interface PasswordParts {
  readonly signedIn: RequireSession;
  readonly guard: PasswordGuard;
}

export interface AccountParts {
  readonly vault: Vault;
  readonly passwords: Passwords;
  readonly commands: CommandRouter;
  readonly queries: Queries;
  readonly sessionRules: SessionRules;
}

export interface SessionRules {
  readonly lifetimeMs: number;
  /** Resolves when no node honours these sessions any more, which have ended in the vault. */
  readonly announceEnds: (sessions: readonly string[], why?: RevocationCause) => Promise<void>;
  /** Finds the user by everything in the log now. */
  readonly present: FindPresent;
  /** Who may sign up: see `SIGN_UP`. */
  readonly signUp: SignUpRule;
}

export type SignUpRule = 'open' | 'closed' | 'external';

export interface SignedIn {
  readonly token: string;
  readonly expiresAt: string;
  readonly user: User;
  readonly friends: User[];
  readonly activeChats: Chat[];
}

/** Signing up, in and out. */
export class Accounts {
  readonly #parts: AccountParts;
  readonly #hashes: PasswordHashes;

  constructor(parts: AccountParts) {
    this.#parts = parts;
    this.#hashes = new PasswordHashes(parts.vault.credentials, parts.passwords);
  }

  /**
   * Claims the name for a new user, whom every query finds once this has resolved. Interrupted after the claim, it is
   * finished by the owner's first sign-in. Throws `conflict` for a name that is or was taken; after the claim, `unknown`
   * for failures that may pass.
   */
  async signUp(username: string, password: string, turn: PasswordTurn): Promise<User> {
    const { vault, passwords } = this.#parts;
    // A taken name is refused without the cost of a hash.
    if ((await vault.credentials.find(username)) !== undefined) throw nameTaken();
    const credential = {
      userId: randomUUID(),
      username,
      backgroundColor: chooseColor(Math.random()),
      passwordHash: await turn(vault.credentials.idOf(username), () => passwords.hash(password)),
      registered: false,
    };
    if (!(await vault.credentials.claim(username, credential))) throw nameTaken();
    try {
      return await this.#user(credential.userId, [await this.#register(credential)]);
    } catch (error) {
      // `overloaded` would promise that nothing was done, but the name is taken now.
      if (error instanceof ParleyError && error.code === 'overloaded')
        throw outcomeUnknown('the name is yours: sign in to finish', error, error.details.retryAfterMs);
      throw error;
    }
  }

  /**
   * Makes a new session. Throws `unauthenticated`, alike for an unknown name and a wrong password, and `forbidden` for
   * the right password of a suspended user.
   */
  async signIn(username: string, password: string, turn: PasswordTurn): Promise<SignedIn> {
    const { vault, passwords, sessionRules } = this.#parts;
    // The vault folds case beyond ASCII (the Kelvin sign equals k): a text that cannot be a name must not find one.
    const found = isUsername(username) ? await vault.credentials.find(username) : undefined;
    const claimed = found === 'erased' ? undefined : found;
    const credential = await turn(vault.credentials.idOf(username), async () => {
      const isRight = await passwords.verify(password, claimed?.passwordHash);
      return isRight && claimed ? this.#hashes.renew(claimed, password) : undefined;
    });
    if (!credential) throw wrongNameOrPassword();
    const { userId } = credential;
    // The read model may not have the user yet. Register again: it changes nothing and returns the moment to wait for.
    const known = credential.registered ? await this.#find(userId, []) : undefined;
    const at = known ? [] : [await this.#register(credential)];
    if (known?.suspended) throw suspended();
    // Read before the session is made, so that an `overloaded` here leaves no session behind.
    const mine = { user: known ?? (await this.#user(userId, at)), ...(await this.overview(userId, at)) };
    const { token, session } = await vault.sessions.create(userId, new Date(), sessionRules.lifetimeMs);
    // A concurrent password change, erasure or suspension did not see this new session. So end it here.
    let refusal: ParleyError | undefined = wrongNameOrPassword();
    try {
      if ((await this.#hashes.current(credential, password)) !== undefined)
        refusal = (await standingOf(sessionRules.present, userId)) === 'suspended' ? suspended() : undefined;
    } finally {
      if (refusal) await vault.sessions.revoke(session.id);
    }
    if (refusal) throw refusal;
    return { token, expiresAt: session.expiresAt, ...mine };
  }

  /** Ends the session, or all of its user's, on every node. May be repeated. */
  async signOut(session: Session, everywhere: z.infer<typeof SignOutQuery>['everywhere']): Promise<void> {
    const { vault, sessionRules } = this.#parts;
    const { userId, id } = session;
    if (everywhere === 'others') return sessionRules.announceEnds(await vault.sessions.revokeAll(userId, id));
    const ended = everywhere === 'true' ? await vault.sessions.revokeAll(userId) : [];
    if (everywhere === 'false') await vault.sessions.revoke(id);
    // A repeat ends nothing more, but must also wait until every node knows.
    await sessionRules.announceEnds(ended.length > 0 ? ended : [id]);
  }

  /** Changes the password and ends all other sessions. Throws `forbidden` when `password` is wrong. */
  async changePassword(
    session: Session,
    { password, newPassword }: z.infer<typeof ChangePassword>,
    turn: PasswordTurn,
  ): Promise<void> {
    const { vault, passwords, sessionRules } = this.#parts;
    const credential = await this.#credentialOf(session.userId);
    const newHash = await turn(vault.credentials.idOf(credential.username), async () => {
      await this.#verify(password, credential);
      return passwords.hash(newPassword);
    });
    // Ended before the change, so that no session outlives it if this is interrupted between the two. Ended again
    // after it, for sessions made meanwhile.
    const before = await vault.sessions.revokeAll(session.userId, session.id, 'password_changed');
    if (!(await this.#hashes.replace(credential, password, newHash)))
      throw forbidden('the password was changed on another device: sign in again', 'password_changed');
    const after = await vault.sessions.revokeAll(session.userId, session.id, 'password_changed');
    await sessionRules.announceEnds([...before, ...after], 'password_changed');
  }

  /**
   * The user's credential. Throws `forbidden` when the password is wrong, `unauthenticated` when they are erased. Who has
   * no password shows a token that was issued within the last 5 min.
   */
  async confirm(
    userId: string,
    password: string | undefined,
    token: string,
    turn: PasswordTurn,
  ): Promise<Credential> {
    const credential = await this.#credentialOf(userId);
    if (credential.passwordHash === undefined) {
      await this.#requireFreshToken(userId, token);
      return credential;
    }
    if (password === undefined) throw wrongFields([{ path: 'password', message: 'is missing' }]);
    await turn(this.#parts.vault.credentials.idOf(credential.username), () =>
      this.#verify(password, credential),
    );
    return credential;
  }

  async #requireFreshToken(userId: string, token: string): Promise<void> {
    const now = new Date();
    const session = await this.#parts.vault.sessions.find(token, now);
    const isFresh = session && now.getTime() - Date.parse(session.createdAt) <= FRESH_TOKEN_MS;
    if (!isFresh || session.userId !== userId)
      throw forbidden('sign in again: this needs a token of the last 5 minutes', 'sign_in_again');
  }

  async #verify(password: string, { passwordHash }: Credential): Promise<void> {
    if (!(await this.#parts.passwords.verify(password, passwordHash)))
      throw forbidden('wrong password', 'wrong_password');
  }

  async #credentialOf(userId: string): Promise<Credential> {
    const { vault } = this.#parts;
    const user = await this.#find(userId, []);
    if (!user) throw overloaded('the read models are behind the log: try again');
    const credential = user.username === null ? undefined : await vault.credentials.find(user.username);
    if (credential === undefined || credential === 'erased')
      throw unauthenticated('this account was deleted');
    return credential;
  }

  /** The data that only the user's own devices are shown, as of `at`. */
  async overview(userId: string, at: readonly Moment[]): Promise<{ friends: User[]; activeChats: Chat[] }> {
    const { queries } = this.#parts;
    const [{ friends }, { chats }] = await Promise.all([
      queries.friends(userId, { limit: FIRST_ROWS }, at),
      queries.activeChats(userId, { limit: FIRST_ROWS }, at),
    ]);
    return { friends, activeChats: chats };
  }

  async #register(credential: Credential): Promise<Moment> {
    return (await registerUser(credential, this.#parts)).moment;
  }

  async #find(userId: string, at: readonly Moment[]): Promise<User | undefined> {
    return this.#parts.queries.self(userId, at);
  }

  async #user(userId: string, at: readonly Moment[]): Promise<User> {
    const user = await this.#find(userId, at);
    if (!user) throw new Error(`the registered user ${userId} is not in the read model`);
    return user;
  }
}

const nameTaken = () => new ParleyError('conflict', 'this name is taken, or was before: choose another');
const suspended = () => forbidden('this account is suspended', 'suspended');
const wrongNameOrPassword = () => unauthenticated('wrong user name or password');

/** How old a token may be that confirms an erasure. */
const FRESH_TOKEN_MS = 5 * 60_000;

/** Signing up, in and out, and changing the password. */
export function mountAccounts(
  router: Router,
  accounts: Accounts,
  { signedIn, guard, signUp }: PasswordParts & { readonly signUp: SignUpRule },
): void {
  if (signUp === 'external')
    // Else the second would be the path of a user.
    router.all(['/user', '/user/signin'], () => {
      throw notFound('this server has no sign-in with a password');
    });
  else mountPasswordSignIn(router, accounts, guard, signUp);

  serveResource(router, '/user/signout', {
    POST: signedIn(async (ctx, session) => {
      const { everywhere } = readQuery(ctx, SignOutQuery);
      await readNoBody(ctx, NoFields);
      await accounts.signOut(session, everywhere);
      if (everywhere !== 'others') keepRenewal(ctx, undefined);
      ctx.status = 204;
    }),
  });

  serveResource(router, '/user/password', {
    PUT: signedIn(async (ctx, session) => {
      const turn = await guard.admit(ctx);
      readQuery(ctx, NoFields);
      await accounts.changePassword(session, await readBody(ctx, ChangePassword), turn);
      ctx.status = 204;
    }),
  });
}

/** Signing up and in with a name and a password. */
function mountPasswordSignIn(
  router: Router,
  accounts: Accounts,
  guard: PasswordGuard,
  signUp: 'open' | 'closed',
): void {
  serveResource(router, '/user', {
    POST: async (ctx) => {
      if (signUp === 'closed')
        throw forbidden('only the host application creates users of this server', 'sign_up_closed');
      const turn = await guard.admit(ctx);
      readQuery(ctx, NoFields);
      const { username, password } = await readBody(ctx, SignUp);
      const user = await accounts.signUp(username, password, turn);
      ctx.state.user = user.userId;
      ctx.body = { user };
      ctx.status = 201;
    },
  });

  serveResource(router, '/user/signin', {
    POST: async (ctx) => {
      const turn = await guard.admit(ctx);
      readQuery(ctx, NoFields);
      const { username, password } = await readBody(ctx, SignIn);
      const signedIn = await accounts.signIn(username, password, turn);
      ctx.state.user = signedIn.user.userId;
      ctx.body = signedIn;
    },
  });
}
