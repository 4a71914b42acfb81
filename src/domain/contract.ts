import { z } from 'zod';
import { badRequest } from '../base/errors.js';

/** One schema each: it validates, gives the TypeScript type, and is shown in the API documents. */

const hasLoneSurrogate = /(?:[\uD800-\uDBFF](?![\uDC00-\uDFFF]))|(?:(?<![\uD800-\uDBFF])[\uDC00-\uDFFF])/;

function codePoints(text: string): number {
  let n = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) n--;
  }
  return n;
}

export const Id = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i, 'must be a UUID')
  .transform((id) => id.toLowerCase())
  .meta({ format: 'uuid', description: 'A UUID; compared and given back in lower case.' });

const MessageText = z
  .string()
  .min(1, 'must not be empty')
  .refine((text) => text.length <= 8192 || codePoints(text) <= 8192, 'must be at most 8,192 code points')
  .refine((text) => !hasLoneSurrogate.test(text), 'must not contain lone surrogates')
  .refine((text) => /\S/.test(text), 'must not be only white space')
  .meta({
    description: '1–8,192 code points, not only white space, no lone surrogates; kept exactly as sent.',
    maxLength: 8192,
  });

const Seq = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const Limit = z.int().min(1).max(200).default(50);
const Revision = z
  .string()
  .min(1)
  .max(256)
  .meta({ description: 'Opaque: answer from at least this moment of the log.' });
const Cursor = z.string().min(1).max(4096).meta({ description: 'Opaque: where a connection has got to.' });
export const Time = z
  .string()
  .meta({ format: 'date-time', description: 'ISO 8601 in UTC with milliseconds.' });

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
  })
  .meta({ id: 'Message' });
export type Message = z.infer<typeof Message>;

export const Chat = z
  .strictObject({
    roomId: z.string().meta({ format: 'uuid' }),
    roomType: z.literal('PRIVATE'),
    participants: z.array(User),
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

const Empty = z.strictObject({});
const RecipientInfo = z.strictObject({
  recipientId: z.string(),
  isOnline: z.boolean(),
  lastSeen: Time.nullable(),
});

/** What a client may ask over the socket: what it sends as `data`, and what the answer's `data` is. */
export const requests = {
  identity: {
    data: z.strictObject({ token: z.string().max(1024).exactOptional(), cursor: Cursor.exactOptional() }),
    answer: z.strictObject({ user: User, cursor: Cursor }),
  },
  'add friend': {
    data: z.strictObject({ friendId: Id }),
    answer: z.strictObject({ friend: User, revision: Revision }),
  },
  'init chat': {
    data: z.strictObject({ friendId: Id }),
    answer: z.strictObject({
      room: Chat,
      isNewActive: z.boolean(),
      friendId: z.string(),
      revision: Revision,
    }),
  },
  'join room': {
    data: z.strictObject({ roomIds: z.array(Id).min(1).max(1000) }),
    answer: z.strictObject({ roomIds: z.array(z.string()) }),
  },
  'leave room': { data: z.strictObject({ roomId: Id }), answer: z.strictObject({ roomId: z.string() }) },
  'send message': {
    data: z.strictObject({ roomId: Id, messageId: Id, message: MessageText, replyTo: Id.exactOptional() }),
    answer: z.strictObject({ message: Message, revision: Revision }),
  },
  'fetch messages': {
    data: z
      .strictObject({
        roomId: Id,
        before: Seq.exactOptional(),
        after: Seq.exactOptional(),
        limit: Limit,
        revision: Revision.exactOptional(),
      })
      .refine((d) => d.before === undefined || d.after === undefined, {
        message: 'give before or after, not both',
        path: ['after'],
      }),
    answer: z.strictObject({ messages: z.array(Message), hasMore: z.boolean() }),
  },
  'read messages': {
    data: z.strictObject({ roomId: Id, upTo: Seq.exactOptional() }),
    answer: z.strictObject({
      roomId: z.string(),
      userId: z.string(),
      upTo: z.int().min(0),
      unread: z.int().min(0),
      revision: Revision,
    }),
  },
  'get active chats': {
    data: z.strictObject({
      limit: Limit,
      next: z.string().min(1).max(256).exactOptional(),
      revision: Revision.exactOptional(),
    }),
    answer: z.strictObject({
      chats: z.array(Chat),
      presence: z.record(z.string(), OnlineInfo),
      next: z.string().exactOptional(),
    }),
  },
  'notify typing': { data: z.strictObject({ roomId: Id, isTyping: z.boolean() }), answer: Empty },
  'get online info': { data: z.strictObject({ recipientId: Id }), answer: RecipientInfo },
  'notify online': { data: Empty, answer: Empty },
  'active app': { data: Empty, answer: Empty },
  'background app': { data: Empty, answer: Empty },
} as const;

export type RequestName = keyof typeof requests;
export type RequestData<N extends RequestName> = z.infer<(typeof requests)[N]['data']>;
/** What a client may write: fields with a default may be left out. */
export type RequestInput<N extends RequestName> = z.input<(typeof requests)[N]['data']>;
export type RequestAnswer<N extends RequestName> = z.infer<(typeof requests)[N]['answer']>;

/** What the server pushes, by event; `stored` pushes carry a cursor. */
export const pushes = {
  identity: { stored: false, data: z.strictObject({ caughtUp: z.literal(true) }) },
  'add friend': { stored: true, data: z.strictObject({ friend: User }) },
  'init chat': { stored: true, data: z.strictObject({ room: Chat }) },
  'send message': { stored: true, data: z.strictObject({ message: Message }) },
  'read messages': {
    stored: true,
    data: z.strictObject({ roomId: z.string(), userId: z.string(), upTo: z.int().min(0) }),
  },
  'notify typing': {
    stored: false,
    data: z.strictObject({ roomId: z.string(), userId: z.string(), isTyping: z.boolean() }),
  },
  'get online info': { stored: false, data: RecipientInfo },
  'erase user': { stored: true, data: z.strictObject({ roomId: z.string(), userId: z.string() }) },
} as const;

export type PushName = keyof typeof pushes;
export type PushData<N extends PushName> = z.infer<(typeof pushes)[N]['data']>;

/** Checks `data` against the schema; throws `bad_request` that names every wrong field. */
export function validate<S extends z.ZodType>(schema: S, data: unknown): z.infer<S> {
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({
          path: [...issue.path, key].join('.'),
          message: 'is not a field of this request',
        }))
      : [{ path: issue.path.join('.'), message: issue.message }],
  );
  throw badRequest(fields.map(({ path, message }) => `${path || 'data'} ${message}`).join('; '), fields);
}
