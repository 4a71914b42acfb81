import { LRUCache } from 'lru-cache';
import type { SealedMessage } from '../../domain/definePush.js';
import type { Recorded } from '../../domain/events.js';
import type { RoomId } from '../../domain/ids.js';
import { deletedMessage, messageTerm, openedMessage, type StoredMessage } from '../../domain/messages.js';
import type { Message } from '../../domain/userMessageChat.js';
import type { Projection } from '../projection.js';
import { elementAt, type Model, type Row, type RowReader } from '../store/rowStore.js';
import type { ContentOpener } from './userRows.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Short ids of rooms and senders. Few of them come again and again. */
const shortIds = new LRUCache<string, string>({ max: 10_000 });

/** A UUID in 22 characters instead of 36. Another text gets a `!` in front. */
function shortId(id: string): string {
  const known = shortIds.get(id);
  if (known !== undefined) return known;
  const short = UUID.test(id) ? Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url') : `!${id}`;
  shortIds.set(id, short);
  return short;
}

/** The id that `shortId` made short. */
function longId(short: string): string {
  if (short.startsWith('!')) return short.slice(1);
  const hex = Buffer.from(short, 'base64url').toString('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return parts.join('-');
}

/** The key of a room's message; keys of one room sort by `seq`. Any safe integer from 0 makes a bound. */
export function messageKey(roomId: RoomId, seq: number): string {
  const digits = seq.toString(36);
  // Base 36 gives at most eleven digits. Their count in front makes keys sort like numbers.
  return `${shortId(roomId)}/${digits.length.toString(36)}${digits}`;
}

/**
 * A message, without its room and `seq`, which its key has. It is short, because nearly all rows are messages: it has
 * no names of fields, and the last element is there only if it has a field.
 */
export type MessageRow = readonly [
  messageId: string,
  /** As `shortId` makes it. */
  sender: string,
  text: SealedMessage['text'],
  /** In milliseconds since 1970. */
  sentAt: number,
  rest?: Pick<SealedMessage, 'replyTo' | 'deleted'>,
];

/** The message of a row; undefined if there is none. */
export function messageOf(row: Row<MessageRow> | undefined): SealedMessage | undefined {
  if (!row?.value) return undefined;
  const [messageId, sender, text, time, rest] = row.value;
  const end = row.key.lastIndexOf('/');
  return {
    messageId,
    roomId: longId(row.key.slice(0, end)),
    // The number of digits comes first.
    seq: Number.parseInt(row.key.slice(end + 2), 36),
    senderId: longId(sender),
    text,
    sentAt: new Date(time).toISOString(),
    ...rest,
  };
}

function sentRow({ actor, recordedAt, data }: Recorded<'MessageSent'>): MessageRow {
  const { messageId, text, replyTo } = data;
  const [sender, sentAt] = [shortId(actor), Date.parse(recordedAt)];
  if (replyTo === undefined) return [messageId, sender, text, sentAt];
  return [messageId, sender, text, sentAt, { replyTo }];
}

function messageRow(message: SealedMessage): MessageRow {
  const { messageId, senderId, text, sentAt, replyTo, deleted } = message;
  const rest = { ...(replyTo === undefined ? {} : { replyTo }), ...(deleted ? { deleted } : {}) };
  return [messageId, shortId(senderId), text, Date.parse(sentAt), rest];
}

/** The history: one row for each message. It is read by key ranges and by message id. */
export const messagesModel: Model<MessageRow> = {
  name: 'messages',
  version: 1,
  indexes: {
    id(row) {
      const message = messageOf(row);
      return message && { terms: [messageTerm(message)], sort: message.seq };
    },
  },
};

/** Folds the history. */
export const messagesProjection: Projection<MessageRow> = {
  model: messagesModel,
  keys: (event) =>
    event.type === 'MessageSent' || event.type === 'MessageDeleted'
      ? [messageKey(event.data.roomId, event.data.seq)]
      : [],
  creates: (event) => event.type === 'MessageSent',
  evolve(value, event, key) {
    if (event.type === 'MessageSent') return sentRow(event);
    const { partition, offset } = event;
    const message = value && messageOf({ key, partition, offset, value });
    if (!message || event.type !== 'MessageDeleted') return value ?? null;
    return messageRow(deletedMessage(message, event));
  },
  isRarelyChanged: () => true,
};

// No message has this `seq`, so it bounds the newest one.
const MAX_SEQ = Number.MAX_SAFE_INTEGER;
const MAX_TERMS = 256;

/** A part of a room's history. */
export interface PageRequest {
  /** A `seq`, exclusive. Give `before` or `after`, not both. */
  readonly before?: number;
  readonly after?: number;
  readonly limit: number;
}

/** A page of a room's history in ascending `seq`; `hasMore` is about the direction asked. */
export async function messagePage(
  rows: RowReader,
  roomId: RoomId,
  { before = MAX_SEQ, after, limit }: PageRequest,
): Promise<{ messages: SealedMessage[]; hasMore: boolean }> {
  const found = await rows.range(messagesModel, {
    after: messageKey(roomId, after ?? 0),
    before: messageKey(roomId, before),
    reverse: after === undefined,
    limit: limit + 1,
  });
  const messages = found.slice(0, limit).flatMap((row) => messageOf(row) ?? []);
  return { messages: after === undefined ? messages.reverse() : messages, hasMore: found.length > limit };
}

/** The messages whose ids are used in their rooms, by `messageTerm`; sealed, as stored. Writers ask this. */
export async function messageFacts(
  rows: RowReader,
  asked: readonly { readonly roomId: RoomId; readonly messageId: string }[],
): Promise<Map<string, StoredMessage>> {
  const wanted = new Set(asked.map(messageTerm));
  const terms = [...wanted];
  const facts = new Map<string, StoredMessage>();
  for (let at = 0; at < terms.length; at += MAX_TERMS) {
    const some = terms.slice(at, at + MAX_TERMS);
    const found = await rows.find(messagesModel, 'id', { terms: some, unordered: true, limit: some.length });
    for (const { roomId, ...fact } of found.flatMap((row) => messageOf(row) ?? [])) {
      const term = messageTerm({ roomId, messageId: fact.messageId });
      if (wanted.has(term)) facts.set(term, fact);
    }
  }
  return facts;
}

/** Opens messages all at once, in their order. */
export async function openMessages(
  open: ContentOpener,
  messages: readonly SealedMessage[],
): Promise<Message[]> {
  const texts = await open.messages(messages);
  return messages.map((message, i) => openedMessage(message, elementAt(texts, i)));
}
