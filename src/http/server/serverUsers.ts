import type Router from '@koa/router';
import { z } from 'zod';
import { conflict, forbidden, notFound, wrongFields } from '../../base/errors.js';
import { duration } from '../../base/settings.js';
import { routerVia } from '../../domain/commands.js';
import { Time } from '../../domain/fields.js';
import type { UserId } from '../../domain/ids.js';
import { User } from '../../domain/userMessageChat.js';
import { ProfileChange, Username } from '../../domain/users.js';
import type { ServerKey } from '../../vault/serverKeys.js';
import { SuspensionBody } from '../adminResources.js';
import { serveResource, standingOf } from '../auth.js';
import { selectChanges } from '../ownData.js';
import { readBody, readNoBody, readOptionalBody, readQuery } from '../problems.js';
import { NoFields } from '../schemas.js';
import { HostRequests, hostIdIn, type ServerParts } from './hostRequests.js';
import type { RequireKey } from './serverAuth.js';

const { displayName, locale } = ProfileChange.shape;

export const HostUserBody = z.strictObject({
  username: Username.exactOptional().meta({
    description: 'It can never be changed. Without it, Parley generates a name.',
  }),
  displayName,
  bot: z.boolean().exactOptional().meta({ description: 'A program acts as this user.' }),
  locale,
});
type HostUserBody = z.output<typeof HostUserBody>;

export const HostUserAnswer = z.strictObject({
  user: User,
  externalId: z.string().exactOptional().meta({
    description: 'Your own id of the user, if they have one. Events name the user by `userId`.',
  }),
});
type HostUserAnswer = z.output<typeof HostUserAnswer>;

export const HostTokenBody = z.strictObject({
  ttl: duration('1s', '3650d').exactOptional().meta({
    description: 'Such as `15m`; at most `SESSION_TTL`, which is the default.',
  }),
});
export const HostTokenAnswer = z.strictObject({ token: z.string(), expiresAt: Time });

/** The users of the host application. */
export function mountServerUsers(router: Router, parts: ServerParts, required: RequireKey): void {
  const requests = new HostRequests(parts);
  const hostUsers = new HostUserResource(parts, requests);

  serveResource(router, '/server/users/:id', {
    GET: required('users', async (ctx) => {
      const { id = '' } = ctx.params;
      const userId = await requests.userId(id);
      readQuery(ctx, NoFields);
      const user = await parts.reads.present(userId);
      if (!user) throw notFound(`there is no user ${id}`);
      ctx.body = await hostUsers.answer(id, user);
    }),
    PUT: required('users', async (ctx, key) => {
      const { id = '' } = ctx.params;
      readQuery(ctx, NoFields);
      if (hostIdIn(id) === undefined) await requests.userId(id);
      const { user, isNew } = await hostUsers.put(id, await readOptionalBody(ctx, HostUserBody), key);
      ctx.body = await hostUsers.answer(id, user);
      ctx.status = isNew ? 201 : 200;
    }),
    DELETE: required('users', async (ctx, key) => {
      const userId = await requests.userId(ctx.params.id);
      readQuery(ctx, NoFields);
      await readNoBody(ctx, NoFields);
      // It is erased already: a repeat says so.
      if ((await parts.reads.present(userId))?.erased !== true)
        await parts.access.administration.through(key.id).erase('system', userId);
      ctx.status = 204;
    }),
  });

  serveResource(router, '/server/users/:id/tokens', {
    POST: required('users', async (ctx, key) => {
      const userId = await requests.userId(ctx.params.id);
      readQuery(ctx, NoFields);
      const { ttl } = await readOptionalBody(ctx, HostTokenBody);
      ctx.body = await hostUsers.issueToken(userId, ttl, key);
      ctx.status = 201;
    }),
  });

  serveResource(router, '/server/users/:id/sessions', {
    DELETE: required('users', async (ctx, key) => {
      const userId = await requests.userId(ctx.params.id);
      readQuery(ctx, NoFields);
      await readNoBody(ctx, NoFields);
      await parts.access.administration.through(key.id).endSessions('system', userId);
      ctx.status = 204;
    }),
  });

  const decide = (verb: 'suspend' | 'restore') =>
    required('users', async (ctx, key) => {
      const userId = await requests.userId(ctx.params.id);
      readQuery(ctx, NoFields);
      const { reason } = await readBody(ctx, SuspensionBody);
      await parts.access.administration.through(key.id)[verb]('system', userId, reason);
      ctx.status = 204;
    });
  serveResource(router, '/server/users/:id/suspension', {
    PUT: decide('suspend'),
    DELETE: decide('restore'),
  });
  mountServerTies(router, requests, required);
}

