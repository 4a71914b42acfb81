import { crc32 } from 'node:zlib';
import { badRequest } from '../../base/errors.js';
import type { SealedMessage } from '../../domain/defineEvent.js';
import { changedBy, changeMessage, type Recorded } from '../../domain/events.js';
import type { Time } from '../../domain/fields.js';
import { pairOf, type RoomId, roomIdOf, streamOf, type UserId } from '../../domain/ids.js';
import { sealedMessage } from '../../domain/messages/messages.js';
import { changePins } from '../../domain/messages/pins.js';
import type { Chat } from '../../domain/userMessageChat.js';
import type { Projection } from '../projection.js';
import { type Model, type RowReader, rowsUnder, valuesOf } from '../store/rowStore.js';
import { mentionsOf } from './editsAndMentions.js';
import { isGroupStream } from './groupRows.js';
import { openMessages } from './messageRows.js';
import { requireUser, usersById, type ViewSource } from './userRows.js';

/** A pair, with their friendship, chat and read marks; the key is the stream's name. */
export interface ChatRow {
  readonly roomId: RoomId;
  /** In ascending order. */
  readonly members: readonly [UserId, UserId];
  /** Null: the two are friends without a chat. */
  readonly createdAt: Time | null;
  /** The members who have added the other one as a friend. Once one has, both are friends. */
  readonly added: readonly UserId[];
  /** The offset at which the chat became active, for each member for whom it is active. */
  readonly active: Readonly<Record<UserId, number>>;
  readonly lastMessage: SealedMessage | null;
  /** The `seq` up to which each member has read or sent. */
  readonly marks: Readonly<Record<UserId, number>>;
  /**
   * The newest `MessagesRead` of each member who has one. These were pushed; a mark moved by sending was not.
   */
  readonly reads: Readonly<Record<UserId, { readonly upTo: number; readonly offset: number }>>;
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
const activityOf = (chat: ChatRow): number => Date.parse(chat.lastMessage?.sentAt ?? chat.createdAt ?? '');

/**
 * Indexes: `activity` orders the chats active for a user. `changed` orders those of a user and partition by
 * the last event's offset. `friends` holds the pairs of friends, and `members` all pairs, by room.
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
    members: ({ value }) => ({ terms: value.members, sort: 0 }),
  },
};

/** Folds one row for each room, so that the number of unread messages is a subtraction. */
export const chatsProjection: Projection<ChatRow> = {
  model: chatsModel,
  keys: ({ stream }) => (stream.startsWith('room:') && !isGroupStream(stream) ? [stream] : []),
  evolve(value, event, key) {
    if (value === null) return null;
    if (event.type === 'RoomCreated') return createChat(event, value?.added ?? []);
    if (event.type === 'FriendAdded') return addFriend(event, value);
    if (value === undefined)
      throw new Error(`${event.type} at offset ${event.offset} comes before the creation of ${key}`);
    return applyEvent(value, event);
  },
};

const emptyPair = (roomId: RoomId, members: ChatRow['members']): ChatRow => ({
  roomId,
  members,
  createdAt: null,
  added: [],
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
function createChat({ data, recordedAt }: Recorded<'RoomCreated'>, added: ChatRow['added']): ChatRow {
  const { roomId, members } = data;
  const marks = Object.fromEntries(members.map((member) => [member, 0]));
  return { ...emptyPair(roomId, members), createdAt: recordedAt, added, marks };
}

function addFriend({ data: { by, target } }: Recorded<'FriendAdded'>, known: ChatRow | undefined): ChatRow {
  const pair = known ?? emptyPair(roomIdOf(by, target), pairOf(by, target));
  return { ...pair, added: [...pair.added, by] };
}

function applyEvent(chat: ChatRow, event: Recorded): ChatRow {
  switch (event.type) {
    case 'ChatOpened':
      return { ...chat, active: { [event.data.userId]: event.offset, ...chat.active } };
    case 'MessageSent':
      return withMessage(chat, sealedMessage(event), raiseMark(chat, event.actor, event.data.seq));
    case 'MessageEdited': {
      const { mentions, seq } = event.data;
      const lastMention = mentions ? Math.max(seq, chat.lastMention) : chat.lastMention;
      return { ...withChange(chat, event), lastMention };
    }
    case 'MessagesRead': {
      const { userId, upTo } = event.data;
      return {
        ...chat,
        marks: raiseMark(chat, userId, upTo),
        reads: { ...chat.reads, [userId]: { upTo, offset: event.offset } },
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

/** The `seq` of the messages above my mark that mention me, ascending: the newest ones. Most chats have none. */
async function mentionsAbove(rows: RowReader, chat: OpenChatRow, me: UserId): Promise<number[]> {
  const above = chat.marks[me] ?? 0;
  return chat.lastMention > above ? mentionsOf(rows, chat.roomId, me, above) : [];
}

/** Opens chats as `me` sees them. Profiles and last messages take one read each, for all chats. */
export async function openChats(
  source: ViewSource,
  me: UserId,
  chats: readonly OpenChatRow[],
): Promise<Chat[]> {
  const [users, lastMessages, mentions] = await Promise.all([
    usersById(
      source,
      chats.flatMap((chat) => chat.members),
    ),
    openMessages(
      source.open,
      chats.flatMap((chat) => chat.lastMessage ?? []),
    ),
    Promise.all(chats.map((chat) => mentionsAbove(source.rows, chat, me))),
  ]);
  const last = new Map(lastMessages.map((message) => [message.roomId, message]));
  return chats.map((chat, i) => ({
    roomId: chat.roomId,
    roomType: 'PRIVATE',
    participants: chat.members.map((member) => requireUser(users, member)),
    lastMessage: last.get(chat.roomId) ?? null,
    unread: lastSeqOf(chat) - (chat.marks[me] ?? 0),
    readUpTo: { ...chat.marks },
    createdAt: chat.createdAt,
    ...(mentions[i]?.length ? { mentions: mentions[i] } : {}),
    ...(chat.pins.length > 0 ? { pinnedMessages: [...chat.pins] } : {}),
  }));
}

/** The last chat of a page; the next page continues behind it. */
export interface PageEnd {
  readonly sort: number;
  readonly key: string;
}

/** A page of the user's active chats, newest activity first. Throws `bad_request` if `next` was altered. */
export async function activeChats(
  source: ViewSource,
  userId: UserId,
  { limit, next }: { limit: number; next?: string },
): Promise<{ chats: Chat[]; next?: string }> {
  const found = await source.rows.find(chatsModel, 'activity', {
    terms: [userId],
    reverse: true,
    limit: limit + 1,
    ...(next === undefined ? {} : { from: parseNext('chats', next) }),
  });
  const rows = valuesOf(found.slice(0, limit));
  // An index is not trusted, and a chat is active only once it was created.
  const page = rows.filter(hasChat).filter((chat) => isMember(chat, userId) && userId in chat.active);
  const chats = await openChats(source, userId, page);
  const last = rows.at(-1);
  if (found.length <= limit || last === undefined) return { chats };
  const end = { sort: activityOf(last), key: streamOf('room', last.roomId) };
  return { chats, next: writeNext('chats', end) };
}

/** Queries ask this of each row that an index led to: a planted index entry must not show another's chat. */
export const isMember = ({ members }: ChatRow, userId: UserId): boolean => members.includes(userId);

const isFriendship = ({ added }: ChatRow): boolean => added.length > 0;
const areContacts = (pair: ChatRow): boolean => isFriendship(pair) || pair.lastMessage !== null;

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

/** A page of the user's friends, in an order that does not change, and the `next` of the page behind it. */
export async function friendIds(
  rows: RowReader,
  userId: UserId,
  { limit, next }: { limit: number; next?: string },
): Promise<{ ids: UserId[]; next?: string }> {
  const found = await rows.find(chatsModel, 'friends', {
    terms: [userId],
    byKey: true,
    limit: limit + 1,
    ...(next === undefined ? {} : { from: parseNext('friends', next) }),
  });
  const page = found.slice(0, limit);
  const ids = othersIn(valuesOf(page).filter(isFriendship), userId);
  const last = page.at(-1);
  if (found.length <= limit || last === undefined) return { ids };
  return { ids, next: writeNext('friends', { sort: 0, key: last.key }) };
}

/** The user's friends, and users who share a chat with a message with this user. */
export async function contactIds(rows: RowReader, userId: UserId): Promise<Set<UserId>> {
  const contacts = new Set<UserId>();
  for await (const page of rowsUnder(rows, chatsModel, 'members', userId))
    for (const contact of othersIn(valuesOf(page).filter(areContacts), userId)) contacts.add(contact);
  return contacts;
}

/** The user's friends, and the others for whom a room of the user is active. */
export async function peerIds(rows: RowReader, userId: UserId): Promise<Set<UserId>> {
  const peers = new Set<UserId>();
  for await (const page of rowsUnder(rows, chatsModel, 'members', userId))
    for (const pair of valuesOf(page))
      for (const other of othersIn([pair], userId))
        if (isFriendship(pair) || other in pair.active) peers.add(other);
  return peers;
}

const othersIn = (pairs: readonly ChatRow[], userId: UserId): UserId[] =>
  pairs
    .filter((pair) => isMember(pair, userId))
    .flatMap(({ members }) => members.filter((member) => member !== userId));

/** What a page has. The `next` of one cannot be used for another. */
type PageOf = 'chats' | 'friends' | 'members' | 'readers' | 'open reports' | 'closed reports';

/** The `next` of a page that ends here. */
export function writeNext(what: PageOf, { sort, key }: PageEnd): string {
  const body = Buffer.from(`${what}/${sort.toString(36)}/${key}`).toString('base64url');
  return `${body}.${crc32(body).toString(36)}`;
}

/** Where the page behind this `next` begins. Throws `bad_request` if it was altered. */
export function parseNext(what: PageOf, text: string): PageEnd {
  const [body = '', checksum, ...rest] = text.split('.');
  const [kind, place = '', key] = Buffer.from(body, 'base64url').toString().split('/');
  const sort = Number.parseInt(place, 36);
  const isWhole = rest.length === 0 && crc32(body).toString(36) === checksum && kind === what;
  if (isWhole && key !== undefined && Number.isSafeInteger(sort)) return { sort, key };
  const message = `must be the next of an earlier page of ${what}`;
  throw badRequest(`next ${message}`, [{ path: 'next', message }]);
}
