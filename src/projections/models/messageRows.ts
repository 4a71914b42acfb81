import { LRUCache } from 'lru-cache';
import type { SealedMessage } from '../../domain/defineEvent.js';
import type { Recorded } from '../../domain/events.js';
import type { Window } from '../../domain/groupMembers.js';
import type { MessageRef, RoomId } from '../../domain/ids.js';
import { deletedMessage, messageTerm, openedMessage, type StoredMessage } from '../../domain/messages.js';
import type { Message } from '../../domain/userMessageChat.js';
import type { Projection } from '../projection.js';
import { elementAt, type Model, type Row, type RowReader } from '../store/rowStore.js';
import { messageIdsModel } from './messageIdIndex.js';
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

/** The time of the message before: messages of one commit have one time. */
let parsedTime = { text: '', sentAt: Number.NaN };

function timeOf(text: string): number {
  if (text !== parsedTime.text) parsedTime = { text, sentAt: Date.parse(text) };
  return parsedTime.sentAt;
}

function sentRow({ actor, recordedAt, data }: Recorded<'MessageSent'>): MessageRow {
  const { messageId, text, replyTo } = data;
  const [sender, sentAt] = [shortId(actor), timeOf(recordedAt)];
  if (replyTo === undefined) return [messageId, sender, text, sentAt];
  return [messageId, sender, text, sentAt, { replyTo }];
}

function messageRow(message: SealedMessage): MessageRow {
  const { messageId, senderId, text, sentAt, replyTo, deleted } = message;
  const rest = { ...(replyTo === undefined ? {} : { replyTo }), ...(deleted ? { deleted } : {}) };
  return [messageId, shortId(senderId), text, Date.parse(sentAt), rest];
}

/** The history: one row for each message. */
export const messagesModel: Model<MessageRow> = { name: 'messages', version: 1, indexes: {} };

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
  windows?: readonly Window[],
): Promise<{ messages: SealedMessage[]; hasMore: boolean }> {
  if (windows)
    return windowedPage(rows, roomId, { before, ...(after === undefined ? {} : { after }), limit }, windows);
  const found = await rows.range(messagesModel, {
    after: messageKey(roomId, after ?? 0),
    before: messageKey(roomId, before),
    reverse: after === undefined,
    limit: limit + 1,
  });
  const messages = found.slice(0, limit).flatMap((row) => messageOf(row) ?? []);
  return { messages: after === undefined ? messages.reverse() : messages, hasMore: found.length > limit };
}

/** The parts of a room's history that lie in the windows, which may overlap, in ascending order. */
function spansIn(windows: readonly Window[]): { from: number; to: number }[] {
  const spans: { from: number; to: number }[] = [];
  for (const [from, to] of windows.toSorted((a, b) => a[0] - b[0])) {
    const [last, end] = [spans.at(-1), to ?? MAX_SEQ - 1];
    if (last && from <= last.to + 1) last.to = Math.max(last.to, end);
    else spans.push({ from, to: end });
  }
  return spans;
}

/** As `messagePage`, of what lies in the windows. */
async function windowedPage(
  rows: RowReader,
  roomId: RoomId,
  { before = MAX_SEQ, after, limit }: PageRequest,
  windows: readonly Window[],
): Promise<{ messages: SealedMessage[]; hasMore: boolean }> {
  const isForward = after !== undefined;
  const found: Row<MessageRow>[] = [];
  const spans = spansIn(windows);
  for (const { from, to } of isForward ? spans : spans.reverse()) {
    const [first, last] = [Math.max(from, (after ?? 0) + 1), Math.min(to, before - 1)];
    if (first > last) continue;
    const part = await rows.range(messagesModel, {
      after: messageKey(roomId, first - 1),
      before: messageKey(roomId, last + 1),
      reverse: !isForward,
      limit: limit + 1 - found.length,
    });
    found.push(...part);
    if (found.length > limit) break;
  }
  const messages = found.slice(0, limit).flatMap((row) => messageOf(row) ?? []);
  return { messages: isForward ? messages : messages.reverse(), hasMore: found.length > limit };
}

/** A message that may exist: keys of the index of ids that may lead to it, and `seq`s that it may have. */
export interface AskedMessage extends MessageRef {
  readonly keys: readonly string[];
  readonly seqs: readonly number[];
}

/** Keys of one read. */
const MOST_KEYS = 4096;

async function getAll<R>(
  rows: RowReader,
  model: Model<R>,
  keys: readonly string[],
): Promise<Map<string, Row<R>>> {
  if (keys.length <= MOST_KEYS) return keys.length === 0 ? new Map() : rows.get(model, keys);
  const found = new Map<string, Row<R>>();
  for (let at = 0; at < keys.length; at += MOST_KEYS)
    for (const [key, row] of await rows.get(model, keys.slice(at, at + MOST_KEYS))) found.set(key, row);
  return found;
}

/**
 * The messages whose ids are used in their rooms, by `messageTerm`; sealed, as stored. Writers ask this. What the index
 * says counts only if the message itself has the id.
 */
export async function messageFacts(
  rows: RowReader,
  asked: readonly AskedMessage[],
): Promise<Map<string, StoredMessage>> {
  const found = await getAll(rows, messageIdsModel, [...new Set(asked.flatMap(({ keys }) => keys))]);
  const candidates = asked.flatMap(({ roomId, messageId, keys, seqs }) =>
    [...seqs, ...keys.map((key) => found.get(key)?.value)].flatMap((seq) =>
      typeof seq === 'number' ? [{ roomId, messageId, key: messageKey(roomId, seq) }] : [],
    ),
  );
  const messages = await getAll(rows, messagesModel, [...new Set(candidates.map(({ key }) => key))]);
  const facts = new Map<string, StoredMessage>();
  for (const { roomId, messageId, key } of candidates) {
    const message = messageOf(messages.get(key));
    if (message?.messageId !== messageId || message.roomId !== roomId) continue;
    const { roomId: _, ...fact } = message;
    facts.set(messageTerm({ roomId, messageId }), fact);
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
