import { notFound } from '../base/errors.js';
import type { Moment } from '../domain/commands.js';
import type { RequestName } from '../domain/contract.js';
import { groupKeyOwner, isGroupId, type RoomId, type UserId } from '../domain/ids.js';
import type { Chat } from '../domain/userMessageChat.js';
import { type GroupView, type Queries, viewOf } from '../projections/queries.js';
import { KeyDestroyed, type KeyStore } from '../vault/vault.js';
import { type CommandRunner, completeAnswer, type Handlers } from './commandRunner.js';
import type { Connection } from './connection.js';

export interface GroupHandlerDeps {
  readonly commands: CommandRunner;
  readonly queries: Pick<Queries, 'chat' | 'groups'>;
  readonly keys: Pick<KeyStore, 'create'>;
  /** The moments that a query must include: those that the connection has seen, and the revision it names. */
  readonly moments: (
    connection: Connection,
    revision: string | undefined,
    roomId: RoomId,
  ) => Promise<readonly Moment[]>;
}

/** The requests about groups that are more than a command. */
export type GroupRequestName = Extract<
  RequestName,
  'create group' | 'change group' | 'get members' | 'get readers' | 'get happenings'
>;

/** The handlers of groups whose answers come from the read models. */
export function groupHandlers({ commands, queries, keys, moments }: GroupHandlerDeps): {
  readonly [N in GroupRequestName]: Handlers[N];
} {
  const readGroup = (me: UserId, roomId: RoomId, at: Moment): Promise<Chat> =>
    completeAnswer(async () => {
      const room = await queries.chat(roomId, me, [at]);
      if (!room) throw new Error(`group ${roomId} is in the log but not in the read model`);
      return room;
    });
  return {
    'create group': async (connection, me, data) => {
      await createGroupKey(keys, data.roomId);
      const answer = await commands.run(connection, { kind: 'create group', actor: me, ...data });
      const room = await readGroup(me, data.roomId, answer.moment);
      return { room, refused: answer.refused, revision: commands.cursors.revision(answer.moment) };
    },

    'change group': async (connection, me, data) => {
      const { moment } = await commands.run(connection, { kind: 'change group', actor: me, ...data });
      const room = await readGroup(me, data.roomId, moment);
      return { room, revision: commands.cursors.revision(moment) };
    },

    'get members': async (connection, me, { revision, ...page }) =>
      queries.groups.members(me, page, await moments(connection, revision, page.roomId)),

    'get readers': async (connection, me, { revision, ...page }) =>
      queries.groups.readers(me, page, await moments(connection, revision, page.roomId)),

    'get happenings': async (connection, me, { revision, ...page }) =>
      queries.groups.happenings(me, page, await moments(connection, revision, page.roomId)),
  };
}

/**
 * Creates the key of a group's name, which the writer seals with. A group that has ended has a tombstone: its creation can
 * be repeated, but nothing is sealed for it.
 */
export async function createGroupKey(keys: Pick<KeyStore, 'create'>, roomId: RoomId): Promise<void> {
  try {
    await keys.create(groupKeyOwner(roomId));
  } catch (error) {
    if (!(error instanceof KeyDestroyed)) throw error;
  }
}

/** Throws `not_found` for a user who never was a member. Otherwise returns whether the user is one now. */
export async function requireMembership(
  queries: Pick<Queries, 'groups'>,
  me: UserId,
  roomId: RoomId,
  at: readonly Moment[],
) {
  const membership = await queries.groups.membership(roomId, me, at);
  if (!membership) throw notFound('there is no such room among yours');
  return membership;
}

/** What somebody sees of a room's messages; of a chat of two, all. Throws `not_found` for a group of others. */
export const viewFor = async (
  queries: Pick<Queries, 'groups'>,
  me: UserId,
  roomId: RoomId,
  at: readonly Moment[],
): Promise<GroupView> => (isGroupId(roomId) ? viewOf(await requireMembership(queries, me, roomId, at)) : {});
