import { randomUUID } from 'node:crypto';
import { forbidden, outcomeUnknown, overloaded, ParleyError, unauthenticated } from '../base/errors.js';
import type { CommandRouter, Moment } from '../domain/commands.js';
import type { Chat, User } from '../domain/shapes.js';
import type { Queries } from '../projections/queries.js';
import type { Credential, Passwords, Session, Vault } from '../vault/vault.js';
import { Username } from './schemas.js';

// Dark enough for white initials to be read on them (4.5 : 1 and more, WCAG 2.2 AA).
const palette = [
  '#b23a48',
  '#a4442a',
  '#8a5a00',
  '#5f6b12',
  '#2f7a3d',
  '#13766b',
  '#0f718f',
  '#2563b8',
  '#4f55c4',
  '#7a46b8',
  '#9a3b98',
  '#a83a6e',
] as const;

/** A background for a user's initials; `random` is from 0 to below 1. */
export function chooseColor(random: number): string {
  return palette[Math.floor(random * palette.length)] ?? palette[0];
}

export interface AccountParts {
  readonly vault: Vault;
  readonly passwords: Passwords;
  readonly commands: CommandRouter;
  readonly queries: Queries;
  /** Resolves when no node honours these sessions any more, which have ended in the vault. */
  readonly announceEnds: (sessions: readonly string[]) => Promise<void>;
  readonly now: () => Date;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly sessionTtlMs: number;
}

export interface SignedIn {
  readonly token: string;
  readonly expiresAt: string;
  readonly user: User;
  readonly friends: User[];
  readonly activeChats: Chat[];
}

const firstChats = 50;

/** Signing up, in and out. What may be called twice, or be cut off anywhere, says so. */
export class Accounts {
  readonly #parts: AccountParts;

  constructor(parts: AccountParts) {
    this.#parts = parts;
  }

  /**
   * Claims the name for a new user, whom every query sees once this has resolved. Cut off behind the claim it
   * leaves a name that its owner can sign in with: that finishes it. Throws `conflict` when the name is or was
   * taken; once it has been claimed here, a failure that proves nothing is `unknown`.
   */
  async signUp(username: string, password: string): Promise<User> {
    const { vault, passwords, random } = this.#parts;
    // A taken name is told without the cost of a hash.
    if ((await vault.credentials.find(username)) !== undefined) throw taken();
    const credential = {
      userId: randomUUID(),
      username,
      backgroundColor: chooseColor(random()),
      passwordHash: await passwords.hash(password),
      registered: false,
    };
    if (!(await vault.credentials.claim(username, credential))) throw taken();
    try {
      return await this.#user(credential.userId, [await this.#register(credential)]);
    } catch (error) {
      // `overloaded` would say that nothing was done, but the name is taken now.
      if (error instanceof ParleyError && error.code === 'overloaded')
        throw outcomeUnknown(
          'the name is yours, the rest is not done: sign in',
          error,
          error.details.retryAfterMs,
        );
      throw error;
    }
  }

  /** A new session. Throws `unauthenticated`, alike for an unknown name and a wrong password. */
  async signIn(username: string, password: string): Promise<SignedIn> {
    const { vault, passwords, now, sessionTtlMs } = this.#parts;
    // The vault takes names as alike by a lower case that folds more into ASCII than ASCII: the Kelvin sign into k.
    const found = Username.safeParse(username).success ? await vault.credentials.find(username) : undefined;
    const credential = found === 'erased' ? undefined : found;
    if (!(await passwords.verify(password, credential?.passwordHash)) || !credential) throw refused();
    const { userId } = credential;
    // Missing, though registered, while the read model is behind the log: registering again tells up to where.
    const known = credential.registered ? await this.#find(userId, []) : undefined;
    const at = known ? [] : [await this.#register(credential)];
    // Read first: if this is `overloaded`, no session has been made.
    const mine = { user: known ?? (await this.#user(userId, at)), ...(await this.overview(userId, at)) };
    const { token, session } = await vault.sessions.create(userId, now(), sessionTtlMs);
    // A change of the password or an erasure ends the sessions it finds. One made after that, for a password that
    // was right before, is ended here.
    const then = await vault.credentials.find(username);
    if (then === undefined || then === 'erased' || then.passwordHash !== credential.passwordHash) {
      await vault.sessions.revoke(session.id);
      throw refused();
    }
    return { token, expiresAt: session.expiresAt, ...mine };
  }

  /** Ends the session, or all of its user's, on every node. May be repeated. */
  async signOut(session: Session, everywhere: boolean): Promise<void> {
    const { vault, announceEnds } = this.#parts;
    const ended = everywhere ? await vault.sessions.revokeAll(session.userId) : [];
    if (!everywhere) await vault.sessions.revoke(session.id);
    // A repeat finds nothing more to end, and yet must not be answered sooner.
    await announceEnds(ended.length > 0 ? ended : [session.id]);
  }

  /** Changes the password and ends all other sessions. Throws `forbidden` when `password` is wrong. */
  async changePassword(session: Session, password: string, newPassword: string): Promise<void> {
    const { vault, passwords, announceEnds } = this.#parts;
    const { username, passwordHash } = await this.confirm(session.userId, password);
    const newHash = await passwords.hash(newPassword);
    // Before the change, so that none outlives it if this is cut off between the two; and after it, for those
    // that were made meanwhile.
    const before = await vault.sessions.revokeAll(session.userId, session.id);
    if (!(await vault.credentials.changePassword(username, passwordHash, newHash)))
      throw forbidden('the password has been changed meanwhile');
    const after = await vault.sessions.revokeAll(session.userId, session.id);
    await announceEnds([...before, ...after]);
  }

  /** The user's credential. Throws `forbidden` when the password is wrong, `unauthenticated` when they are erased. */
  async confirm(userId: string, password: string): Promise<Credential> {
    const { vault, passwords } = this.#parts;
    const user = await this.#find(userId, []);
    if (!user) throw overloaded('the read models are behind');
    const credential = user.username === null ? undefined : await vault.credentials.find(user.username);
    if (credential === undefined || credential === 'erased') throw unauthenticated('this user is no more');
    if (!(await passwords.verify(password, credential.passwordHash)))
      throw forbidden('the password is wrong');
    return credential;
  }

  /** What only the user themselves is shown, as of `at`. */
  async overview(userId: string, at: readonly Moment[]): Promise<{ friends: User[]; activeChats: Chat[] }> {
    const { queries } = this.#parts;
    const [friends, { chats }] = await Promise.all([
      queries.friends(userId, at),
      queries.activeChats(userId, { limit: firstChats }, at),
    ]);
    return { friends, activeChats: chats };
  }

  /** The steps behind the claim, in an order in which each may be the last; every one may be repeated. */
  async #register(credential: Credential): Promise<Moment> {
    const { vault, commands } = this.#parts;
    const { userId, username, backgroundColor } = credential;
    await vault.keys.create(userId);
    const command = { kind: 'register user', userId, username, backgroundColor } as const;
    const { moment } = await commands.execute<'register user'>(command, randomUUID());
    await vault.credentials.markRegistered(username);
    return moment;
  }

  async #find(userId: string, at: readonly Moment[]): Promise<User | undefined> {
    return (await this.#parts.queries.users([userId], at)).get(userId);
  }

  async #user(userId: string, at: readonly Moment[]): Promise<User> {
    const user = await this.#find(userId, at);
    if (!user) throw new Error(`the registered user ${userId} is not in the read model`);
    return user;
  }
}

const taken = () => new ParleyError('conflict', 'this name is or was taken');
const refused = () => unauthenticated('the name or the password is wrong');
