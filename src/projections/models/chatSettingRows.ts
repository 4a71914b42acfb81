import { chatSettingsKey } from '../../domain/chats.js';
import type { Time } from '../../domain/fields.js';
import type { RoomId, UserId } from '../../domain/ids.js';
import type { Chat } from '../../domain/userMessageChat.js';
import type { Projection } from '../projection.js';
import { elementAt, type Model, type RowReader } from '../store/rowStore.js';

/** What a user has set of a chat. */
export interface ChatSettingRow {
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

/** The newest message that the user sees of a chat; null: there is none. */
type Newest = { readonly seq: number; readonly sentAt: Time } | null;

/** A message that came later, and not while the chat was muted, takes it out of the archive. */
export function isArchived({ archivedAt, mutedUntil = '' }: ChatSettingRow, newest: Newest): boolean {
  if (archivedAt === undefined) return false;
  return !newest || newest.seq <= archivedAt || newest.sentAt < mutedUntil;
}

/** What the user has set of these chats; a chat of which nothing was set is left out. */
export async function settingsOf(
  rows: RowReader,
  userId: UserId,
  roomIds: readonly RoomId[],
): Promise<ReadonlyMap<RoomId, ChatSettingRow>> {
  if (roomIds.length === 0) return new Map();
  const keys = roomIds.map((roomId) => chatSettingsKey(userId, roomId));
  const found = await rows.get(chatSettingsModel, keys);
  return new Map(
    roomIds.flatMap((roomId, i) => {
      const row = found.get(elementAt(keys, i))?.value;
      return row ? [[roomId, row] as const] : [];
    }),
  );
}

/** The chats with what the user has set of them. */
export async function withSettings(rows: RowReader, userId: UserId, chats: readonly Chat[]): Promise<Chat[]> {
  const found = await settingsOf(
    rows,
    userId,
    chats.map(({ roomId }) => roomId),
  );
  return chats.map((chat) => {
    const row = found.get(chat.roomId);
    if (!row) return chat;
    return {
      ...chat,
      ...(row.mutedUntil === undefined ? {} : { mutedUntil: row.mutedUntil }),
      ...(row.pinned ? { pinned: true as const } : {}),
      ...(isArchived(row, chat.lastMessage) ? { archived: true as const } : {}),
    };
  });
}
