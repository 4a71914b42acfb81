import { randomUUID } from 'node:crypto';
import type Router from '@koa/router';
import { z } from 'zod';
import { notFound } from '../../base/errors.js';
import { routerVia } from '../../domain/commands.js';
import { Id } from '../../domain/fields.js';
import { isGroupId } from '../../domain/ids.js';
import { PAGE_ROWS } from '../../domain/limits.js';
import { MessageBodyFields, MessageData } from '../../domain/messages/messageBody.js';
import { Message } from '../../domain/userMessageChat.js';
import { completeAnswer } from '../../gateway/commandRunner.js';
import { serveResource } from '../auth.js';
import { readBody, readId, readOptionalBody, readQuery } from '../problems.js';
import { NoFields, pageLimit } from '../schemas.js';
import { HostRequests, HostUserId, type ServerParts } from './hostRequests.js';
import type { RequireKey } from './serverAuth.js';

export const HostMessageBody = z.strictObject({
  senderId: HostUserId,
  ...MessageBodyFields,
  data: MessageData.exactOptional(),
  replyTo: Id.exactOptional(),
});

export const HostDeletionBody = z.strictObject({
  senderId: HostUserId.exactOptional().meta({
    description: 'The user who deletes the message. By default its sender.',
  }),
});

export const HostMessageAnswer = z.strictObject({ message: Message });

const seq = z
  .string()
  .regex(/^\d{1,16}$/, 'must be a whole number')
  .transform(Number)
  .pipe(z.int().min(0))
  .exactOptional();

export const HostMessagesQuery = z
  .strictObject({
    before: seq.meta({ description: 'Only messages of a smaller `seq`; without either, the newest.' }),
    after: seq.meta({ description: 'Only messages of a larger `seq`; not together with `before`.' }),
    limit: pageLimit(PAGE_ROWS),
  })
  .refine(({ before, after }) => before === undefined || after === undefined, {
    message: 'give before or after, not both',
    path: ['after'],
  });

export const HostMessagesAnswer = z.strictObject({ messages: z.array(Message), hasMore: z.boolean() });

/** Messages in the name of users, and reading what was said. */
export function mountServerMessages(router: Router, parts: ServerParts, required: RequireKey): void {
  const requests = new HostRequests(parts);
  const { queries, roomNow } = parts.reads;
  const { commands, destroyed } = parts.writes;

  serveResource(router, '/server/rooms/:roomId/messages', {
    GET: required('messages', async (ctx, key) => {
      const roomId = readId(ctx.params.roomId);
      const { before, after, limit } = readQuery(ctx, HostMessagesQuery);
      const at = await roomNow(roomId);
      const isRoom = isGroupId(roomId)
        ? await queries.groups.exists(roomId, at)
        : (await queries.members(roomId, at)) !== undefined;
      if (!isRoom) throw notFound(`there is no room ${roomId}`);
      // A checked query has strings only.
      const query = { roomId, ...(ctx.query as Record<string, string>) };
      const command = { kind: 'record host read', userId: key.id, query } as const;
      await routerVia(commands, key.id).execute<'record host read'>(command, randomUUID());
      const page = {
        limit,
        ...(before === undefined ? {} : { before }),
        ...(after === undefined ? {} : { after }),
      };
      ctx.body = await queries.messages(roomId, page, at);
    }),
  });

  serveResource(router, '/server/rooms/:roomId/messages/:messageId', {
    PUT: required('messages', async (ctx, key) => {
      const [roomId, messageId] = [readId(ctx.params.roomId), readId(ctx.params.messageId)];
      readQuery(ctx, NoFields);
      const { senderId, ...body } = await readBody(ctx, HostMessageBody);
      const actor = await requests.actor(senderId);
      const command = { kind: 'send message', actor, roomId, messageId, ...body } as const;
      const { message, isNew } = await requests.run<'send message'>(key, command);
      ctx.body = { message };
      ctx.status = isNew ? 201 : 200;
    }),
    DELETE: required('messages', async (ctx, key) => {
      const [roomId, messageId] = [readId(ctx.params.roomId), readId(ctx.params.messageId)];
      readQuery(ctx, NoFields);
      const { senderId } = await readOptionalBody(ctx, HostDeletionBody);
      const { moment } =
        senderId === undefined
          ? await requests.run<'delete for sender'>(key, { kind: 'delete for sender', roomId, messageId })
          : await requests.run<'delete message'>(key, {
              ...{ kind: 'delete message', roomId, messageId },
              actor: await requests.actor(senderId),
            });
      await completeAnswer(() => destroyed(moment));
      ctx.status = 204;
    }),
  });
}
