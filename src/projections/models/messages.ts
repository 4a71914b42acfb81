import type { Message } from '../../domain/contract.js';
import type { RoomId } from '../../domain/ids.js';
import {
  messageTerm,
  openedMessage,
  type SealedMessage,
  type StoredMessage,
  sealedMessage,
} from '../../domain/pushes.js';
import type { Projection } from '../projection.js';
import type { PageRequest } from '../queries.js';
import { elementAt, type Model, type Row, type RowReader, valuesOf } from '../store/rowStore.js';
import type { ContentOpener } from './users.js';

/** The key of a room's message; keys of one room sort by `seq`. Any safe integer from 0 makes a bound. */
export function messageKey(roomId: RoomId, seq: number): string {
  const digits = seq.toString(36);
  // Base 36 gives at most eleven digits. Their count in front makes keys sort like numbers.
  return `${roomId}/${digits.length.toString(36)}${digits}`;
}

/**
 * The history: one row for each message, at its event's offset. It is read by key ranges and by message id.
 */
export const messagesModel: Model<SealedMessage> = {
  name: 'messages',
  version: 2,
  insertOnly: true,
  indexes: {
    id: ({ value }) => ({ terms: [messageTerm(value.roomId, value.messageId)], sort: value.seq }),
  },
};

/** Folds the history. */
export const messagesProjection: Projection<SealedMessage> = {
  model: messagesModel,
  keys: (event) => (event.type === 'MessageSent' ? [messageKey(event.data.roomId, event.data.seq)] : []),
  evolve: (value, event) => (event.type === 'MessageSent' ? sealedMessage(event) : (value ?? null)),
};

// No message has this `seq`, so it bounds the newest one.
const MAX_SEQ = Number.MAX_SAFE_INTEGER;
const MAX_TERMS = 256;
const PROBES = 16;

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
  const messages = valuesOf(found.slice(0, limit));
  return { messages: after === undefined ? messages.reverse() : messages, hasMore: found.length > limit };
}

/**
 * The room's first messages with `above < offset ≤ upTo`, at most `limit`, ascending. `lastSeq` is the newest
 * `seq` that may exist. Everything up to `upTo` must be folded. Costs a few reads, whatever the length of the
 * history.
 */
export async function messagesBetween(
  rows: RowReader,
  roomId: RoomId,
  between: {
    readonly above: number;
    readonly upTo: number;
    readonly lastSeq: number;
    readonly limit: number;
  },
): Promise<Row<SealedMessage>[]> {
  const { above, upTo, lastSeq, limit } = between;
  const first = await firstSeqAbove(rows, roomId, above, lastSeq);
  if (first > lastSeq) return [];
  const range = { after: messageKey(roomId, first - 1), before: messageKey(roomId, MAX_SEQ), limit };
  const found = await rows.range(messagesModel, range);
  return found.filter(({ offset }) => offset <= upTo);
}

/** The messages whose ids are used in their rooms, by `messageTerm`; sealed, as stored. Writers ask this. */
export async function messageFacts(
  rows: RowReader,
  asked: readonly { readonly roomId: RoomId; readonly messageId: string }[],
): Promise<Map<string, StoredMessage>> {
  const terms = [...new Set(asked.map(({ roomId, messageId }) => messageTerm(roomId, messageId)))];
  const facts = new Map<string, StoredMessage>();
  for (let at = 0; at < terms.length; at += MAX_TERMS) {
    const some = terms.slice(at, at + MAX_TERMS);
    const found = await rows.find(messagesModel, 'id', { terms: some, unordered: true, limit: some.length });
    for (const { roomId, ...fact } of valuesOf(found)) facts.set(messageTerm(roomId, fact.messageId), fact);
  }
  return facts;
}

/**
 * The least `seq` whose offset is above `above`; `lastSeq + 1` if there is none. Offsets in a room grow with
 * `seq`. So an exponential search from the newest message, then narrowing, costs the logarithm of what was
 * missed.
 */
async function firstSeqAbove(
  rows: RowReader,
  roomId: RoomId,
  above: number,
  lastSeq: number,
): Promise<number> {
  let seen = 0;
  let missed = lastSeq + 1;
  const probe = async (seqs: readonly number[]) => {
    const found = await rows.get(
      messagesModel,
      seqs.map((seq) => messageKey(roomId, seq)),
    );
    for (const seq of seqs) {
      const row = found.get(messageKey(roomId, seq));
      // A missing row is newer than everything asked for: only a model ahead of this one has folded it.
      if (row !== undefined && row.offset <= above) seen = Math.max(seen, seq);
      else missed = Math.min(missed, seq);
    }
  };
  const gallop: number[] = [];
  for (let back = 1; lastSeq + 1 - back > 0; back *= 2) gallop.push(lastSeq + 1 - back);
  if (gallop.length > 0) await probe(gallop);
  while (missed - seen > 1) await probe(spread(seen, missed));
  return missed;
}

/** Up to 16 evenly spaced integers strictly between two. */
function spread(low: number, high: number): number[] {
  const step = Math.max(1, Math.floor((high - low) / (PROBES + 1)));
  const numbers: number[] = [];
  for (let n = low + step; n < high && numbers.length < PROBES; n += step) numbers.push(n);
  return numbers;
}

/** Opens messages all at once, in their order. */
export async function openMessages(
  open: ContentOpener,
  messages: readonly SealedMessage[],
): Promise<Message[]> {
  const texts = await open.messages(messages);
  return messages.map((message, i) => openedMessage(message, elementAt(texts, i)));
}
