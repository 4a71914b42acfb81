import { z } from 'zod';
import { Time } from './fields.js';
import { GroupSettings, RoleName } from './groups/groupState.js';
import { SHOWN_MEMBERS } from './limits.js';

const ROOM_TYPES = ['PRIVATE', 'GROUP'] as const;
const EVERYONE_OR_CONTACTS = ['everyone', 'contacts'] as const;
const WHO_INVITES = [...EVERYONE_OR_CONTACTS, 'nobody'] as const;

export const User = z
  .strictObject({
    userId: z.string().meta({ format: 'uuid' }),
    username: z.string().nullable(),
    backgroundColor: z.string().meta({ pattern: '^#[0-9a-f]{6}$' }),
    createdAt: Time,
    displayName: z.string().exactOptional(),
    about: z.string().exactOptional(),
    status: z.string().exactOptional(),
    locale: z.string().exactOptional().meta({ description: 'BCP 47; in one’s own `User` only.' }),
    bot: z.literal(true).exactOptional(),
    suspended: z.literal(true).exactOptional(),
    erased: z.literal(true).exactOptional(),
  })
  .meta({ id: 'User' });

export type User = z.infer<typeof User>;

export const Preferences = z
  .strictObject({
    whoWrites: z.enum(EVERYONE_OR_CONTACTS).meta({ description: 'Who may begin a private chat with me.' }),
    whoInvites: z.enum(WHO_INVITES).meta({ description: 'Who may add me to a group.' }),
    findable: z.boolean().meta({ description: 'False: a search finds me by my whole name only.' }),
    visible: z
      .boolean()
      .meta({ description: 'False: nobody is told whether I am online, nor am I of others.' }),
    receipts: z.boolean().meta({ description: 'False: read marks are told neither of me nor to me.' }),
  })
  .meta({ id: 'Preferences' });

export type Preferences = z.infer<typeof Preferences>;

/** The preferences of a user who has changed none. */
export const DEFAULT_PREFERENCES: Preferences = {
  whoWrites: 'everyone',
  whoInvites: 'everyone',
  findable: true,
  visible: true,
  receipts: true,
};

/** Who reacted to a message with one emoji: the first 20 users, and how many there are. */
export const Reaction = z
  .strictObject({ emoji: z.string(), userIds: z.array(z.string()), count: z.int().min(1) })
  .meta({ id: 'Reaction' });

export const Message = z
  .strictObject({
    messageId: z.string().meta({ format: 'uuid' }),
    roomId: z.string().meta({ format: 'uuid' }),
    seq: z.int().min(1),
    senderId: z.string().meta({ format: 'uuid' }),
    message: z.string().nullable(),
    replyTo: z.string().meta({ format: 'uuid' }).exactOptional(),
    mentions: z.array(z.string()).exactOptional().meta({ description: 'User ids, or `["all"]`.' }),
    data: z.record(z.string(), z.unknown()).exactOptional().meta({ description: 'As the sender gave it.' }),
    sentAt: Time,
    rev: z.int().min(1).exactOptional().meta({ description: 'The number of edits.' }),
    editedAt: Time.exactOptional(),
    reactions: z.array(Reaction).exactOptional(),
    pinned: z.literal(true).exactOptional(),
    erased: z.literal(true).exactOptional(),
    deleted: z.strictObject({ by: z.string() }).exactOptional(),
  })
  .meta({ id: 'Message' });

export type Message = z.infer<typeof Message>;

/** What a chat has in addition if it is a group. */
const groupFields = {
  name: z.string().nullable().exactOptional(),
  about: z.string().exactOptional(),
  history: GroupSettings.shape.history.exactOptional(),
  whoAdds: GroupSettings.shape.whoAdds.exactOptional(),
  whoSends: GroupSettings.shape.whoSends.exactOptional(),
  role: RoleName.exactOptional(),
  members: z.int().min(0).exactOptional().meta({ description: 'The number of members.' }),
  windows: z
    .array(z.tuple([z.int().min(1), z.int().min(0).nullable()]))
    .exactOptional()
    .meta({ description: 'The `seq` from and to which I see messages; null: without end.' }),
};

export const Chat = z
  .strictObject({
    roomId: z.string().meta({ format: 'uuid' }),
    roomType: z.enum(ROOM_TYPES),
    participants: z
      .array(User)
      .min(1)
      .max(SHOWN_MEMBERS)
      .meta({ description: 'Of a larger group: me, and those who are in it longest.' }),
    lastMessage: Message.nullable(),
    unread: z.int().min(0),
    readUpTo: z.record(z.string(), z.int().min(0)),
    createdAt: Time,
    request: z
      .literal(true)
      .exactOptional()
      .meta({ description: 'Opened by somebody who is not my contact.' }),
    mutedUntil: Time.exactOptional(),
    pinned: z.literal(true).exactOptional(),
    archived: z.literal(true).exactOptional(),
    mentions: z
      .array(z.int().min(1))
      .exactOptional()
      .meta({ description: 'The `seq` of messages above my mark that mention me, the newest 100.' }),
    pinnedMessages: z.array(z.string()).exactOptional().meta({ description: 'Message ids.' }),
    ...groupFields,
  })
  .meta({ id: 'Chat' });

export type Chat = z.infer<typeof Chat>;

export const OnlineInfo = z
  .strictObject({ isOnline: z.boolean(), lastSeen: Time.nullable() })
  .meta({ id: 'OnlineInfo' });

export type OnlineInfo = z.infer<typeof OnlineInfo>;
