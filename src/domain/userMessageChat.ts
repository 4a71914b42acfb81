import { z } from 'zod';
import { Time } from './fields.js';
import { ROOM_MEMBERS } from './limits.js';

export const User = z
  .strictObject({
    userId: z.string().meta({ format: 'uuid' }),
    username: z.string().nullable(),
    backgroundColor: z.string().meta({ pattern: '^#[0-9a-f]{6}$' }),
    createdAt: Time,
    erased: z.literal(true).exactOptional(),
  })
  .meta({ id: 'User' });

export type User = z.infer<typeof User>;

export const Message = z
  .strictObject({
    messageId: z.string().meta({ format: 'uuid' }),
    roomId: z.string().meta({ format: 'uuid' }),
    seq: z.int().min(1),
    senderId: z.string().meta({ format: 'uuid' }),
    message: z.string().nullable(),
    replyTo: z.string().meta({ format: 'uuid' }).exactOptional(),
    sentAt: Time,
    erased: z.literal(true).exactOptional(),
    deleted: z.strictObject({ by: z.string() }).exactOptional(),
  })
  .meta({ id: 'Message' });

export type Message = z.infer<typeof Message>;

export const Chat = z
  .strictObject({
    roomId: z.string().meta({ format: 'uuid' }),
    roomType: z.literal('PRIVATE'),
    participants: z.array(User).length(ROOM_MEMBERS),
    lastMessage: Message.nullable(),
    unread: z.int().min(0),
    readUpTo: z.record(z.string(), z.int().min(0)),
    createdAt: Time,
  })
  .meta({ id: 'Chat' });

export type Chat = z.infer<typeof Chat>;

export const OnlineInfo = z
  .strictObject({ isOnline: z.boolean(), lastSeen: Time.nullable() })
  .meta({ id: 'OnlineInfo' });

export type OnlineInfo = z.infer<typeof OnlineInfo>;
