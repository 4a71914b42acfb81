import type { SealedMessage } from '../../domain/defineEvent.js';
import { changedBy, changeMessage, type Recorded } from '../../domain/events.js';
import type { Time } from '../../domain/fields.js';
import { pairOf, type RoomId, roomIdOf, streamOf, type UserId } from '../../domain/ids.js';
import { sealedMessage } from '../../domain/messages/messages.js';
import { changePins } from '../../domain/messages/pins.js';
import { type Ties, withUser } from '../../domain/streams.js';
import type { Projection } from '../projection.js';
import type { Model, RowReader } from '../store/rowStore.js';
import { isGroupStream } from './groupRows.js';
import { type ReadOffsets, readAt } from './membershipRows.js';

/** A pair, with their ties, chat and read marks; the key is the stream's name. */
export interface ChatRow extends Ties {
  readonly roomId: RoomId;
  /** In ascending order. */
  readonly members: readonly [UserId, UserId];
  /** Null: the two have ties without a chat. */
  readonly createdAt: Time | null;
  /** A friendship, contact or block has ended: the past of the pair is not what the row says. */
  readonly hasEnded: boolean;
  /** The members who have opened the chat, rather than been written to. */
  readonly openedBy: readonly UserId[];
  /** The offset at which the chat became active, for each member for whom it is active. */
  readonly active: Readonly<Record<UserId, number>>;
  readonly lastMessage: SealedMessage | null;
  /** The `seq` up to which each member has read or sent. */
  readonly marks: Readonly<Record<UserId, number>>;
  /**
   * The newest `MessagesRead` of each member who has one. These were pushed; a mark moved by sending was not.
   */
  readonly reads: Readonly<Record<UserId, ReadOffsets>>;
  /** The offset of each member's erasure. */
  readonly erased: Readonly<Record<UserId, number>>;
  /** The `seq` of the newest message that mentions somebody; 0 if none does. */
  readonly lastMention: number;
  /** The ids of the pinned messages, in the order of pinning. */
  readonly pins: readonly string[];
  /** The offset of the newest event that changed a message. A replay then shows messages as their rows are. */
  readonly changedAt: number | null;
}

/** A pair that has a chat. */
export type OpenChatRow = ChatRow & { readonly createdAt: Time };

export const hasChat = (row: ChatRow): row is OpenChatRow => row.createdAt !== null;

/** The newest `seq`; 0 in an empty room. */
export const lastSeqOf = (chat: ChatRow): number => chat.lastMessage?.seq ?? 0;

/** Time of the last message, or of the creation of an empty room, in milliseconds since 1970. */
export const activityOf = (chat: ChatRow): number =>
  Date.parse(chat.lastMessage?.sentAt ?? chat.createdAt ?? '');

/**
 * Indexes: `activity` orders the chats active for a user. `changed` orders those of a user and partition by
 * the last event's offset. `friends` holds the pairs of friends, `blocked` those of each user who blocks the other,
 * and `members` all pairs, by room.
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
    friends: ({ value }) => (isFriendship(value) ? { terms: value.members, sort: 0 } : undefined),
    blocked: ({ value }) => (value.blocks.length > 0 ? { terms: value.blocks, sort: 0 } : undefined),
    members: ({ value }) => ({ terms: value.members, sort: 0 }),
  },
};

/** Folds one row for each room, so that the number of unread messages is a subtraction. */
export const chatsProjection: Projection<ChatRow> = {
  model: chatsModel,
  keys: ({ stream }) => (stream.startsWith('room:') && !isGroupStream(stream) ? [stream] : []),
  evolve(value, event, key) {
    if (value === null) return null;
    if (event.type === 'RoomCreated') return createChat(event, value);
    const pair = value ?? pairOfTie(event);
    if (pair === undefined)
      throw new Error(`${event.type} at offset ${event.offset} comes before the creation of ${key}`);
    return applyEvent(pair, event);
  },
};

const emptyPair = (roomId: RoomId, members: ChatRow['members']): ChatRow => ({
  roomId,
  members,
  createdAt: null,
  added: [],
  contacts: [],
  blocks: [],
  hasEnded: false,
  openedBy: [],
  active: {},
  lastMessage: null,
  marks: {},
  reads: {},
  erased: {},
  lastMention: 0,
  pins: [],
  changedAt: null,
});

/** Both members are in `marks` from the start. */
function createChat({ data, recordedAt }: Recorded<'RoomCreated'>, known: ChatRow | undefined): ChatRow {
  const { roomId, members } = data;
  const marks = Object.fromEntries(members.map((member) => [member, 0]));
  return { ...(known ?? emptyPair(roomId, members)), createdAt: recordedAt, marks };
}

/** The row of a pair before its first event, which makes a tie: they have no chat yet. */
function pairOfTie({ type, data }: Recorded): ChatRow | undefined {
  switch (type) {
    case 'FriendAdded':
    case 'MemberBlocked':
      return emptyPair(roomIdOf(data.by, data.target), pairOf(data.by, data.target));
    default:
      return undefined;
  }
}

