import { randomUUID } from 'node:crypto';
import { forbidden, isOutage, notFound, outcomeUnknown, ParleyError } from '../base/errors.js';
import type { Answer, CommandKind, CommandOf, CommandRouter } from '../domain/commands.js';
import type { RequestAnswer, RequestData, RequestName } from '../domain/contract.js';
import type { RoomId, UserId } from '../domain/ids.js';
import type { Queries } from '../projections/queries.js';
import type { Connection } from './connection.js';
import type { Cursors, Horizon, Revisions } from './cursor.js';
import type { Profiles, Rooms } from './directory.js';
import type { Hub } from './hub.js';
import type { Presence } from './presence.js';
import type { Typing } from './typing.js';

/**
 * The rest of an answer whose command has been done. Where that cannot be had now it rejects with `unknown`:
 * `overloaded` says that nothing was done, and a repeat will get the answer.
 */
export async function onceDone<T>(rest: () => Promise<T>): Promise<T> {
  try {
    return await rest();
  } catch (error) {
    const isLate = isOutage(error) || (error instanceof ParleyError && error.code === 'overloaded');
    if (isLate) throw outcomeUnknown('it was done, but a store does not give the answer', error);
    throw error;
  }
}

export interface HandlerDeps {
  readonly router: CommandRouter;
  readonly queries: Queries;
  readonly hub: Hub;
  readonly rooms: Rooms;
  readonly profiles: Profiles;
  readonly presence: Presence;
  readonly typing: Typing;
  readonly cursors: Cursors;
  readonly revisions: Revisions;
  /** How far the fan-out of this node is. */
  readonly horizon: Horizon;
}

/** One request of a connection that has identified. Rejects with a `ParleyError`, or with what becomes `internal`. */
export type Handler<N extends RequestName> = (
  connection: Connection,
  me: UserId,
  data: RequestData<N>,
) => Promise<RequestAnswer<N>>;

export type Handlers = { readonly [N in Exclude<RequestName, 'identity'>]: Handler<N> };