/** Friends and blocks, as the first user's own doing. */
function mountServerTies(router: Router, requests: HostRequests, required: RequireKey): void {
  type Act = (key: ServerKey, actor: UserId, other: UserId) => Promise<unknown>;
  const acting = (act: Act) =>
    required('users', async (ctx, key) => {
      const actor = await requests.actor(ctx.params.id);
      const other = await requests.userId(ctx.params.otherId);
      readQuery(ctx, NoFields);
      await readNoBody(ctx, NoFields);
      await act(key, actor, other);
      ctx.status = 204;
    });
  serveResource(router, '/server/users/:id/friends/:otherId', {
    PUT: acting((key, actor, friendId) =>
      requests.run<'add friend'>(key, { kind: 'add friend', actor, friendId }),
    ),
    DELETE: acting((key, actor, friendId) =>
      requests.run<'remove friend'>(key, { kind: 'remove friend', actor, friendId }),
    ),
  });
  const block = (isOn: boolean) =>
    acting((key, actor, userId) =>
      requests.run<'block user'>(key, { kind: 'block user', actor, userId, block: isOn }),
    );
  serveResource(router, '/server/users/:id/blocks/:otherId', { PUT: block(true), DELETE: block(false) });
}

/** Makes and changes users, and issues their tokens. */
class HostUserResource {
  constructor(
    private readonly parts: ServerParts,
    private readonly requests: HostRequests,
  ) {}

  /** Makes the user unless there is one, and gives them what the body says. */
  async put(id: string, body: HostUserBody, key: ServerKey): Promise<{ user: User; isNew: boolean }> {
    const { users, reads, writes } = this.parts;
    const { username, ...profile } = body;
    const hostId = hostIdIn(id);
    const wanted = username === undefined ? {} : { username: { wanted: username, isRequired: true } };
    const { userId, isNew } =
      hostId === undefined
        ? { userId: await this.requests.userId(id), isNew: false }
        : await users.ensure(hostId, { ...wanted, profile }, routerVia(writes.commands, key.id));
    const found = await reads.present(userId);
    if (!found) throw notFound(`there is no user ${id}`);
    if (found.erased) throw notFound(`user ${id} is erased`);
    if (isNew) return { user: found, isNew };
    if (username !== undefined && username.toLowerCase() !== found.username?.toLowerCase())
      throw conflict('a user name cannot be changed');
    return { user: await this.#change(found, profile, key), isNew };
  }

  /** The user with the host application's own id: of the path, else as it was linked. */
  async answer(id: string, user: User): Promise<HostUserAnswer> {
    const externalId = hostIdIn(id) ?? (await this.parts.reads.hostIdOf(user.userId));
    return { user, ...(externalId === undefined ? {} : { externalId }) };
  }

  async #change(
    user: User,
    { bot, ...profile }: Omit<HostUserBody, 'username'>,
    key: ServerKey,
  ): Promise<User> {
    const { userId } = user;
    const changes = {
      ...selectChanges(user, profile),
      ...(bot === undefined || bot === (user.bot ?? false) ? {} : { bot }),
    };
    if (Object.keys(changes).length === 0) return user;
    const command = { kind: 'change profile', userId, ...changes } as const;
    await this.requests.run<'change profile'>(key, command);
    return (await this.parts.reads.present(userId)) ?? user;
  }

  /** `ttl` in milliseconds. Throws `forbidden` for a user who is suspended or holds a role. */
  async issueToken(userId: UserId, ttl: number | undefined, key: ServerKey) {
    const { administration, sessions, lifetimeMs } = this.parts.access;
    const lifetime = ttl ?? lifetimeMs;
    if (lifetime > lifetimeMs) throw wrongFields([{ path: 'ttl', message: 'must be at most SESSION_TTL' }]);
    await administration.through(key.id).recordToken('system', userId);
    const { token, session } = await sessions.create(userId, new Date(), lifetime);
    // A suspension or an erasure meanwhile did not see the new session. So end it here.
    let standing: Awaited<ReturnType<typeof standingOf>> = 'erased';
    try {
      standing = await standingOf(this.parts.reads.present, userId);
    } finally {
      if (standing !== 'good') await sessions.revoke(session.id);
    }
    if (standing === 'erased') throw notFound(`there is no user ${userId}`);
    if (standing === 'suspended') throw forbidden('this user is suspended', 'suspended');
    return { token, expiresAt: session.expiresAt };
  }
}
