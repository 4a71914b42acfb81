import type { SealedMessage } from '../../domain/define.js';
import type { RoomId } from '../../domain/ids.js';
import { messageTerm, type StoredMessage, sealedMessage } from '../../domain/messages.js';
import type { Projection } from '../projection.js';
import type { PageRequest } from '../queries.js';
import { type Model, type RowReader, valuesOf } from '../store/rowStore.js';

/** The key of a room's message: keys of one room sort by `seq`. Any safe integer from 0 makes a bound. */
export function messageKey(roomId: RoomId, seq: number): string {
  const digits = seq.toString(36);
  // A safe integer has at most eleven: their number before them makes keys sort as their numbers do.
  return `${roomId}/${digits.length.toString(36)}${digits}`;
}

/** The history: a row a message, at its event's offset; read by key ranges and by message id. */
export const messagesModel: Model<SealedMessage> = {
  name: 'messages',
  version: 2,
  insertOnly: true,
  indexes: {
    id: ({ value }) => ({ terms: [messageTerm(value)], sort: value.seq }),
  },
};

/** The fold of the history. */
export const messagesProjection: Projection<SealedMessage> = {
  model: messagesModel,
  keys: (event) => (event.type === 'MessageSent' ? [messageKey(event.data.roomId, event.data.seq)] : []),
  evolve: (value, event) => (event.type === 'MessageSent' ? sealedMessage(event) : (value ?? null)),
};

// No message has it: the bound behind the newest one.
const BEHIND_ALL = Number.MAX_SAFE_INTEGER;
const MAX_TERMS = 256;

/** A page of a room's history in ascending `seq`; `hasMore` is about the direction asked. */
export async function messagePage(
  rows: RowReader,
  roomId: RoomId,
  { before = BEHIND_ALL, after, limit }: PageRequest,
): Promise<{ messages: SealedMessage[]; hasMore: boolean }> {
  const found = await rows.range(messagesModel, {
    after: messageKey(roomId, after ?? 0),
    before: messageKey(roomId, before),
    reverse: after === undefined,
    limit: limit + 1,
  });
  const messages = valuesOf(found.slice(0, limit));
  return { messages: after === undefined ? messages.reverse() : messages, hasMore: found.length > limit };
}

/** What writers ask: has this id been used in this room? By `messageTerm`; sealed, as stored. */
export async function messageFacts(
  rows: RowReader,
  asked: readonly { readonly roomId: RoomId; readonly messageId: string }[],
): Promise<Map<string, StoredMessage>> {
  const terms = [...new Set(asked.map(messageTerm))];
  const facts = new Map<string, StoredMessage>();
  for (let at = 0; at < terms.length; at += MAX_TERMS) {
    const some = terms.slice(at, at + MAX_TERMS);
    const found = await rows.find(messagesModel, 'id', { terms: some, unordered: true, limit: some.length });
    for (const { roomId, ...fact } of valuesOf(found))
      facts.set(messageTerm({ roomId, messageId: fact.messageId }), fact);
  }
  return facts;
}
