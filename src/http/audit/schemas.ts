import { z } from 'zod';

const whole = (min: number) =>
  z
    .string()
    .regex(/^(0|[1-9]\d{0,14})$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min));

const hashes = z.array(z.string()).meta({ description: 'RFC 6962, from the bottom up; base64.' });
const checkpoint = z
  .string()
  .exactOptional()
  .meta({ description: 'The signed head of this size, if it is the newest.' });

export const ProofQuery = z
  .strictObject({
    offset: whole(0).exactOptional().meta({ description: 'Of the event that is proven to be in the log.' }),
    from: whole(1).exactOptional().meta({
      description: 'Instead of `offset`: the size of an older head, which the log is proven to extend.',
    }),
    size: whole(1).exactOptional().meta({ description: 'By default that of the newest head.' }),
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
