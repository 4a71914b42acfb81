import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import type { Heads } from '../../audit/heads.js';
import type { ConsistencyProof, InclusionProof, Proofs } from '../../audit/proofs.js';
import { badRequest, notFound } from '../../errors.js';
import { readQuery } from '../input.js';
import { resource } from '../resource.js';
import { NoFields } from '../schemas.js';
import { type AuditorParts, forAuditors } from './auditor.js';
import { ProofQuery } from './schemas.js';

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
