import { z } from 'zod';
import { knownTypes } from '../../domain/codec.js';
import { Time } from '../../domain/fields.js';
import { Message, User } from '../../domain/userMessageChat.js';

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const StreamName = z
  .templateLiteral([z.enum(['user', 'room']), ':', z.string()])
  .meta({ examples: ['room:3f0c…'] });
const isKnownType = (type: string): boolean => knownTypes.includes(type);

/** A moment as events have it: UTC with milliseconds. */
const Moment = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text).toISOString())
  .pipe(Time);

const filter = {
  stream: z
    .string()
    .regex(new RegExp(`^(user|room):${uuid}$`, 'i'), 'must be user: or room: and an id')
    .transform((text) => text.toLowerCase())
    .pipe(StreamName)
    .exactOptional()
    .meta({ description: 'Such as `room:<roomId>`.' }),
  type: z
    .string()
    .refine(isKnownType, 'must be a type of event')
    .exactOptional()
    .meta({ description: 'Such as `MessageSent`.' }),
  actor: z
    .string()
    .regex(new RegExp(`^(system|${uuid})$`, 'i'), 'must be the id of a user, or system')
    .transform((text) => text.toLowerCase())
    .pipe(z.string())
    .exactOptional()
    .meta({ description: 'The id of who did it, or `system`.' }),
  since: Moment.exactOptional().meta({ description: 'Inclusive; ISO 8601.' }),
  until: Moment.exactOptional().meta({ description: 'Exclusive; ISO 8601.' }),
  partition: z
    .string()
    .regex(/^(0|[1-9]\d{0,5})$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(0))
    .exactOptional(),
};

export const EventQuery = z.strictObject({
  ...filter,
  from: z.string().min(1).max(12_288).exactOptional().meta({ description: 'The `next` of the page before.' }),
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(1).max(200))
    .default(50),
});

export const EventStreamQuery = z.strictObject({
  ...filter,
  follow: z.enum(['true', 'false']).default('false').meta({ description: 'Go on with what comes.' }),
});

export const EventsAnswer = z.strictObject({
  events: z.array(
    z
      .strictObject({
        partition: z.int(),
        offset: z.int().meta({ description: 'Its place in the partition: 0, 1, 2 …' }),
        stream: z.string(),
        version: z.int().meta({ description: 'Its place in the stream: 1, 2, 3 …' }),
        type: z.string(),
        data: z.record(z.string(), z.unknown()).meta({ description: 'Opened, or null where erased.' }),
        erased: z.literal(true).exactOptional(),
        actor: z.string(),
        recordedAt: Time,
        commandId: z.string(),
      })
      .meta({ id: 'Event' }),
  ),
  next: z.string().exactOptional().meta({ description: 'Goes into `from`; absent at the end.' }),
});

const Room = z
  .strictObject({
    roomId: z.string(),
    roomType: z.literal('PRIVATE'),
    memberIds: z.array(z.string()),
    createdAt: Time,
  })
  .meta({ id: 'PastRoom' });

export const RoomThenQuery = z.strictObject({
  at: z
    .union([
      Moment,
      z
        .string()
        .regex(/^[1-9]\d{0,14}$/)
        .transform(Number)
        .pipe(z.int().min(1)),
    ])
    .meta({ description: 'A time (ISO 8601), included; or the `seq` of its last message.' }),
});
export const UserThenQuery = z.strictObject({
  at: Moment.meta({ description: 'A time (ISO 8601), included.' }),
});

export const RoomThenAnswer = z.strictObject({
  room: Room,
  members: z.array(User),
  messages: z.array(Message),
  readUpTo: z.record(z.string(), z.int()),
});
export const UserThenAnswer = z.strictObject({
  user: User,
  friends: z.array(User),
  rooms: z.array(Room).meta({ description: 'Those that were active for them.' }),
  isOnline: z.boolean(),
  lastSeen: Time.nullable(),
});
