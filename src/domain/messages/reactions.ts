import { z } from 'zod';
import { forbidden } from '../../base/errors.js';
import { clientCommand, type Decision } from '../defineCommand.js';
import { event, push, type ReactionsOf, type SealedMessage, type Topic } from '../defineEvent.js';
import { Id, Revision } from '../fields.js';
import type { UserId } from '../ids.js';
import { MESSAGE_REACTIONS } from '../limits.js';
import { messageOfMember, refusalIfEnded, roomStream } from '../streams.js';
import { Reaction } from '../userMessageChat.js';
import { showChanged } from './edits.js';
import { shownReactions } from './sealedMessages.js';

/** Reactions: each user's emoji to a message, on or off. */

export const topic: Topic = 'messages';

const rgiEmoji = emojiPattern();

/** Undefined where the engine does not know the `v` flag, as older browsers: there the server alone checks. */
function emojiPattern(): RegExp | undefined {
  const flags = 'v'; // A literal would not even parse there.
  try {
    return new RegExp('^\\p{RGI_Emoji}$', flags);
  } catch {
    return undefined;
  }
}

const MOST_EMOJI_UNITS = 64;

const Emoji = z
  .string()
  .min(1)
  .max(MOST_EMOJI_UNITS)
  .refine((text) => rgiEmoji?.test(text) ?? true, 'must be exactly one emoji')
  .meta({ description: 'One emoji of Unicode’s RGI set.' });

export const reactPush = push('react', {
  isStored: true,
  data: z.strictObject({
    roomId: z.string(),
    messageId: z.string(),
    seq: z.int().min(1),
    userId: z.string(),
    emoji: z.string(),
    on: z.boolean(),
  }),
  note: 'A member has reacted to a message, or has taken a reaction back.',
});

/** The actor is the user who reacts. */
export const ReactionChanged = event('ReactionChanged', roomStream, {
  data: z.strictObject({
    roomId: z.string(),
    messageId: z.string(),
    seq: z.int().min(1),
    emoji: z.string(),
    on: z.boolean(),
  }),
  changes: (message, { actor, data }) => withReactions(message, changeReactions(message, actor, data)),
  push: ({ actor, data }, { members, message }) => [
    message
      ? showChanged(message, members)
      : reactPush.of({
          to: members,
          seq: data.seq,
          room: data.roomId,
          onlyLive: true,
          data: () => ({ ...data, userId: actor }),
        }),
  ],
  line: ({ actor, data: { emoji, on, seq, roomId } }, { who }) =>
    `${who(actor)} ${on ? 'reacted' : 'took back the reaction'} ${emoji} to message ${seq} of room ${roomId}`,
});

interface Change {
  readonly emoji: string;
  readonly on: boolean;
}

function changeReactions(
  { reactions = [] }: Pick<SealedMessage, 'reactions'>,
  user: UserId,
  { emoji, on }: Change,
): readonly ReactionsOf[] {
  const known = reactions.find(([one]) => one === emoji)?.[1] ?? [];
  const others = known.filter((one) => one !== user);
  if (on && known.length === 0) return [...reactions, [emoji, [user]]];
  const users = on ? (others.length < known.length ? known : [...known, user]) : others;
  return reactions.flatMap((one) =>
    one[0] !== emoji ? [one] : users.length > 0 ? [[emoji, users] as const] : [],
  );
}

function withReactions(message: SealedMessage, reactions: readonly ReactionsOf[]): SealedMessage {
  const { reactions: _, ...rest } = message;
  return reactions.length > 0 ? { ...rest, reactions } : rest;
}

export const react = clientCommand('react', roomStream, {
  data: { roomId: Id, messageId: Id, emoji: Emoji, on: z.boolean() },
  answer: z.strictObject({ reactions: z.array(Reaction), revision: Revision }),
  note: `Adds my reaction, or takes it back. At most ${MESSAGE_REACTIONS.ofOneUser} of mine and ${MESSAGE_REACTIONS.emoji} different emoji per message.`,
  streamId: ({ roomId }) => roomId,
  wants: ({ roomId, messageId }) => ({ messages: [{ roomId, messageId }] }),
  decide(command, state, facts): Decision<{ readonly reactions: readonly ReactionsOf[] }> {
    const found = messageOfMember(state, command, facts);
    if ('refused' in found) return found;
    const { room, message } = found;
    const { actor, roomId, messageId, emoji, on } = command;
    const { reactions = [], seq } = message;
    const mine = reactions.filter(([, users]) => users.includes(actor));
    if (mine.some(([one]) => one === emoji) === on) return { events: [], answer: { reactions } };
    const ended = refusalIfEnded(room, command.actor);
    if (ended) return ended;
    if (on && mine.length >= MESSAGE_REACTIONS.ofOneUser)
      return { refused: forbidden('you have reacted to this message too often', 'too_many') };
    const isNew = !reactions.some(([one]) => one === emoji);
    if (on && isNew && reactions.length >= MESSAGE_REACTIONS.emoji)
      return { refused: forbidden('this message has too many different reactions', 'too_many') };
    const changed = ReactionChanged.of(roomId, { roomId, messageId, seq, emoji, on });
    return { events: [changed], answer: { reactions: changeReactions(message, actor, { emoji, on }) } };
  },
  reply: (_, { reactions }, revision) => ({ reactions: shownReactions(reactions), revision }),
});
