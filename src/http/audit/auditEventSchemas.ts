import { z } from 'zod';
import { filterFields, PointInTime } from '../../audit/events/eventFilter.js';
import { Time } from '../../domain/fields.js';
import { Message, User } from '../../domain/userMessageChat.js';

export const EventQuery = z.strictObject({
  ...filterFields,
  order: z
    .enum(['asc', 'desc'], 'must be asc or desc')
    .default('asc')
    .meta({ description: '`desc`: newest first, exactly the other way round.' }),
  from: z.string().min(1).max(12_288).exactOptional().meta({ description: 'The `next` of the page before.' }),
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(1).max(200))
    .default(50),
});

export const EventStreamQuery = z.strictObject({
  ...filterFields,
  follow: z.enum(['true', 'false']).default('false').meta({ description: 'Go on with what comes.' }),
});

const Event = z
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
  .meta({ id: 'Event' });

export const EventAnswer = z.strictObject({ event: Event });
export const EventsAnswer = z.strictObject({
  events: z.array(Event),
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
      PointInTime,
      z
        .string()
        .regex(/^[1-9]\d{0,14}$/)
        .transform(Number)
        .pipe(z.int().min(1)),
    ])
    .exactOptional()
    .meta({
      description: 'A time (ISO 8601), included; or the `seq` of its last message. By default now.',
    }),
});
export const UserThenQuery = z.strictObject({
  at: PointInTime.exactOptional().meta({ description: 'A time (ISO 8601), included. By default now.' }),
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
