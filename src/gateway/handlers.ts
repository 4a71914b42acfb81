import { forbidden, notFound } from '../base/errors.js';
import { type Command, commandDeclaration, type Moment } from '../domain/commands.js';
import type { PlainCommandName, RequestName } from '../domain/contract.js';
import { declaredCommands } from '../domain/features.js';
import { isGroupId, type RoomId, type UserId } from '../domain/ids.js';
import { MOST_BLOCKS } from '../domain/limits.js';
import { tooManyBlocks } from '../domain/safety.js';
import { notMember } from '../domain/streams.js';
import type { Chat } from '../domain/userMessageChat.js';
import type { Queries } from '../projections/queries.js';
import type { KeyStore, SessionStore } from '../vault/vault.js';
import { type CommandRunner, completeAnswer, type Handler, type Handlers } from './commandRunner.js';
import type { Connection } from './connection.js';
import type { Revisions } from './cursor.js';
import { type GroupHandlerDeps, groupHandlers, requireMembership, viewFor } from './groupHandlers.js';
import { renewalHandler } from './identify.js';
import type { Profiles, RoomMembers } from './membersAndProfiles.js';
import { messageHandlers } from './messageHandlers.js';
import type { Hub } from './openConnections.js';
import type { Presence } from './presence.js';
import { type ReportDirectory, reportHandler } from './reporting.js';
import type { Typing } from './typing.js';

export interface HandlerDeps {
  readonly commands: CommandRunner;
  readonly queries: Queries;
  readonly revisions: Revisions;
  readonly directory: {
    readonly rooms: RoomMembers;
    readonly profiles: Profiles;
    readonly reports: ReportDirectory;
  };
  readonly live: { readonly hub: Hub; readonly presence: Presence; readonly typing: Typing };
  /** `keys`: holds those of the names of groups. */
  readonly vault: {
    readonly keys: Pick<KeyStore, 'create'>;
    readonly sessions: Pick<SessionStore, 'find'>;
  };
}

type Only<N extends keyof Handlers> = { readonly [M in N]: Handlers[M] };

/** The handlers of all requests but `identity`, which changes the connection itself. */
export function createHandlers(deps: HandlerDeps): Handlers {
  const lookUps = new LookUps(deps);
  const moments: GroupHandlerDeps['moments'] = (connection, revision, roomId) =>
    lookUps.moments(connection, revision, deps.directory.rooms.partitionOf(roomId));
  return {
    ...plainHandlers(deps.commands),
    ...deletionHandler(deps.commands),
    ...renewalHandler(deps.vault.sessions),
    ...chatSettingHandler(deps),
    ...contactHandlers(deps),
    ...membershipHandlers(lookUps),
    ...queryHandlers(deps, lookUps),
    ...presenceHandlers(deps, lookUps),
    ...privacyHandlers(deps, lookUps),
    report: reportHandler({ ...deps, reports: deps.directory.reports }),
    ...messageHandlers({ commands: deps.commands, queries: deps.queries, moments }),
    ...groupHandlers({ commands: deps.commands, queries: deps.queries, keys: deps.vault.keys, moments }),
  };
}

/** The handlers of the commands whose answer follows from their declaration. */
function plainHandlers(commands: CommandRunner): Only<PlainCommandName> {
  const handlers: Record<string, Handler<RequestName>> = {};
  for (const { kind } of declaredCommands) {
    const { reply } = commandDeclaration(kind);
    if (!reply) continue;
    handlers[kind] = async (connection, me, data) => {
      // Nothing else holds this object: the schema has just created it. A copy takes about 12 µs, by a CPU profile.
      const command = data as { kind?: string; actor?: UserId };
      command.kind = kind;
      command.actor = me;
      // Validated data of this command, with its actor, is this command.
      const answer = await commands.run(connection, command as Command);
      return reply(command as Command, answer, commands.cursors.revision(answer.moment)) as never; // As its declaration says.
    };
  }
  // Plain commands are those that have a reply.
  return handlers as unknown as Only<PlainCommandName>;
}

