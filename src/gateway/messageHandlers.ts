import { notFound } from '../base/errors.js';
import { isGroupId } from '../domain/ids.js';
import { type Queries, viewOf } from '../projections/queries.js';
import type { CommandRunner, Handler, Handlers } from './commandRunner.js';
import { type GroupHandlerDeps, requireMembership } from './groupHandlers.js';

/** The requests about one message, which they name by its id. */
export type MessageRequestName = 'get message' | 'get edits';

export interface MessageHandlerDeps extends Pick<GroupHandlerDeps, 'moments'> {
  readonly commands: CommandRunner;
  readonly queries: Queries;
}

/** The handlers of questions about one message. A message that one may not see is `not_found`. */
export function messageHandlers({ commands, queries, moments }: MessageHandlerDeps): {
  readonly [N in MessageRequestName]: Handlers[N];
} {
  type Arguments = Parameters<Handler<MessageRequestName>>;
  /** Where the message is, and what of it this user may see. */
  async function find(connection: Arguments[0], me: Arguments[1], data: Arguments[2]) {
    const { roomId, messageId, revision } = data;
    const asked = await moments(connection, revision, roomId);
    // The index of message ids may be late, and the writer of the room knows them all.
    const command = { kind: 'find messages', actor: me, roomId, messageIds: [messageId] } as const;
    const { messages, moment } = await commands.run(connection, command);
    const at = [...asked, moment];
    const group = isGroupId(roomId) ? await requireMembership(queries, me, roomId, at) : undefined;
    return { seq: messages[0]?.seq ?? 0, at, group };
  }
  return {
    'get message': async (connection, me, data) => {
      const { seq, at, group } = await find(connection, me, data);
      const page = { before: seq + 1, limit: 1 };
      const { messages } = await queries.messages(data.roomId, page, at, group && viewOf(group));
      const [message] = messages;
      if (message?.seq !== seq) throw notFound('there is no such message that you may see');
      return { message };
    },

    'get edits': async (connection, me, data) => {
      const { seq, at, group } = await find(connection, me, data);
      return { edits: await queries.edits(data.roomId, seq, at, group ? viewOf(group) : {}) };
    },
  };
}
