import { randomUUID } from 'node:crypto';
import type Router from '@koa/router';
import { z } from 'zod';
import type { CommandRouter } from '../../domain/commands.js';
import { Time, textOf } from '../../domain/fields.js';
import { PAGE_ROWS, REASON_CODE_POINTS, SEARCH_CHARACTERS } from '../../domain/limits.js';
import { ROLES } from '../../domain/streams.js';
import { User } from '../../domain/userMessageChat.js';
import { type RoleParts, requireRole, serveResource } from '../auth.js';
import { readBody, readId, readNoBody, readQuery } from '../problems.js';
import { hasLength, NoFields } from '../schemas.js';
import type { UserAdministration } from './userAdministration.js';

/** Moderators suspend users, and admins manage them. Each look and each decision is in the log. */

export const UserListQuery = z.strictObject({
  q: z
    .string()
    .refine(
      (text) => hasLength({ min: 1, max: SEARCH_CHARACTERS }, text),
      `must have 1–${SEARCH_CHARACTERS} characters`,
    )
    .exactOptional()
    .meta({
      minLength: 1,
      maxLength: SEARCH_CHARACTERS,
      description: 'Any part of a user name or display name, taken literally, without regard to case.',
    }),
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(1).max(PAGE_ROWS.max))
    .default(PAGE_ROWS.default),
  next: z
    .string()
    .regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be the next of an earlier page')
    .exactOptional()
    .meta({ description: 'The `next` of the page before.' }),
});

export const UserListAnswer = z.strictObject({
  users: z.array(
    z.strictObject({
      user: User,
      isOnline: z.boolean(),
      lastSeen: Time.nullable(),
      sessions: z.int().min(0).meta({ description: 'The number of open sessions.' }),
      roles: z.array(z.enum(ROLES)),
    }),
  ),
  next: z.string().exactOptional().meta({ description: 'Goes into `next`; absent at the end.' }),
});

export const SuspensionBody = z.strictObject({ reason: textOf(REASON_CODE_POINTS) });

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
  const moderated = requireRole(roles, 'moderator');
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
      const userId = readId(ctx.params.userId);
      readQuery(ctx, NoFields);
      await readNoBody(ctx, NoFields);
      await administration.erase(session.userId, userId);
      ctx.status = 204;
    }),
  });

  serveResource(router, '/admin/users/:userId/suspension', {
    PUT: moderated(async (ctx, session) => {
      const userId = readId(ctx.params.userId);
      readQuery(ctx, NoFields);
      const { reason } = await readBody(ctx, SuspensionBody);
      await administration.suspend(session.userId, userId, reason);
      ctx.status = 204;
    }),
    DELETE: moderated(async (ctx, session) => {
      const userId = readId(ctx.params.userId);
      readQuery(ctx, NoFields);
      const { reason } = await readBody(ctx, SuspensionBody);
      await administration.restore(session.userId, userId, reason);
      ctx.status = 204;
    }),
  });

  serveResource(router, '/admin/users/:userId/password', {
    POST: administered(async (ctx, session) => {
      const userId = readId(ctx.params.userId);
      readQuery(ctx, NoFields);
      await readNoBody(ctx, NoFields);
      ctx.body = await administration.issueCode(session.userId, userId);
      ctx.status = 201;
    }),
  });
}
