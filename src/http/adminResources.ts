import { randomUUID } from 'node:crypto';
import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import { z } from 'zod';
import type { AuditReader } from '../audit/auditReader.js';
import { notFound } from '../base/errors.js';
import type { AuditResource } from '../domain/auditReads.js';
import { Time, textOf } from '../domain/fields.js';
import type { KeyList } from '../domain/hostKeys.js';
import { REASON_CODE_POINTS } from '../domain/limits.js';
import { ROLES } from '../domain/streams.js';
import type { KeyAdministration } from '../host/keyAdministration.js';
import type { Session } from '../vault/vault.js';
import type { AdminParts } from './administration.js';
import { type RoleParts, requireRole, requireSession, serveResource } from './auth.js';
import { readBody, readIdAlone, readNoBody, readQuery } from './problems.js';
import { NoFields } from './schemas.js';
import { idIn, SeekBody, type SubscriptionResources } from './server/subscriptionResources.js';

/** What the page at `/admin` needs beside users and reports: one's roles, suspensions and sessions, subscriptions. */

export const OwnRolesAnswer = z.strictObject({
  roles: z
    .array(z.enum(ROLES))
    .meta({ description: 'What the user may do: an admin may all that a moderator may, and has both.' }),
});

export const SessionsAnswer = z.strictObject({
  sessions: z
    .array(z.strictObject({ createdAt: Time, expiresAt: Time }))
    .meta({ description: 'The open ones, the newest first.' }),
});

export const SuspensionBody = z.strictObject({ reason: textOf(REASON_CODE_POINTS) });

/** The data of `UserSuspended` as it is opened: without a reason where its key was destroyed. */
const OpenSuspension = z.object({ by: z.string(), reason: z.string().nullable() });

export const SuspensionAnswer = z.strictObject({
  suspension: z.strictObject({
    since: Time,
    by: z
      .string()
      .meta({ description: 'The user who decided; `system` for an operator or the host application.' }),
    via: z
      .string()
      .exactOptional()
      .meta({ description: 'The server key through which the host application decided.' }),
    reason: z.string().nullable().meta({ description: 'Null if it was erased with who decided.' }),
  }),
});

/** The roles of the user who asks. No read is recorded: nobody but the user is told. */
export function mountOwnRoles(router: Router, roles: RoleParts): void {
  serveResource(router, '/user/me/roles', {
    GET: requireSession(roles)(async (ctx, { userId }) => {
      readQuery(ctx, NoFields);
      const held = await Promise.all(ROLES.map((role) => roles.hasRole(userId, role)));
      ctx.body = { roles: ROLES.filter((_, i) => held[i]) } satisfies z.input<typeof OwnRolesAnswer>;
    }),
  });
}

/** Suspensions, for moderators: the one that holds now, beginning one, and ending it. */
export function mountAdminSuspensions(
  router: Router,
  parts: AdminParts,
  reader: Pick<AuditReader, 'newest'>,
): void {
  const moderated = requireRole(parts.roles, 'moderator');
  const { administration } = parts;
  const decide = (verb: 'suspend' | 'restore') =>
    moderated(async (ctx, session) => {
      const userId = readIdAlone(ctx, 'userId');
      const { reason } = await readBody(ctx, SuspensionBody);
      await administration[verb](session.userId, userId, reason);
      ctx.status = 204;
    });
  serveResource(router, '/admin/users/:userId/suspension', {
    GET: moderated(async (ctx, session) => {
      const userId = readIdAlone(ctx, 'userId');
      await recordLook(parts, session, 'suspension', ctx);
      const isSuspended = await administration.isSuspended(userId);
      // The last of a suspended user is the one that holds.
      const event = isSuspended ? await reader.newest(`user:${userId}`, 'UserSuspended') : undefined;
      if (!event) throw notFound(`user ${userId} is not suspended`);
      const { by, reason } = OpenSuspension.parse(event.data);
      const { recordedAt: since, via } = event;
      ctx.body = {
        suspension: { since, by, ...(via === undefined ? {} : { via }), reason },
      } satisfies z.input<typeof SuspensionAnswer>;
    }),
    PUT: decide('suspend'),
    DELETE: decide('restore'),
  });
}

