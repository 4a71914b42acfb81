import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import type { Heads } from '../../audit/proof/heads.js';
import type { ConsistencyProof, InclusionProof, Proofs } from '../../audit/proof/proofs.js';
import { badRequest, notFound } from '../../base/errors.js';
import { type RequireSession, serveResource } from '../auth.js';
import { readQuery } from '../problems.js';
import { NoFields } from '../schemas.js';
import { ProofQuery } from './auditAccess.js';

export interface LogParts {
  readonly heads: Pick<Heads, 'keys' | 'advance'>;
  readonly proofs: Proofs;
  readonly partitions: number;
}

/** The signed log: keys, checkpoints, tiles and proofs. Reads are not recorded: a witness repeats them for ever. */
export function mountAuditLog(
  router: Router,
  { heads, proofs, partitions }: LogParts,
  audited: RequireSession,
): void {
  const partitionOf = (ctx: RouterContext): number => {
    const text = ctx.params.partition ?? '';
    if (!/^(0|[1-9]\d*)$/.test(text) || Number(text) >= partitions)
      throw notFound(`partitions are 0 to ${partitions - 1}`);
    return Number(text);
  };
  const prove = async (ctx: RouterContext): Promise<InclusionProof | ConsistencyProof> => {
    const partition = partitionOf(ctx);
    const { offset, from, size } = readQuery(ctx, ProofQuery);
    if (offset !== undefined && from === undefined) return proofs.inclusion(partition, offset, size);
    if (from !== undefined && offset === undefined) return proofs.consistency(partition, from, size);
    const message = 'give either offset or from';
    throw badRequest(message, [{ path: 'offset', message }]);
  };
  serveResource(router, '/audit/log/key', {
    GET: audited(async (ctx) => {
      readQuery(ctx, NoFields);
      const keys = await heads.keys();
      ctx.body = `${keys.join('\n')}\n`;
    }),
  });
  serveResource(router, '/audit/log/:partition/checkpoint', {
    GET: audited(async (ctx) => {
      readQuery(ctx, NoFields);
      const { note } = await heads.advance(partitionOf(ctx));
      ctx.body = note;
    }),
  });
  serveResource(router, '/audit/log/:partition/tile/*tile', {
    GET: audited(async (ctx) => {
      readQuery(ctx, NoFields);
      const bytes = await proofs.tile(partitionOf(ctx), ctx.params.tile ?? '');
      ctx.type = 'application/octet-stream';
      ctx.body = bytes;
    }),
  });
  serveResource(router, '/audit/log/:partition/proof', {
    GET: audited(async (ctx) => {
      ctx.body = await prove(ctx);
    }),
  });
}
