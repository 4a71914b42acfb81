import type { SealedMessage } from '../../domain/defineEvent.js';
import type { Sealed, Time } from '../../domain/fields.js';
import type { RoomId, UserId } from '../../domain/ids.js';
import { SHOWN_MENTIONS } from '../../domain/limits.js';
import { isMentioned } from '../../domain/messages/messageBody.js';
import { firstBody } from '../../domain/messages/sealedMessages.js';
import type { Projection } from '../projection.js';
import { elementAt, type Model, type Row, type RowReader } from '../store/rowStore.js';
import { editKey, messageKey } from './messageKeys.js';
import type { ContentOpener } from './userRows.js';

/** A text that an edit gave a message. The row's offset is that of the edit. */
export interface EditRow {
  readonly text: Sealed;
  readonly at: Time;
  readonly mentions?: readonly string[];
}

/**
 * The texts of edited messages, but the first one, which the message's row has. They stay when the message is deleted,
 * as their keys are destroyed.
 */
export const editsModel: Model<EditRow> = { name: 'edits', version: 1, indexes: {} };

/** Folds a row for each edit. */
export const editsProjection: Projection<EditRow> = {
  model: editsModel,
  keys: (event) => (event.type === 'MessageEdited' ? [editKey(event.data, event.data.rev)] : []),
  creates: (event) => event.type === 'MessageEdited',
  evolve(value, event) {
    if (event.type !== 'MessageEdited') return value ?? null;
    const { text, mentions } = event.data;
    return { text, at: event.recordedAt, ...(mentions ? { mentions } : {}) };
  },
  isRarelyChanged: () => true,
};

/** One of the texts of a message. */
export interface OpenedEdit {
  readonly rev: number;
  /** Null if its key was destroyed. */
  readonly message: string | null;
  readonly at: Time;
}

/** Keys of one read. */
const MOST_KEYS = 4096;

/**
 * Messages with the texts that they had after the event at this offset, unless they were deleted since: what somebody
 * sees who left a group then. Reads the edits of those that were edited.
 */
export async function asOfOffset(
  rows: RowReader,
  messages: readonly SealedMessage[],
  offset: number,
): Promise<SealedMessage[]> {
  const keys = messages.flatMap((message) =>
    Array.from({ length: message.deleted ? 0 : (message.rev ?? 0) }, (_, i) => editKey(message, i + 1)),
  );
  const edits = new Map<string, Row<EditRow>>();
  for (let at = 0; at < keys.length; at += MOST_KEYS)
    for (const [key, row] of await rows.get(editsModel, keys.slice(at, at + MOST_KEYS))) edits.set(key, row);
  return messages.map((message) => {
    if (message.deleted || message.rev === undefined) return message;
    for (let rev = message.rev; rev > 0; rev--) {
      const row = edits.get(editKey(message, rev));
      if (row?.value && row.offset <= offset)
        return rev === message.rev ? message : atRevision(message, rev, row.value);
    }
    const { rev: _, editedAt: __, mentions: ___, ...rest } = message;
    return { ...rest, ...firstBody(message) };
  });
}

function atRevision(message: SealedMessage, rev: number, { text, at, mentions }: EditRow): SealedMessage {
  const { mentions: _, ...rest } = message;
  return { ...rest, text, rev, editedAt: at, ...(mentions ? { mentions } : {}) };
}

/** The texts of a message from the first one on, up to an offset; none of a deleted message. */
export async function openEdits(
  { rows, open }: { readonly rows: RowReader; readonly open: ContentOpener },
  now: SealedMessage,
  upTo = Number.POSITIVE_INFINITY,
): Promise<OpenedEdit[]> {
  const [message = now] = await asOfOffset(rows, [now], upTo);
  const { text, first, sentAt, rev: last = 0, deleted } = message;
  if (deleted) return [];
  const keys = Array.from({ length: last }, (_, i) => editKey(message, i + 1));
  const found = keys.length > 0 ? await rows.get(editsModel, keys) : new Map();
  const edits = keys.map((key, i) => {
    const edit: EditRow | null | undefined = found.get(key)?.value;
    if (!edit) throw new Error(`the edit ${i + 1} of message ${message.messageId} has no row`);
    return { text: edit.text, at: edit.at };
  });
  const all = [{ text: first?.text ?? text, at: sentAt }, ...edits];
  const texts = await open.messages(all.map((each, rev) => ({ ...message, text: each.text, rev })));
  return all.map(({ at }, rev) => ({ rev, message: elementAt(texts, rev), at }));
}

/** Whom a message mentions; nobody once it was deleted. */
export interface MentionRow {
  readonly roomId: RoomId;
  readonly seq: number;
  /** User ids, or `all`. */
  readonly users: readonly string[];
}

const termOf = (roomId: RoomId, user: string): string => `${roomId}/${user}`;

/** The messages that mention somebody, apart from the history, so that other messages write no index entry. */
const mentionsModel: Model<MentionRow> = {
  name: 'mentions',
  version: 1,
  indexes: {
    users: ({ value: { roomId, seq, users } }) =>
      users.length > 0 ? { terms: users.map((user) => termOf(roomId, user)), sort: seq } : undefined,
  },
};

/** Folds whom messages mention. */
export const mentionsProjection: Projection<MentionRow> = {
  model: mentionsModel,
  keys(event) {
    switch (event.type) {
      case 'MessageSent':
        return event.data.mentions ? [messageKey(event.data.roomId, event.data.seq)] : [];
      case 'MessageEdited':
      case 'MessageDeleted':
        return [messageKey(event.data.roomId, event.data.seq)];
      default:
        return [];
    }
  },
  evolve(value, event) {
    if (event.type !== 'MessageSent' && event.type !== 'MessageEdited' && event.type !== 'MessageDeleted')
      return value ?? null;
    const { roomId, seq } = event.data;
    return { roomId, seq, users: (event.type === 'MessageDeleted' ? undefined : event.data.mentions) ?? [] };
  },
  isRarelyChanged: () => true,
};

/** The `seq` of the messages above one that mention a user, ascending: the newest of them. */
export async function mentionsOf(
  rows: RowReader,
  roomId: RoomId,
  user: UserId,
  above: number,
): Promise<number[]> {
  const found = await rows.find(mentionsModel, 'users', {
    terms: [termOf(roomId, user), termOf(roomId, 'all')],
    above,
    reverse: true,
    limit: SHOWN_MENTIONS,
  });
  // An index is not trusted.
  const seqs = found.flatMap(({ value }) =>
    value?.roomId === roomId && isMentioned(value.users, user) && value.seq > above ? [value.seq] : [],
  );
  return seqs.reverse();
}