/** The sessions of a user, for admins. */
export function mountAdminSessions(router: Router, parts: AdminParts): void {
  const administered = requireRole(parts.roles, 'admin');
  const { administration } = parts;
  serveResource(router, '/admin/users/:userId/sessions', {
    GET: administered(async (ctx, session) => {
      const userId = readIdAlone(ctx, 'userId');
      await recordLook(parts, session, 'sessions', ctx);
      const sessions = await administration.sessionsOf(userId);
      ctx.body = {
        sessions: sessions.map(({ createdAt, expiresAt }) => ({ createdAt, expiresAt })),
      } satisfies z.input<typeof SessionsAnswer>;
    }),
    DELETE: administered(async (ctx, session) => {
      const userId = readIdAlone(ctx, 'userId');
      await readNoBody(ctx, NoFields);
      await administration.endSessions(session.userId, userId);
      ctx.status = 204;
    }),
  });
}

/** The host's subscriptions, for admins: how far each is, and what the host can do with one that it has. */
export function mountAdminSubscriptions(
  router: Router,
  parts: AdminParts,
  { subscriptions, commands }: Pick<SubscriptionResources, 'subscriptions' | 'commands'>,
): void {
  const administered = requireRole(parts.roles, 'admin');
  serveResource(router, '/admin/subscriptions', {
    GET: administered(async (ctx, session) => {
      readQuery(ctx, NoFields);
      await recordLook(parts, session, 'subscriptions', ctx);
      ctx.body = { subscriptions: await subscriptions.list() };
    }),
  });
  serveResource(router, '/admin/subscriptions/:id/seek', {
    POST: administered(async (ctx, session) => {
      const id = idIn(ctx);
      readQuery(ctx, NoFields);
      const { to } = await readBody(ctx, SeekBody);
      ctx.body = { subscription: await subscriptions.seek({ commands, by: session.userId }, id, to) };
    }),
  });
  for (const verb of ['pause', 'resume'] as const)
    serveResource(router, `/admin/subscriptions/:id/${verb}`, {
      POST: administered(async (ctx, session) => {
        const id = idIn(ctx);
        readQuery(ctx, NoFields);
        await readNoBody(ctx, NoFields);
        ctx.body = { subscription: await subscriptions[verb]({ commands, by: session.userId }, id) };
      }),
    });
  serveResource(router, '/admin/subscriptions/:id/rotate', {
    POST: administered(async (ctx, session) => {
      const id = idIn(ctx);
      readQuery(ctx, NoFields);
      await readNoBody(ctx, NoFields);
      ctx.body = await subscriptions.rotate({ commands, by: session.userId }, id);
    }),
  });
}

/**
 * The server keys of the host application, for admins. The log names the admin who revokes one. Admins make none: a key
 * can read every message, and an admin cannot.
 */
export function mountAdminKeys(
  router: Router,
  parts: AdminParts,
  keys: Pick<KeyAdministration, 'list' | 'revoke'>,
): void {
  const administered = requireRole(parts.roles, 'admin');
  serveResource(router, '/admin/keys', {
    GET: administered(async (ctx, session) => {
      readQuery(ctx, NoFields);
      await recordLook(parts, session, 'keys', ctx);
      ctx.body = (await keys.list()) satisfies z.input<typeof KeyList>;
    }),
  });
  serveResource(router, '/admin/keys/:keyId', {
    DELETE: administered(async (ctx, session) => {
      const keyId = readIdAlone(ctx, 'keyId');
      await readNoBody(ctx, NoFields);
      await keys.revoke(keyId, session.userId);
      ctx.status = 204;
    }),
  });
}

/** Records a look of an admin before it is answered. */
async function recordLook(
  { commands }: Pick<AdminParts, 'commands'>,
  { userId }: Session,
  resource: AuditResource,
  ctx: RouterContext,
): Promise<void> {
  const query: Record<string, string> = { ...ctx.params };
  await commands.execute<'record audit read'>(
    { kind: 'record audit read', userId, resource, query },
    randomUUID(),
  );
}
