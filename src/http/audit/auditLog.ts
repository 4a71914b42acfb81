import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import type { AuditReader } from '../../audit/auditReader.js';
import type { Heads } from '../../audit/proof/heads.js';
import type { ConsistencyProof, InclusionProof, Proofs } from '../../audit/proof/proofs.js';
import { badRequest, notFound } from '../../base/errors.js';
import type { CommandRouter } from '../../domain/commands.js';
import type { SessionStore } from '../../vault/vault.js';
import { authenticated, resource } from '../auth.js';
import { readId, readQuery } from '../problems.js';
import { NoFields } from '../schemas.js';
import { type AuditorParts, forAuditors, ProofQuery, recordRead } from './auditAccess.js';
import { RoomThenQuery, UserThenQuery } from './auditEventSchemas.js';

export interface AuditLogParts {
  readonly heads: Pick<Heads, 'keys' | 'advance'>;
  readonly proofs: Pick<Proofs, 'inclusion' | 'consistency' | 'tile'>;
  readonly partitions: number;
}

/** The signed log: keys, checkpoints, tiles and proofs. What a witness asks for again and again is not recorded. */
export function serveAuditLog(router: Router, parts: AuditLogParts & AuditorParts): void {
  const { heads, proofs } = parts;
  const audited = forAuditors(parts);
  const partitionOf = (ctx: RouterContext): number => {
    const text = ctx.params.partition ?? '';
    if (!/^(0|[1-9]\d*)$/.test(text) || Number(text) >= parts.partitions)
      throw notFound('there is no such partition');
    return Number(text);
  };
  const prove = async (ctx: RouterContext): Promise<InclusionProof | ConsistencyProof> => {
    const partition = partitionOf(ctx);
    const { offset, from, size } = readQuery(ctx, ProofQuery);
    if (offset !== undefined && from === undefined) return proofs.inclusion(partition, offset, size);
    if (from !== undefined && offset === undefined) return proofs.consistency(partition, from, size);
    const message = 'either offset or from must be given';
    throw badRequest(message, [{ path: 'offset', message }]);
  };
  resource(router, '/audit/log/key', {
    GET: audited(async (ctx) => {
      readQuery(ctx, NoFields);
      const keys = await heads.keys();
      ctx.body = `${keys.join('\n')}\n`;
    }),
  });
  resource(router, '/audit/log/:partition/checkpoint', {
    GET: audited(async (ctx) => {
      readQuery(ctx, NoFields);
      const { note } = await heads.advance(partitionOf(ctx));
      ctx.body = note;
    }),
  });
  resource(router, '/audit/log/:partition/tile/*tile', {
    GET: audited(async (ctx) => {
      readQuery(ctx, NoFields);
      const bytes = await proofs.tile(partitionOf(ctx), ctx.params.tile ?? '');
      ctx.type = 'application/octet-stream';
      ctx.body = bytes;
    }),
  });
  resource(router, '/audit/log/:partition/proof', {
    GET: audited(async (ctx) => {
      ctx.body = await prove(ctx);
    }),
  });
}

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