function applyEvent(chat: ChatRow, event: Recorded): ChatRow {
  switch (event.type) {
    case 'FriendAdded':
      return {
        ...chat,
        added: [...chat.added, event.data.by],
        contacts: withUser(chat.contacts, event.data.by),
      };
    case 'ChatAccepted':
      return { ...chat, contacts: withUser(chat.contacts, event.data.by) };
    case 'FriendRemoved':
      return { ...chat, added: [], contacts: [], hasEnded: true };
    case 'MemberBlocked':
      return {
        ...chat,
        ...{ added: [], contacts: [], hasEnded: chat.hasEnded || chat.contacts.length > 0 },
        blocks: withUser(chat.blocks, event.data.by),
      };
    case 'MemberUnblocked':
      return { ...chat, blocks: chat.blocks.filter((user) => user !== event.data.by), hasEnded: true };
    case 'ChatOpened': {
      const { userId } = event.data;
      return {
        ...chat,
        active: { [userId]: event.offset, ...chat.active },
        openedBy: event.actor === userId ? withUser(chat.openedBy, userId) : chat.openedBy,
      };
    }
    case 'MessageSent':
      return withMessage(chat, sealedMessage(event), raiseMark(chat, event.actor, event.data.seq));
    case 'MessageEdited': {
      const { mentions, seq } = event.data;
      const lastMention = mentions ? Math.max(seq, chat.lastMention) : chat.lastMention;
      return { ...withChange(chat, event), lastMention };
    }
    case 'MessagesRead': {
      const { userId, upTo } = event.data;
      const read = readAt(event.offset, event.data, chat.reads[userId]);
      return {
        ...chat,
        marks: raiseMark(chat, userId, upTo),
        reads: { ...chat.reads, [userId]: read },
      };
    }
    case 'MessageDeleted':
      return { ...withChange(chat, event), pins: changePins(chat.pins, { ...event.data, on: false }) };
    case 'MessagePinned':
      return { ...withChange(chat, event), pins: changePins(chat.pins, event.data) };
    case 'MemberErased':
      return { ...chat, erased: { [event.data.userId]: event.offset, ...chat.erased } };
    default:
      return withChange(chat, event);
  }
}

/** The row after an event that may change a message. */
function withChange(chat: ChatRow, event: Recorded): ChatRow {
  const changed = changedBy(event);
  if (!changed) return chat;
  const { lastMessage } = chat;
  const isLast = lastMessage?.seq === changed.seq;
  return {
    ...chat,
    lastMessage: isLast ? changeMessage(lastMessage, event) : lastMessage,
    changedAt: event.offset,
  };
}

/** Copies field by field, because nearly all events come here and spreading takes several times as long. */
const withMessage = (chat: ChatRow, lastMessage: SealedMessage, marks: ChatRow['marks']): ChatRow => ({
  roomId: chat.roomId,
  members: chat.members,
  createdAt: chat.createdAt,
  added: chat.added,
  contacts: withUser(chat.contacts, lastMessage.senderId),
  blocks: chat.blocks,
  hasEnded: chat.hasEnded,
  openedBy: chat.openedBy,
  active: chat.active,
  lastMessage,
  marks,
  reads: chat.reads,
  erased: chat.erased,
  lastMention: lastMessage.mentions ? lastMessage.seq : chat.lastMention,
  pins: chat.pins,
  changedAt: chat.changedAt,
});

/** Raises a member's mark; a mark never goes back. */
function raiseMark({ marks }: ChatRow, member: string, to: number): ChatRow['marks'] {
  return { ...marks, [member]: Math.max(marks[member] ?? 0, to) };
}

/** Queries ask this of each row that an index led to: a planted index entry must not show another's chat. */
export const isMember = ({ members }: ChatRow, userId: UserId): boolean => members.includes(userId);

export const isFriendship = ({ added }: ChatRow): boolean => added.length > 0;

/** The chat's row; undefined if there is no such room. */
export async function chatRow(rows: RowReader, roomId: RoomId): Promise<OpenChatRow | undefined> {
  const key = streamOf('room', roomId);
  const row = (await rows.get(chatsModel, [key])).get(key)?.value;
  return row && hasChat(row) ? row : undefined;
}

/**
 * The chat's row if the user is a member; undefined for a room of others as for one that does not exist. Looks among the
 * user's own rooms only, so that the time tells nobody whether two others have a chat.
 */
export async function chatRowOf(
  rows: RowReader,
  roomId: RoomId,
  userId: UserId,
): Promise<OpenChatRow | undefined> {
  const key = streamOf('room', roomId);
  const [found] = await rows.find(chatsModel, 'members', {
    terms: [userId],
    from: { sort: 0, key: keyBefore(key) },
    limit: 1,
  });
  const row = found?.key === key ? found.value : null;
  return row && hasChat(row) && isMember(row, userId) ? row : undefined;
}

/** A text behind all keys of rooms that come before this one. */
const keyBefore = (key: string): string =>
  `${key.slice(0, -1)}${String.fromCharCode(key.charCodeAt(key.length - 1) - 1)}~`;
