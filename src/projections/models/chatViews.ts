import { assertNever } from '../../base/errors.js';
import type { ChatFilter } from '../../domain/chats.js';
import type { ContactRule } from '../../domain/defineCommand.js';
import { streamOf, type UserId } from '../../domain/ids.js';
import { isContact } from '../../domain/safety.js';
import type { Chat } from '../../domain/userMessageChat.js';
import { valuesOf } from '../store/rowStore.js';
import {
  activityOf,
  type ChatRow,
  chatsModel,
  hasChat,
  isMember,
  lastSeqOf,
  type OpenChatRow,
} from './chatRows.js';
import { openMessages } from './messageRows.js';
import { fromNext, type PageAsked, writeNext } from './pageToken.js';
import { preferencesOf } from './preferenceRows.js';
import { requireUser, usersById, type ViewSource } from './userRows.js';

/** Chats as one of their members sees them. */

/** Who looks at chats, and the server's rule. */
export interface Viewer {
  readonly me: UserId;
  readonly rule: ContactRule;
}

/**
 * Whether the viewer is told what `other` does in their pair, preferences aside: under `consent` by those who have the
 * viewer as a contact, under `open` by all, but never past a block.
 */
const isTold = (pair: ChatRow, { me, rule }: Viewer, other: UserId): boolean =>
  pair.blocks.length === 0 && me !== other && (rule === 'open' || pair.contacts.includes(other));

/** Whether somebody who is not the viewer's contact opened the chat. */
const isRequest = (chat: ChatRow, { me, rule }: Viewer): boolean =>
  !chat.openedBy.includes(me) && !isContact(chat.contacts, me, rule);

/** Opens chats as `me` sees them. Profiles, preferences and last messages take one read each, for all chats. */
export async function openChats(
  source: ViewSource,
  viewer: Viewer,
  chats: readonly OpenChatRow[],
): Promise<Chat[]> {
  const { me } = viewer;
  const [users, preferences, lastMessages] = await Promise.all([
    usersById(
      source,
      chats.flatMap((chat) => chat.members),
    ),
    preferencesOf(
      source.rows,
      chats.flatMap((chat) => chat.members),
    ),
    openMessages(
      source.open,
      chats.flatMap((chat) => chat.lastMessage ?? []),
    ),
  ]);
  const last = new Map(lastMessages.map((message) => [message.roomId, message]));
  const hasReceipts = (user: UserId): boolean => preferences.get(user)?.receipts !== false;
  const marksOf = (chat: ChatRow) =>
    Object.fromEntries(
      Object.entries(chat.marks).filter(
        ([member]) =>
          member === me || (isTold(chat, viewer, member) && hasReceipts(me) && hasReceipts(member)),
      ),
    );
  return chats.map((chat) => ({
    roomId: chat.roomId,
    roomType: 'PRIVATE',
    participants: chat.members.map((member) => requireUser(users, member)),
    lastMessage: last.get(chat.roomId) ?? null,
    unread: lastSeqOf(chat) - (chat.marks[me] ?? 0),
    readUpTo: marksOf(chat),
    createdAt: chat.createdAt,
    ...(isRequest(chat, viewer) ? { request: true as const } : {}),
  }));
}

/** The most pages that one answer looks through for the chats of a filter. */
const MAX_READS = 20;

/** A page of the user's active chats, newest activity first. Throws `bad_request` if `next` was altered. */
export async function activeChats(
  source: ViewSource,
  viewer: Viewer,
  { limit, next, filter = 'all' }: PageAsked & { readonly filter?: ChatFilter },
): Promise<{ chats: Chat[]; next?: string }> {
  const wanted: OpenChatRow[] = [];
  let { from } = fromNext('chats', next);
  let isEnd = false;
  for (let reads = 0; !isEnd && wanted.length < limit && reads < MAX_READS; reads++) {
    const left = limit - wanted.length;
    const found = await source.rows.find(chatsModel, 'activity', {
      ...{ terms: [viewer.me], reverse: true, limit: left + 1 },
      ...(from === undefined ? {} : { from }),
    });
    isEnd = found.length <= left;
    const page = valuesOf(found.slice(0, left));
    wanted.push(...page.filter(hasChat).filter((chat) => isShown(chat, viewer, filter)));
    const last = page.at(-1);
    if (last !== undefined) from = { sort: activityOf(last), key: streamOf('room', last.roomId) };
  }
  const chats = await openChats(source, viewer, wanted);
  return isEnd || from === undefined ? { chats } : { chats, next: writeNext('chats', from) };
}

function isShown(chat: OpenChatRow, viewer: Viewer, filter: ChatFilter): boolean {
  // An index is not trusted, and a chat is active only once it was created.
  if (!isMember(chat, viewer.me) || !(viewer.me in chat.active)) return false;
  switch (filter) {
    case 'all':
      return true;
    case 'active':
      return !isRequest(chat, viewer);
    case 'requests':
      return isRequest(chat, viewer);
    case 'archived':
      return false;
    default:
      return assertNever(filter);
  }
}
