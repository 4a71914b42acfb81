import type { ReactionsOf, SealedMessage } from '../defineEvent.js';
import type { Sealed } from '../fields.js';
import type { Actor, MessageRef, RoomId, UserId } from '../ids.js';
import { SHOWN_REACTING } from '../limits.js';
import type { Message } from '../userMessageChat.js';

/** A message as it is stored, with its texts sealed, and as clients get it. */

/** One of the sealed texts of a message, at its place in its sender's tree of keys. */
export interface SealedPart {
  readonly senderId: UserId;
  readonly roomId: RoomId;
  readonly messageId: string;
  readonly seq: number;
  /** The revision of the text; 0 if it is not given. */
  readonly rev?: number;
  /** The integrator's data instead of the text. */
  readonly isData?: true;
  /** Null when the message was deleted. */
  readonly text: Sealed | null;
}

type TextName = Pick<SealedPart, 'roomId' | 'messageId'> & Pick<SealedPart, 'rev' | 'isData'>;

/** The context that a sealed text of a message is bound to. */
export function textContext({ roomId, messageId, rev = 0, isData }: TextName): string {
  if (rev > 0 && !isData) return `room:${roomId}|MessageEdited|${messageId}|${rev}|text`;
  return `room:${roomId}|MessageSent|${messageId}|${isData ? 'data' : 'text'}`;
}

/** The message's data as a part that can be opened; undefined if it has none. */
export function dataPart({ senderId, roomId, messageId, seq, data }: SealedMessage): SealedPart | undefined {
  return data === undefined ? undefined : { senderId, roomId, messageId, seq, isData: true, text: data };
}

/** What was said at first: a message that was edited keeps it apart. */
export const firstBody = ({ first, text, mentions }: SealedMessage) =>
  first ?? { text, ...(mentions ? { mentions } : {}) };

/** The sealed texts that a message shows. */
export function partsOf(message: SealedMessage): SealedPart[] {
  const data = dataPart(message);
  return data ? [message, data] : [message];
}

/** Reactions as clients get them. */
export const shownReactions = (reactions: readonly ReactionsOf[]): NonNullable<Message['reactions']> =>
  reactions.map(([emoji, users]) => ({
    emoji,
    userIds: users.slice(0, SHOWN_REACTING),
    count: users.length,
  }));

/**
 * The message as clients get it; `open` gives null for a text whose key was destroyed. Such a message is erased, unless
 * it was deleted.
 */
export function openedMessage(sealed: SealedMessage, open: (text: Sealed) => string | null): Message {
  const { messageId, roomId, seq, senderId, replyTo, sentAt, deleted } = sealed;
  const message = deleted || sealed.text === null ? null : open(sealed.text);
  // Written out for nearly all messages: spreading objects takes several times as long.
  if (message !== null && replyTo === undefined && isPlain(sealed))
    return { messageId, roomId, seq, senderId, message, sentAt };
  const placed = { messageId, roomId, seq, senderId, message };
  const quoted = replyTo === undefined ? {} : { replyTo };
  if (deleted) return { ...placed, ...quoted, sentAt, deleted };
  return {
    ...placed,
    ...quoted,
    ...shownParts(sealed, open),
    sentAt,
    ...(message === null ? { erased: true as const } : {}),
  };
}

/** Whether the message has none of the fields that few messages have. */
const isPlain = ({ data, mentions, rev, editedAt, reactions, pinned }: SealedMessage): boolean =>
  data === undefined &&
  mentions === undefined &&
  rev === undefined &&
  editedAt === undefined &&
  reactions === undefined &&
  !pinned;

/** The fields that few messages have. */
function shownParts(
  { data, mentions, rev, editedAt, reactions, pinned }: SealedMessage,
  open: (text: Sealed) => string | null,
): Partial<Message> {
  const json = data === undefined ? null : open(data);
  return {
    ...(mentions ? { mentions: [...mentions] } : {}),
    // The sender gave an object.
    ...(json === null ? {} : { data: JSON.parse(json) as Record<string, unknown> }),
    ...(rev === undefined ? {} : { rev }),
    ...(editedAt === undefined ? {} : { editedAt }),
    ...(reactions && reactions.length > 0 ? { reactions: shownReactions(reactions) } : {}),
    ...(pinned ? { pinned } : {}),
  };
}

/**
 * A message's name among all rooms. The message id comes first: ids of UUIDv7 grow with time, so that an index of
 * them grows at its end.
 */
export const messageTerm = ({ roomId, messageId }: MessageRef): string => `${messageId}/${roomId}`;

/** What is left of a message that was deleted. */
export const deletedMessage = (
  { messageId, roomId, seq, senderId, replyTo, sentAt }: SealedMessage,
  { data: { by } }: { readonly data: { readonly by: Actor } },
): SealedMessage => ({
  ...{ messageId, roomId, seq, senderId, text: null },
  ...(replyTo === undefined ? {} : { replyTo }),
  ...{ sentAt, deleted: { by } },
});