/** What each request does; `identity` is the connection's own affair. */
export function createHandlers(deps: HandlerDeps): Handlers {
  const { router, queries, hub, rooms, presence, typing, cursors, revisions } = deps;

  async function execute<K extends CommandKind>(
    connection: Connection,
    command: CommandOf<K>,
  ): Promise<Answer<K>> {
    const id = randomUUID();
    const forget = hub.command(id, connection);
    let answer: Answer<K>;
    try {
      answer = await router.execute<K>(command, id);
    } catch (error) {
      forget();
      throw error;
    }
    // The fan-out may be held up by a name that it fetches: the push must still know where it came from.
    const { partition, size } = answer.moment;
    if ((deps.horizon.vector[partition] ?? 0) >= size) forget();
    else void deps.horizon.reached(partition, size).promise.then(forget);
    connection.saw(answer.moment.partition, answer.moment.size);
    return answer;
  }

  const at = async (connection: Connection, revision: string | undefined, partition?: number) => [
    ...connection.moments(partition),
    ...(revision === undefined ? [] : [await revisions.parse(revision)]),
  ];

  const mine = async (me: UserId, roomId: RoomId, connection: Connection): Promise<readonly UserId[]> => {
    const members = await rooms.members(roomId, connection.moments(rooms.partitionOf(roomId)));
    if (!members?.includes(me)) throw notFound('there is no such room among yours');
    return members;
  };

  const erasedAmong = async (users: readonly UserId[]): Promise<ReadonlySet<UserId>> => {
    const found = await deps.profiles.load(users);
    return new Set(users.filter((user) => found.get(user)?.erased));
  };

  /** Joining and leaving take effect in the order sent. */
  const joins = new WeakMap<Connection, Promise<unknown>>();
  const inOrder = <T>(connection: Connection, step: () => Promise<T>): Promise<T> => {
    const result = (joins.get(connection) ?? Promise.resolve()).then(step);
    joins.set(
      connection,
      result.catch(() => undefined),
    );
    return result;
  };

  const seen = async (connection: Connection, written: ReturnType<Presence['active']>) => {
    const moment = await written;
    if (moment) connection.saw(moment.partition, moment.size);
    return {};
  };

  return {
    'add friend': async (connection, me, { friendId }) => {
      const { moment } = await execute(connection, { kind: 'add friend', actor: me, friendId });
      // The fan-out says it too, but may be held up; what is asked after the answer knows of it.
      hub.acquaint(me, friendId);
      const friend = (await onceDone(() => deps.profiles.load([friendId]))).get(friendId);
      if (!friend) throw notFound('there is no such user');
      return { friend, revision: cursors.revision(moment) };
    },

    'init chat': async (connection, me, { friendId }) => {
      const answer = await execute(connection, { kind: 'init chat', actor: me, friendId });
      const room = await onceDone(() => queries.chat(answer.roomId, me, [answer.moment]));
      if (!room) throw new Error(`the chat ${answer.roomId} is in the log but not in the read model`);
      return { room, isNewActive: answer.isNewActive, friendId, revision: cursors.revision(answer.moment) };
    },

    'join room': (connection, me, { roomIds }) =>
      inOrder(connection, async () => {
        for (const roomId of roomIds) await mine(me, roomId, connection);
        for (const roomId of roomIds) connection.left?.delete(roomId);
        return { roomIds };
      }),

    'leave room': (connection, me, { roomId }) =>
      inOrder(connection, async () => {
        await mine(me, roomId, connection);
        connection.left ??= new Set();
        connection.left.add(roomId);
        return { roomId };
      }),

    'send message': async (connection, me, data) => {
      const { message, moment } = await execute(connection, { kind: 'send message', actor: me, ...data });
      // The first message makes contacts: see `add friend`.
      if (message.seq === 1)
        for (const other of (await onceDone(() => rooms.members(data.roomId, [moment]))) ?? [])
          if (other !== me) hub.acquaint(me, other);
      return { message, revision: cursors.revision(moment) };
    },

    'read messages': async (connection, me, data) => {
      const { upTo, unread, moment } = await execute(connection, {
        kind: 'read messages',
        actor: me,
        ...data,
      });
      return { roomId: data.roomId, userId: me, upTo, unread, revision: cursors.revision(moment) };
    },

    'fetch messages': async (connection, me, { roomId, revision, ...page }) => {
      const moments = await at(connection, revision, rooms.partitionOf(roomId));
      const members = await rooms.members(roomId, moments);
      if (!members?.includes(me)) throw notFound('there is no such room among yours');
      return queries.messages(roomId, page, moments);
    },

    'get active chats': async (connection, me, { revision, ...page }) => {
      const moments = await at(connection, revision);
      const { chats, next } = await queries.activeChats(me, page, moments);
      const others = chats.flatMap(({ participants }) => participants.map(({ userId }) => userId));
      const erased = new Set(
        chats.flatMap(({ participants }) => participants.flatMap((user) => (user.erased ? user.userId : []))),
      );
      const contacts = others.filter((other) => hub.isContact(me, other) && !erased.has(other));
      const levels = await queries.presence(contacts, moments);
      return { chats, presence: Object.fromEntries(levels), ...(next === undefined ? {} : { next }) };
    },

    'notify typing': async (connection, me, { roomId, isTyping }) => {
      await mine(me, roomId, connection);
      const active = await rooms.activeFor(roomId, connection.moments(rooms.partitionOf(roomId)));
      const others = active.filter((member) => member !== me);
      if ((await erasedAmong(others)).size > 0) throw forbidden('the other member has been erased');
      typing.notify(others, roomId, me, isTyping);
      return {};
    },

    'get online info': async (connection, me, { recipientId }) => {
      if (
        recipientId !== me &&
        (!hub.isContact(me, recipientId) || (await erasedAmong([recipientId])).size > 0)
      )
        throw notFound('there is no such contact of yours');
      const level = (await queries.presence([recipientId], connection.moments())).get(recipientId);
      return { recipientId, isOnline: level?.isOnline ?? false, lastSeen: level?.lastSeen ?? null };
    },

    'notify online': (connection, me) => seen(connection, presence.active(me, connection)),
    'active app': (connection, me) => seen(connection, presence.active(me, connection)),
    'background app': (connection, me) => seen(connection, presence.background(me, connection)),
  };
}
