import { z } from 'zod';

const partition = z.int().min(0);
const size = z.int().min(0);

/** What nodes tell each other in passing: nothing depends on its arrival. */
export const Note = z.discriminatedUnion('kind', [
  /** Of the partitions that the sender owns, their last position and tree size; once a second. */
  z.object({
    kind: z.literal('tails'),
    tails: z.array(z.tuple([partition, z.int().min(0), size]).readonly()).readonly(),
  }),
  /** Leases have changed hands: look. */
  z.object({ kind: z.literal('owners') }),
  /** By table and partition, the tree size up to which whoever folds it has stored a read model. */
  z.object({
    kind: z.literal('progress'),
    advances: z.array(z.tuple([z.string(), partition, size]).readonly()).readonly(),
  }),
  /** To the partition's owner: somebody waits for the read models to reach this size. */
  z.object({ kind: z.literal('want'), partition, size }),
  /** The ids of sessions that have ended. */
  z.object({ kind: z.literal('ended'), sessions: z.array(z.string()).readonly() }),
  /** A user begins or stops typing in a room; for the users in `to`. */
  z.object({
    kind: z.literal('typing'),
    to: z.array(z.string()).readonly(),
    roomId: z.string(),
    userId: z.string(),
    isTyping: z.boolean(),
  }),
]);
export type Note = z.infer<typeof Note>;
