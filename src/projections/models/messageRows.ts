import type { WantedMessage } from '../../domain/defineCommand.js';
import type { ReactionsOf, SealedMessage } from '../../domain/defineEvent.js';
import { changedBy, changeMessage, type Recorded } from '../../domain/events.js';
import type { Sealed } from '../../domain/fields.js';
import type { Window } from '../../domain/groups/groupMembers.js';
import type { RoomId } from '../../domain/ids.js';
import { messageTerm, openedMessage, partsOf } from '../../domain/messages/sealedMessages.js';
import type { Message } from '../../domain/userMessageChat.js';
import type { Projection } from '../projection.js';
import { elementAt, type Model, type Row, type RowReader } from '../store/rowStore.js';
import { editsModel } from './editsAndMentions.js';
import { messageIdsModel } from './messageIdIndex.js';
import { editKey, longId, MAX_SEQ, messageKey, shortId } from './messageKeys.js';
import type { ContentOpener } from './userRows.js';

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
  rest?: RestOfRow,
];

/** The fields that a message may lack. The users of reactions are as `shortId` makes them. */
type RestOfRow = Omit<SealedMessage, 'messageId' | 'roomId' | 'seq' | 'senderId' | 'text' | 'sentAt'>;

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
    ...(rest ? withUsers(rest, longId) : {}),
  };
}

/** The rest of a row with the ids of the users who have reacted in their long or short form. */
function withUsers(rest: RestOfRow, idOf: (id: string) => string): RestOfRow {
  if (!rest.reactions) return rest;
  return {
    ...rest,
    reactions: rest.reactions.map(([emoji, users]): ReactionsOf => [emoji, users.map(idOf)]),
  };
}

/** The time of the message before: messages of one commit have one time. */
let parsedTime = { text: '', sentAt: Number.NaN };

function timeOf(text: string): number {
  if (text !== parsedTime.text) parsedTime = { text, sentAt: Date.parse(text) };
  return parsedTime.sentAt;
}

function sentRow({ actor, recordedAt, data }: Recorded<'MessageSent'>): MessageRow {
  const { messageId, text, replyTo, data: sealed, mentions } = data;
  const [sender, sentAt] = [shortId(actor), timeOf(recordedAt)];
  if (replyTo === undefined && sealed === undefined && mentions === undefined)
    return [messageId, sender, text, sentAt];
  const rest = {
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(sealed === undefined ? {} : { data: sealed }),
    ...(mentions === undefined ? {} : { mentions }),
  };
  return [messageId, sender, text, sentAt, rest];
}

function messageRow({ roomId: _, seq: __, ...message }: SealedMessage): MessageRow {
  const { messageId, senderId, text, sentAt, ...rest } = message;
  return [messageId, shortId(senderId), text, Date.parse(sentAt), withUsers(rest, shortId)];
}

/** The history: one row for each message. */
export const messagesModel: Model<MessageRow> = { name: 'messages', version: 1, indexes: {} };

/** Folds the history. */
export const messagesProjection: Projection<MessageRow> = {
  model: messagesModel,
  keys(event) {
    const place = event.type === 'MessageSent' ? event.data : changedBy(event);
    return place ? [messageKey(place.roomId, place.seq)] : [];
  },
  creates: (event) => event.type === 'MessageSent',
  evolve(value, event, key) {
    if (event.type === 'MessageSent') return sentRow(event);
    const { partition, offset } = event;
    const message = value && messageOf({ key, partition, offset, value });
    return message ? messageRow(changeMessage(message, event)) : (value ?? null);
  },
  isRarelyChanged: () => true,
};

/** A part of a room's history. */
export interface PageRequest {
  /** A `seq`, exclusive. Give `before` or `after`, not both. */
  readonly before?: number;
  readonly after?: number;
  readonly limit: number;
}

/** A part of a room's history with the message of this `seq` in its middle. */
export interface PageAround {
  readonly around: number;
  readonly limit: number;
}

/** The half of the page that begins with the message, and what is before it, which `hasMore` is about. */
export async function pageAround<M>(
  { around, limit }: PageAround,
  read: (half: PageRequest) => Promise<{ messages: M[]; hasMore: boolean }>,
): Promise<{ messages: M[]; hasMore: boolean }> {
  const later = await read({ after: around - 1, limit: Math.ceil(limit / 2) });
  const earlier = await read({ before: around, limit: Math.max(1, Math.floor(limit / 2)) });
  const messages = [...earlier.messages, ...later.messages];
  return { messages: messages.slice(-limit), hasMore: earlier.hasMore || messages.length > limit };
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

/** A message of the history as its row holds it. */
export interface StoredMessage {
  readonly message: SealedMessage;
  /** Of the last event that is folded into it. */
  readonly offset: number;
  /** Those of its edits that were asked for, by id. */
  readonly edits?: ReadonlyMap<string, StoredEdit>;
}

/** A text that a message had, or has, after an edit. */
export interface StoredEdit {
  readonly text: Sealed;
  readonly mentions?: readonly string[];
}

/** A message that may exist: keys of the index of ids that may lead to it, and `seq`s that it may have. */
export interface AskedMessage extends WantedMessage {
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
    const row = messages.get(key);
    const message = messageOf(row);
    if (!row || message?.messageId !== messageId || message.roomId !== roomId) continue;
    facts.set(messageTerm(message), { message, offset: row.offset });
  }
  return withAskedEdits(rows, asked, facts);
}

/** Adds the edits that were asked for and made before. */
async function withAskedEdits(
  rows: RowReader,
  asked: readonly AskedMessage[],
  facts: Map<string, StoredMessage>,
): Promise<Map<string, StoredMessage>> {
  const wanted = asked.flatMap(({ editId, ...ref }) => {
    const stored = facts.get(messageTerm(ref));
    const rev = editId === undefined ? 0 : (stored?.message.edits ?? []).indexOf(editId) + 1;
    return stored && editId !== undefined && rev > 0
      ? [{ stored, editId, key: editKey(stored.message, rev) }]
      : [];
  });
  if (wanted.length === 0) return facts;
  const found = await getAll(rows, editsModel, [...new Set(wanted.map(({ key }) => key))]);
  for (const { stored, editId, key } of wanted) {
    const edit = found.get(key)?.value;
    const term = messageTerm(stored.message);
    const edits = facts.get(term)?.edits ?? new Map<string, StoredEdit>();
    if (edit) facts.set(term, { ...stored, edits: new Map([...edits, [editId, edit]]) });
  }
  return facts;
}

/** The messages of these `seq`s of a room, sealed. */
export async function messagesAt(
  rows: RowReader,
  roomId: RoomId,
  seqs: readonly number[],
): Promise<SealedMessage[]> {
  const found = await getAll(
    rows,
    messagesModel,
    seqs.map((seq) => messageKey(roomId, seq)),
  );
  return [...found.values()].flatMap((row) => messageOf(row) ?? []);
}

/** Opens messages all at once, in their order. */
export async function openMessages(
  open: ContentOpener,
  messages: readonly SealedMessage[],
): Promise<Message[]> {
  const parts = messages.flatMap(partsOf);
  const texts = await open.messages(parts);
  const opened = new Map(parts.map(({ text }, i) => [text, elementAt(texts, i)]));
  return messages.map((message) => openedMessage(message, (text) => opened.get(text) ?? null));
}