/** The answer to a deletion means that the keys of the message's texts are destroyed. */
function deletionHandler(commands: CommandRunner): Only<'delete message'> {
  return {
    'delete message': async (connection, me, { roomId, messageId }) => {
      const command = { kind: 'delete message', actor: me, roomId, messageId } as const;
      const { moment } = await commands.run(connection, command);
      await completeAnswer(() => commands.destroyed(moment));
      return { revision: commands.cursors.revision(moment) };
    },
  };
}

/** What a member sets of a chat for themselves. The read models say whether the chat is theirs, and how it is set. */
function chatSettingHandler({ commands, queries }: HandlerDeps): Only<'change chat'> {
  return {
    'change chat': async (connection, me, { roomId, ...changes }) => {
      const chat = await queries.chat(roomId, me, connection.seenMoments());
      if (!chat) throw notFound('there is no such room among yours');
      const { mutedUntil = null, pinned = false, archived = false } = chat;
      const seq = chat.lastMessage?.seq ?? 0;
      const before = { mutedUntil, pinned, archived };
      const command = { kind: 'change chat', actor: me, roomId, seq, before, ...changes } as const;
      const { moment } = await commands.run(connection, command);
      const changed = await completeAnswer(() => queries.chat(roomId, me, connection.seenMoments()));
      if (!changed) throw notFound('there is no such room among yours');
      return { chat: changed, revision: commands.cursors.revision(moment) };
    },
  };
}

/** Commands whose answer is completed from the read models. */
function contactHandlers({ commands, queries }: HandlerDeps): Only<'add friend' | 'init chat'> {
  return {
    'add friend': async (connection, me, { friendId }) => {
      const answer = await commands.run(connection, { kind: 'add friend', actor: me, friendId });
      const friend = (await completeAnswer(() => queries.users([friendId], []))).get(friendId);
      if (!friend) throw notFound('there is no such user');
      return { friend, revision: commands.cursors.revision(answer.moment) };
    },

    'init chat': async (connection, me, { friendId }) => {
      const answer = await commands.run(connection, { kind: 'init chat', actor: me, friendId });
      const { roomId, isNewActive, moment } = answer;
      const room = await completeAnswer(() => queries.chat(roomId, me, [moment]));
      if (!room) throw new Error(`the chat ${roomId} is in the log but not in the read model`);
      return { room, isNewActive, friendId, revision: commands.cursors.revision(answer.moment) };
    },
  };
}

/** Which rooms a connection receives pushes of. */
function membershipHandlers(lookUps: LookUps): Only<'join room' | 'leave room'> {
  /** Joining and leaving take effect in the order sent. */
  const steps = new WeakMap<Connection, Promise<unknown>>();
  const inOrder = <T>(connection: Connection, step: () => Promise<T>): Promise<T> => {
    const result = (steps.get(connection) ?? Promise.resolve()).then(step);
    steps.set(
      connection,
      result.catch(() => undefined),
    );
    return result;
  };
  return {
    'join room': (connection, me, { roomIds }) =>
      inOrder(connection, async () => {
        for (const roomId of roomIds) await lookUps.requireRoom(me, roomId, connection);
        for (const roomId of roomIds) connection.joinRoom(roomId);
        return { roomIds };
      }),

    'leave room': (connection, me, { roomId }) =>
      inOrder(connection, async () => {
        await lookUps.requireRoom(me, roomId, connection);
        connection.leaveRoom(roomId);
        return { roomId };
      }),
  };
}

