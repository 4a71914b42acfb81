import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { ParleyError } from '../base/errors.js';
import { Id, Time, textOf } from '../domain/fields.js';
import { REASON_CODE_POINTS } from '../domain/limits.js';
import type { UserAdministration } from '../http/administration.js';
import { UserListAnswer } from '../http/administration.js';
import { findUser } from '../vault/credentials.js';
import type { CredentialStore } from '../vault/vault.js';

/** What operators do to users, by name. `not_found`: no user is called so. */

const Suspension = z.strictObject({ username: z.string(), reason: textOf(REASON_CODE_POINTS) });
const Changed = z.strictObject({ changed: z.boolean() });

/** The schemas of input and answer, by operation. */
export const userOperations = {
  /** A page of users. */
  listUsers: {
    input: z.strictObject({
      q: z.string().exactOptional(),
      limit: z.int().min(1),
      next: Id.exactOptional(),
    }),
    answer: UserListAnswer,
  },
  suspendUser: { input: Suspension, answer: Changed },
  restoreUser: { input: Suspension, answer: Changed },
  /** Issues a code with which the user sets a new password. */
  resetPassword: {
    input: z.strictObject({ username: z.string() }),
    answer: z.strictObject({ code: z.string(), expiresAt: z.string() }),
  },
  /** Answers when nothing of the user is left. `unknown`: it has begun and will be completed. */
  eraseUser: { input: z.strictObject({ username: z.string() }), answer: z.strictObject({}) },
  /** The open sessions, or those that were ended. */
  userSessions: {
    input: z.strictObject({ username: z.string(), end: z.boolean() }),
    answer: z.strictObject({
      sessions: z.array(z.strictObject({ createdAt: Time, expiresAt: Time })),
    }),
  },
} as const;

/** The functions that carry out operations, by their schemas. */
export type OperatorOf<S extends Readonly<Record<string, { input: z.ZodType; answer: z.ZodType }>>> = {
  readonly [N in keyof S]: (input: z.infer<S[N]['input']>) => Promise<z.infer<S[N]['answer']>>;
};

export function operateUsers(
  credentials: Pick<CredentialStore, 'find'>,
  administration: UserAdministration,
): OperatorOf<typeof userOperations> {
  return {
    listUsers: async (page) => {
      const { users, ...rest } = await administration.list(page);
      return { users: users.map((user) => ({ ...user, roles: [...user.roles] })), ...rest };
    },
    async suspendUser({ username, reason }) {
      const userId = await findUser(credentials, username);
      return { changed: await retry(() => administration.suspend('system', userId, reason)) };
    },
    async restoreUser({ username, reason }) {
      const userId = await findUser(credentials, username);
      return { changed: await retry(() => administration.restore('system', userId, reason)) };
    },
    async resetPassword({ username }) {
      const userId = await findUser(credentials, username);
      return retry(() => administration.issueCode('system', userId));
    },
    async eraseUser({ username }) {
      // Not repeated: an erasure that has begun goes on by itself.
      await administration.erase('system', await findUser(credentials, username));
      return {};
    },
    async userSessions({ username, end }) {
      const userId = await findUser(credentials, username);
      const open = await administration.sessionsOf(userId);
      if (end) await retry(() => administration.endSessions('system', userId));
      return { sessions: open.map(({ createdAt, expiresAt }) => ({ createdAt, expiresAt })) };
    },
  };
}

/** A partition changes hands within about one lease; if it takes commands again later than this, it is an outage. */
const RETRY_FOR_MS = 30_000;
const RETRY_EVERY_MS = 250;

/** Repeats work that is `overloaded` or `unknown`, for up to 30 s; the work must be safe to repeat. */
export async function retry<T>(work: () => Promise<T>): Promise<T> {
  const giveUpAt = performance.now() + RETRY_FOR_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const canPass = error instanceof ParleyError && ['overloaded', 'unknown'].includes(error.code);
      if (!canPass || performance.now() > giveUpAt) throw error;
      await delay(RETRY_EVERY_MS);
    }
  }
}
