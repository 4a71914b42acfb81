import type Router from '@koa/router';
import type { AuditReader } from '../../audit/auditReader.js';
import type { CommandRouter } from '../../commands/commands.js';
import type { SessionStore } from '../../vault/vault.js';
import { authenticated } from '../auth.js';
import { readId, readQuery } from '../input.js';
import { resource } from '../resource.js';
import { RoomThenQuery, UserThenQuery } from './eventSchemas.js';
import { recordRead } from './recorded.js';

export interface PastParts {
  readonly sessions: SessionStore;
  readonly now: () => Date;
  readonly commands: CommandRouter;
  readonly auditReader: Pick<AuditReader, 'room' | 'user'>;
}

/** Rooms and users as they were. */
export function servePast(router: Router, { sessions, now, commands, auditReader }: PastParts): void {
  const signedIn = authenticated(sessions, now);
  resource(router, '/audit/rooms/:roomId', {
    GET: signedIn(async (ctx, session) => {
      const roomId = readId(ctx.params.roomId);
      const { at } = readQuery(ctx, RoomThenQuery);
      await recordRead(commands, session, 'room', ctx);
      ctx.body = await auditReader.room(roomId, typeof at === 'number' ? { seq: at } : { time: at });
    }),
  });
  resource(router, '/audit/users/:userId', {
    GET: signedIn(async (ctx, session) => {
      const userId = readId(ctx.params.userId);
      const { at } = readQuery(ctx, UserThenQuery);
      await recordRead(commands, session, 'user', ctx);
      ctx.body = await auditReader.user(userId, at);
    }),
  });
}
