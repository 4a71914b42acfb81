import { type ChatFilter, chatSettingsKey } from '../../domain/chats.js';
import type { Time } from '../../domain/fields.js';
import type { UserId } from '../../domain/ids.js';
import type { Chat } from '../../domain/userMessageChat.js';
import type { Projection } from '../projection.js';
import type { Model, RowReader } from '../store/rowStore.js';

/** What a user has set of a chat. */
interface ChatSettingRow {
  readonly mutedUntil?: Time;
  readonly pinned?: true;
  /** The newest `seq` when the chat was archived. */
  readonly archivedAt?: number;
}

/** What users have set of their chats, in the partition of the user. */
export const chatSettingsModel: Model<ChatSettingRow> = { name: 'chatSettings', version: 1, indexes: {} };

/** Folds a row for each user and room of which the user has set something. */
export const chatSettingsProjection: Projection<ChatSettingRow> = {
  model: chatSettingsModel,
  keys: (event) =>
    event.type === 'ChatChanged' ? [chatSettingsKey(event.data.userId, event.data.roomId)] : [],
  evolve(row, event) {
    if (event.type !== 'ChatChanged') return row ?? null;
    const { seq, mutedUntil, pinned, archived } = event.data;
    const now = {
      mutedUntil: mutedUntil === undefined ? row?.mutedUntil : (mutedUntil ?? undefined),
      pinned: pinned ?? row?.pinned ?? false,
      archivedAt: archived === undefined ? row?.archivedAt : archived ? seq : undefined,
    };
    return {
      ...(now.mutedUntil === undefined ? {} : { mutedUntil: now.mutedUntil }),
      ...(now.pinned ? { pinned: true } : {}),
      ...(now.archivedAt === undefined ? {} : { archivedAt: now.archivedAt }),
    };
  },
};

/** A message that came later, and not while the chat was muted, takes it out of the archive. */
function isArchived({ archivedAt, mutedUntil = '' }: ChatSettingRow, { lastMessage }: Chat): boolean {
  if (archivedAt === undefined) return false;
  return !lastMessage || lastMessage.seq <= archivedAt || lastMessage.sentAt < mutedUntil;
}

/** The chats with what the user has set of them. */
export async function withSettings(rows: RowReader, userId: UserId, chats: readonly Chat[]): Promise<Chat[]> {
  if (chats.length === 0) return [];
  const keys = chats.map(({ roomId }) => chatSettingsKey(userId, roomId));
  const found = await rows.get(chatSettingsModel, keys);
  return chats.map((chat) => {
    const row = found.get(chatSettingsKey(userId, chat.roomId))?.value;
    if (!row) return chat;
    return {
      ...chat,
      ...(row.mutedUntil === undefined ? {} : { mutedUntil: row.mutedUntil }),
      ...(row.pinned ? { pinned: true as const } : {}),
      ...(isArchived(row, chat) ? { archived: true as const } : {}),
    };
  });
}

interface Page {
  readonly limit: number;
  readonly next?: string;
}

/**
 * A page of the user's chats that the filter lets pass; `load` reads a page of all chats. The page may hold fewer chats
 * than `limit`, and none only at the end.
 */
export async function filteredChats(
  rows: RowReader,
  userId: UserId,
  { filter = 'all', ...first }: Page & { readonly filter?: ChatFilter },
  load: (page: Page) => Promise<{ chats: Chat[]; next?: string }>,
): Promise<{ chats: Chat[]; next?: string }> {
  for (let page: Page = first; ; ) {
    const { chats, next } = await load(page);
    const kept = (await withSettings(rows, userId, chats)).filter(({ archived, request }) => {
      if (filter === 'archived') return archived === true;
      if (archived) return false;
      return filter === 'all' || (filter === 'requests') === (request === true);
    });
    if (next === undefined) return { chats: kept };
    if (kept.length > 0) return { chats: kept, next };
    page = { ...page, next };
  }
}
