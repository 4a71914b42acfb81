import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import { z } from 'zod';
import type { Heads } from '../../audit/proof/heads.js';
import type { ConsistencyProof, InclusionProof, Proofs } from '../../audit/proof/proofs.js';
import { badRequest, notFound } from '../../base/errors.js';
import { type RequireSession, serveResource } from '../auth.js';
import { readQuery } from '../problems.js';
import { NoFields } from '../schemas.js';

const whole = (min: number) =>
  z
    .string()
    .regex(/^(0|[1-9]\d{0,15})$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min));

const hashes = z
  .array(z.string())
  .meta({ description: 'The proof as RFC 6962 says, from the bottom up; base64.' });
const checkpoint = z
  .string()
  .exactOptional()
  .meta({ description: 'The signed head of this size, if it is the newest one.' });

export const ProofQuery = z
  .strictObject({
    offset: whole(0)
      .exactOptional()
      .meta({ description: 'Proves that the event at this offset is in the log.' }),
    from: whole(1).exactOptional().meta({
      description: 'Instead of `offset`: proves that the log extends an older head of this size.',
    }),
    size: whole(1)
      .exactOptional()
      .meta({ description: 'Of the log that the proof is for; by default that of the newest head.' }),
  })
  .meta({ description: 'Either `offset` or `from`.' });

export const ProofAnswer = z.strictObject({
  offset: z.int().exactOptional(),
  from: z.int().exactOptional(),
  size: z.int(),
  entry: z.string().exactOptional().meta({ description: 'The stored bytes of the event, in base64.' }),
  hashes,
  checkpoint,
});

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
      throw notFound(`the log has ${partitions} partitions, numbered from 0`);
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