function queryHandlers(
  { commands, queries, directory: { rooms }, live: { hub } }: HandlerDeps,
  lookUps: LookUps,
): Only<'fetch messages' | 'get active chats' | 'get chat' | 'get friends'> {
  /** The presence of those members of these chats who are contacts. */
  async function presenceIn(chats: readonly Chat[], me: UserId, moments: readonly Moment[]) {
    const contacts = chats
      .flatMap(({ participants }) => participants)
      .filter(({ userId, erased }) => !erased && hub.relations.isShown(me, userId));
    return Object.fromEntries(
      await queries.presence(
        me,
        contacts.map(({ userId }) => userId),
        moments,
      ),
    );
  }

  /** The index of message ids may be late, and the writer of the room knows them all. */
  async function findMessage(connection: Connection, actor: UserId, roomId: RoomId, messageId: string) {
    const command = { kind: 'find messages', actor, roomId, messageIds: [messageId] } as const;
    const { messages, moment } = await commands.run(connection, command);
    return { seq: messages[0]?.seq ?? 0, moment };
  }

  return {
    'fetch messages': async (connection, me, { roomId, revision, around, ...page }) => {
      const moments = await lookUps.moments(connection, revision, rooms.partitionOf(roomId));
      const found = typeof around === 'string' && (await findMessage(connection, me, roomId, around));
      const at = found ? [...moments, found.moment] : moments;
      if (!isGroupId(roomId)) await lookUps.requireMember(me, roomId, at);
      const asked = around === undefined ? page : { around: found ? found.seq : around, limit: page.limit };
      return queries.messages(roomId, asked, at, await viewFor(queries, me, roomId, at));
    },

    'get active chats': async (connection, me, { revision, ...page }) => {
      const moments = await lookUps.moments(connection, revision);
      const { chats, next } = await queries.activeChats(me, page, moments);
      const presence = await presenceIn(chats, me, moments);
      return { chats, presence, ...(next === undefined ? {} : { next }) };
    },

    'get chat': async (connection, me, { roomId, revision }) => {
      const moments = await lookUps.moments(connection, revision);
      const chat = await queries.chat(roomId, me, moments);
      if (!chat) throw notFound('there is no such room among yours');
      const presence = await presenceIn([chat], me, moments);
      return { chat, ...(Object.keys(presence).length > 0 ? { presence } : {}) };
    },

    'get friends': async (connection, me, { revision, ...page }) =>
      queries.friends(me, page, await lookUps.moments(connection, revision)),
  };
}

function presenceHandlers(
  { queries, live: { hub, presence, typing } }: HandlerDeps,
  lookUps: LookUps,
): Only<'notify typing' | 'get online info' | 'notify online' | 'active app' | 'background app'> {
  const seen = async (connection: Connection, written: ReturnType<Presence['setActive']>) => {
    const moment = await written;
    if (moment) connection.recordSeen(moment.partition, moment.size);
    return {};
  };
  return {
    'notify typing': async (connection, me, { roomId, isTyping }) => {
      if (isGroupId(roomId)) {
        const { isMember } = await lookUps.membership(me, roomId, connection);
        if (!isMember) throw notMember();
        typing.notify({ group: roomId }, roomId, me, isTyping);
        return {};
      }
      await lookUps.requireRoom(me, roomId, connection);
      const others = (await lookUps.activeFor(roomId, connection)).filter((member) => member !== me);
      if ((await lookUps.erasedAmong(others)).size > 0)
        throw forbidden('the other member has been erased', 'erased');
      typing.notify(others, roomId, me, isTyping);
      return {};
    },

    'get online info': async (connection, me, { recipientId }) => {
      const isKnown =
        recipientId === me ||
        (hub.relations.isShown(me, recipientId) && (await lookUps.erasedAmong([recipientId])).size === 0);
      if (!isKnown) throw notFound('there is no such contact of yours');
      // The log may not have it yet.
      if (recipientId === me && presence.isOnlineHere(me))
        return { recipientId, isOnline: true, lastSeen: null };
      const found = (await queries.presence(me, [recipientId], connection.seenMoments())).get(recipientId);
      return { recipientId, isOnline: found?.isOnline ?? false, lastSeen: found?.lastSeen ?? null };
    },

    'notify online': (connection, me) => seen(connection, presence.setActive(me, connection)),
    'active app': (connection, me) => seen(connection, presence.setActive(me, connection)),
    'background app': (connection, me) => seen(connection, presence.setInBackground(me, connection)),
  };
}

