import type { RoomId, UserId } from '../../domain/ids.js';
import { SHOWN_MENTIONS } from '../../domain/limits.js';
import { isMentioned } from '../../domain/messages/messageBody.js';
import type { Projection } from '../projection.js';
import type { Model, RowReader } from '../store/rowStore.js';
import { messageKey } from './messageKeys.js';

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
