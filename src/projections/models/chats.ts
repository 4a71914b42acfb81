import type { SealedMessage } from '../../domain/define.js';
import type { Recorded } from '../../domain/events.js';
import type { RoomId, UserId } from '../../domain/ids.js';
import { sealedMessage } from '../../domain/messages.js';
import type { Time } from '../../domain/shapes.js';
import type { Projection } from '../projection.js';
import type { Model } from '../store/rowStore.js';

/** A chat with its marks; the key is the stream's name. Both members are in `marks` from the start. */
export interface ChatRow {
  readonly roomId: RoomId;
  /** In ascending order. */
  readonly members: readonly [UserId, UserId];
  readonly createdAt: Time;
  /** The offset at which it became active, of each member for whom it has. */
  readonly active: Readonly<Record<UserId, number>>;
  readonly lastMessage: SealedMessage | null;
  /** Up to which `seq` each member has read or sent. */
  readonly marks: Readonly<Record<UserId, number>>;
  /** The newest `MessagesRead` of each member who has one: what was pushed, unlike a mark moved by sending. */
  readonly reads: Readonly<Record<UserId, { readonly upTo: number; readonly offset: number }>>;
  /** The offset at which each member was erased who has been. */
  readonly erased?: Readonly<Record<UserId, number>>;
}

/** The newest `seq`; 0 in an empty room. */
export const lastSeqOf = (chat: ChatRow): number => chat.lastMessage?.seq ?? 0;

/** Milliseconds since the epoch of the last message, of the creation in an empty room. */
export const activityOf = (chat: ChatRow): number => Date.parse(chat.lastMessage?.sentAt ?? chat.createdAt);

/**
 * `activity`: the chats active for a user, by activity; `changed`: those of a user and partition, by the offset
 * of the last event; `talked`: those of a user that have a message.
 */
export const chatsModel: Model<ChatRow> = {
  name: 'chats',
  version: 1,
  indexes: {
    activity: ({ value }) => ({ terms: Object.keys(value.active), sort: activityOf(value) }),
    changed: ({ value, partition, offset }) => ({
      terms: value.members.map((member) => `${member}/${partition}`),
      sort: offset,
    }),
    talked: ({ value }) => (value.lastMessage === null ? undefined : { terms: value.members, sort: 0 }),
  },
};

/** The fold of chats: one row a room, so that what is unread is a subtraction. */
export const chatsProjection: Projection<ChatRow> = {
  model: chatsModel,
  keys: (event) => (event.stream.startsWith('room:') ? [event.stream] : []),
  evolve(value, event, key) {
    if (event.type === 'RoomCreated') return created(event);
    if (value === null) return null;
    if (value === undefined)
      throw new Error(`${event.type} at offset ${event.offset} is before ${key} was created`);
    return next(value, event);
  },
};

function created({ data, recordedAt }: Recorded<'RoomCreated'>): ChatRow {
  const { roomId, members } = data;
  const marks = Object.fromEntries(members.map((member) => [member, 0]));
  return { roomId, members, createdAt: recordedAt, active: {}, lastMessage: null, marks, reads: {} };
}

function next(chat: ChatRow, event: Recorded): ChatRow {
  switch (event.type) {
    case 'ChatOpened':
      return { ...chat, active: { [event.data.userId]: event.offset, ...chat.active } };
    case 'MessageSent':
      return spoken(chat, sealedMessage(event), moved(chat, event.actor, event.data.seq));
    case 'MessagesRead': {
      const { userId, upTo } = event.data;
      return {
        ...chat,
        marks: moved(chat, userId, upTo),
        reads: { ...chat.reads, [userId]: { upTo, offset: event.offset } },
      };
    }
    case 'MemberErased':
      return { ...chat, erased: { [event.data.userId]: event.offset, ...chat.erased } };
    default:
      return chat;
  }
}

/** Field by field, as nearly all events come here: spreading the old row takes several times as long. */
const spoken = (chat: ChatRow, lastMessage: SealedMessage, marks: ChatRow['marks']): ChatRow =>
  chat.erased
    ? { ...chat, lastMessage, marks }
    : {
        roomId: chat.roomId,
        members: chat.members,
        createdAt: chat.createdAt,
        active: chat.active,
        lastMessage,
        marks,
        reads: chat.reads,
      };

/** A mark never goes back. */
function moved({ marks }: ChatRow, member: string, to: number): ChatRow['marks'] {
  return { ...marks, [member]: Math.max(marks[member] ?? 0, to) };
}
