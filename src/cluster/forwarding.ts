import { z } from 'zod';
import type { Answer, Command, CommandKind } from '../commands/commands.js';
import { NotOwner } from '../commands/notOwner.js';
import { type ErrorCode, type ErrorDetails, overloaded, ParleyError } from '../errors.js';

/** What crosses the bus between a lane and the node that owns its partition: JSON values. */

const user = z.string();
const room = z.string();
const id = z.string();
const Known = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('register user'),
    userId: user,
    username: z.string(),
    backgroundColor: z.string(),
  }),
  z.object({ kind: z.literal('go online'), userId: user }),
  z.object({ kind: z.literal('go offline'), userId: user, lastSeen: z.string() }),
  z.object({ kind: z.literal('erase user'), userId: user }),
  z.object({ kind: z.literal('erase member'), roomId: room, userId: user }),
  z.object({ kind: z.literal('appoint auditor'), userId: user }),
  z.object({ kind: z.literal('dismiss auditor'), userId: user }),
  z.object({
    kind: z.literal('record audit read'),
    userId: user,
    resource: z.enum(['events', 'room', 'user']),
    query: z.record(z.string(), z.string()),
  }),
  z.object({ kind: z.literal('add friend'), actor: user, friendId: user }),
  z.object({ kind: z.literal('init chat'), actor: user, friendId: user }),
  z.object({
    kind: z.literal('send message'),
    actor: user,
    roomId: room,
    messageId: id,
    message: z.string(),
    replyTo: id.optional(),
  }),
  z.object({
    kind: z.literal('read messages'),
    actor: user,
    roomId: room,
    upTo: z.number().optional(),
  }),
]);

/** Commands of one lane, in the order in which they are to take effect. */
export const Forwarded = z.object({
  kind: z.literal('commands'),
  partition: z.int().min(0),
  /** Of the lane: its later ones have a greater number. */
  session: z.int().min(1),
  /** 0, 1, 2 … within the session. */
  sequence: z.int().min(0),
  /** Each is looked at by itself: one that a newer version sends must not cost the others their way. */
  commands: z.array(z.tuple([z.unknown(), id]).readonly()).readonly(),
});
export type Forwarded = Omit<z.infer<typeof Forwarded>, 'commands'> & {
  readonly commands: readonly (readonly [command: Command, commandId: string])[];
};

/** A forwarded command as this version knows it. Throws `overloaded`: a newer node may own the partition soon. */
export function commandOf(sent: unknown): Command {
  const { success, data } = Known.safeParse(sent);
  if (!success) throw overloaded("the partition's owner does not know this kind of command yet");
  return data as Command; // Optional fields that are absent are so here too.
}

/** What became of one command; `returned`: nothing was done, the partition is not owned there. */
export type Result =
  | { readonly answer: Answer<CommandKind> }
  | { readonly refused: Refused }
  | { readonly returned: true };

interface Refused {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

/**
 * The answer to one request: a result for each command; or nothing of it was taken, nor will anything be that comes
 * later in its session. `next` is then, if known, the first sequence of the session that was not taken.
 */
export type ForwardedReply =
  | { readonly results: readonly Result[] }
  | { readonly isRefused: true; readonly next?: number };

export function refusedResult(error: unknown): Result {
  if (error instanceof NotOwner) return { returned: true };
  if (!(error instanceof ParleyError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { refused: { code: 'internal', message, details: {} } };
  }
  const { code, message, details } = error;
  return { refused: { code, message, details } };
}

export const refusalOf = ({ code, message, details }: Refused): ParleyError =>
  new ParleyError(code, message, details);