/** Read marks, blocks and preferences. */
function privacyHandlers(
  { commands, queries, live: { hub } }: HandlerDeps,
  lookUps: LookUps,
): Only<'read messages' | 'block user' | 'get blocked' | 'get preferences' | 'change preferences'> {
  const { relations } = hub;
  return {
    'read messages': async (connection, me, { roomId, upTo }) => {
      const { moment, ...marks } = await commands.run(connection, {
        ...{ kind: 'read messages', actor: me, roomId },
        ...(upTo === undefined ? {} : { upTo }),
        ...(relations.preferencesOf(me).receipts ? {} : { hidden: true }),
      });
      const { upTo: mark, unread } = marks;
      return { roomId, userId: me, upTo: mark, unread, revision: commands.cursors.revision(moment) };
    },

    'block user': async (connection, me, { userId, block }) => {
      // What the decider counts may be a second old. This node knows of what it has answered.
      if (block && !relations.hasBlocked(me, userId) && relations.blockCount(me) >= MOST_BLOCKS)
        throw tooManyBlocks();
      const { moment } = await commands.run(connection, { kind: 'block user', actor: me, userId, block });
      return { revision: commands.cursors.revision(moment) };
    },

    'get blocked': (connection, me, page) => queries.blocked(me, page, connection.seenMoments()),

    'get preferences': async (connection, me) => ({
      preferences: await queries.preferences(me, await lookUps.moments(connection, undefined)),
    }),

    'change preferences': async (connection, me, changes) => {
      const answer = await commands.run(connection, { kind: 'change preferences', actor: me, ...changes });
      const { preferences, moment } = answer;
      // The fan-out applies it too, but may be late. What comes after the answer must find it.
      relations.prefer(me, preferences);
      return { preferences, revision: commands.cursors.revision(moment) };
    },
  };
}

/** Look-ups that several handlers share. Each includes all events that its connection has seen. */
class LookUps {
  constructor(private readonly deps: Omit<HandlerDeps, 'commands' | 'live' | 'vault'>) {}

  /** The moments that a query must include: those that the connection has seen, and the revision it names. */
  async moments(connection: Connection, revision: string | undefined, partition?: number) {
    const seen = connection.seenMoments(partition);
    return revision === undefined ? seen : [...seen, await this.deps.revisions.parse(revision)];
  }

  /** Throws `not_found` for a room of others, after the same work as for one that does not exist. */
  async requireMember(me: UserId, roomId: RoomId, moments: readonly Moment[]): Promise<void> {
    if (!(await this.deps.directory.rooms.membersFor(me, roomId, moments)))
      throw notFound('there is no such room among yours');
  }

  /** The membership of a group, by all that the connection has seen. */
  membership(me: UserId, roomId: RoomId, connection: Connection) {
    const partition = this.deps.directory.rooms.partitionOf(roomId);
    return requireMembership(this.deps.queries, me, roomId, connection.seenMoments(partition));
  }

  /** As `requireMember`, by all that the connection has seen. Who has left a group is no member. */
  async requireRoom(me: UserId, roomId: RoomId, connection: Connection): Promise<void> {
    if (isGroupId(roomId)) {
      if (!(await this.membership(me, roomId, connection)).isMember)
        throw notFound('there is no such room among yours');
      return;
    }
    const partition = this.deps.directory.rooms.partitionOf(roomId);
    return this.requireMember(me, roomId, connection.seenMoments(partition));
  }

  activeFor(roomId: RoomId, connection: Connection): Promise<readonly UserId[]> {
    const { rooms } = this.deps.directory;
    return rooms.activeFor(roomId, connection.seenMoments(rooms.partitionOf(roomId)));
  }

  async erasedAmong(users: readonly UserId[]): Promise<ReadonlySet<UserId>> {
    const found = await this.deps.directory.profiles.load(users);
    return new Set(users.filter((user) => found.get(user)?.erased));
  }
}
