import type { UserId } from '../../domain/ids.js';
import { isContact } from '../../domain/safety.js';
import type { Chat } from '../../domain/userMessageChat.js';
import type { RowReader } from '../store/rowStore.js';
import { type ChatRow, lastSeqOf, type OpenChatRow } from './chatRows.js';
import { toldReadsOf, type Viewer } from './contacts.js';
import { mentionsOf } from './editsAndMentions.js';
import { openMessages } from './messageRows.js';
import { requireUser, usersById, type ViewSource } from './userRows.js';

/** Chats as one of their members sees them. */

/** Whether somebody who is not the viewer's contact opened the chat. */
export const isRequest = (chat: ChatRow, { me, rule }: Viewer): boolean =>
  !chat.openedBy.includes(me) && !isContact(chat.contacts, me, rule);

/** The `seq` of the messages above my mark that mention me, ascending: the newest ones. Most chats have none. */
async function mentionsAbove(rows: RowReader, chat: OpenChatRow, me: UserId): Promise<number[]> {
  const above = chat.marks[me] ?? 0;
  return chat.lastMention > above ? mentionsOf(rows, chat.roomId, me, above) : [];
}

/** Opens chats as `me` sees them. Profiles, ties, preferences and last messages take one read each, for all chats. */
export async function openChats(
  source: ViewSource,
  viewer: Viewer,
  chats: readonly OpenChatRow[],
): Promise<Chat[]> {
  const { me } = viewer;
  const [users, isTold, lastMessages, mentions] = await Promise.all([
    usersById(
      source,
      chats.flatMap((chat) => chat.members),
    ),
    toldReadsOf(
      source.rows,
      viewer,
      chats.flatMap((chat) => chat.members).filter((member) => member !== me),
    ),
    openMessages(
      source.open,
      chats.flatMap((chat) => chat.lastMessage ?? []),
    ),
    Promise.all(chats.map((chat) => mentionsAbove(source.rows, chat, me))),
  ]);
  const last = new Map(lastMessages.map((message) => [message.roomId, message]));
  const marksOf = ({ marks }: ChatRow) =>
    Object.fromEntries(Object.entries(marks).filter(([member]) => isTold(member)));
  return chats.map((chat, i) => ({
    roomId: chat.roomId,
    roomType: 'PRIVATE',
    participants: chat.members.map((member) => requireUser(users, member)),
    lastMessage: last.get(chat.roomId) ?? null,
    unread: lastSeqOf(chat) - (chat.marks[me] ?? 0),
    readUpTo: marksOf(chat),
    createdAt: chat.createdAt,
    ...(isRequest(chat, viewer) ? { request: true as const } : {}),
    ...(mentions[i]?.length ? { mentions: mentions[i] } : {}),
    ...(chat.pins.length > 0 ? { pinnedMessages: [...chat.pins] } : {}),
  }));
}
