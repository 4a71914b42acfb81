import { expect } from 'chai';
import { forbidden, overloaded, ParleyError, VaultUnavailable } from '../../src/base/errors.js';
import type { Answer, Command, CommandKind, CommandOf, Moment } from '../../src/domain/commands.js';
import type { RequestAnswer, RequestData } from '../../src/domain/contract.js';
import type { RoomId } from '../../src/domain/ids.js';
import { MOST_BLOCKS } from '../../src/domain/limits.js';
import type { Chat, Message } from '../../src/domain/userMessageChat.js';
import { CommandRunner, type Handlers } from '../../src/gateway/commandRunner.js';
import type { Connection } from '../../src/gateway/connection.js';
import { createHandlers } from '../../src/gateway/handlers.js';
import { RoomMembers } from '../../src/gateway/membersAndProfiles.js';
import { Typing, type TypingNote } from '../../src/gateway/typing.js';
import type { Queries } from '../../src/projections/queries.js';
import { turn } from './fakeClient.js';
import { Gate, GatewayWorld } from './gatewayWorld.js';

const recordedAt = '2026-01-02T03:04:05.678Z';
const [near, far] = ['room-a', 'room-c'] as const;

/** The handlers of a node whose commands and queries are answered by the test. */
class HandlersWorld extends GatewayWorld {
  readonly commands: { readonly command: Command; readonly id: string }[] = [];
  /** What a command is answered with, beside its moment: the log's next of partition 1. */
  decide: (command: Command) => unknown = () => ({});
  readonly commandGate = new Gate();
  readonly queriesGate = new Gate();
  queriesFail: Error | undefined;
  /** The moments that each query was to include. */
  readonly asked: [string, readonly Moment[]][] = [];
  readonly members = new Map<RoomId, string[]>();
  readonly activeFor = new Map<RoomId, string[]>();
  chats: Chat[] = [];
  /** What the read models say of everybody. */
  online = true;
  readonly typed: TypingNote[] = [];
  readonly handlers: Handlers;
  readonly rooms: RoomMembers;
  #size = 10;

  constructor() {
    super();
    const { hub, presence, profiles, revisions, cursors, fanout } = this;
    const answer = async <T>(name: string, at: readonly Moment[], give: () => T): Promise<T> => {
      this.asked.push([name, at]);
      await this.queriesGate.pass();
      if (this.queriesFail) throw this.queriesFail;
      return give();
    };
    const queries = {
      users: async (ids) => profiles.load(ids),
      members: (room, at) => answer('members', at, () => this.members.get(room)),
      membersFor: (user, room, at) =>
        answer('membersFor', at, () => {
          const members = this.members.get(room);
          return members?.includes(user) ? members : undefined;
        }),
      activeFor: (room, at) => answer('activeFor', at, () => this.activeFor.get(room) ?? []),
      chat: (roomId, _, at) => answer('chat', at, () => this.chats.find((chat) => chat.roomId === roomId)),
      activeChats: (_, { next }, at) =>
        answer('activeChats', at, () => ({ chats: this.chats, ...(next ? {} : { next: 'more' }) })),
      messages: (_, __, at) => answer('messages', at, () => ({ messages: [], hasMore: false })),
      presence: (_, ids, at) =>
        answer(
          'presence',
          at,
          () => new Map(ids.map((id) => [id, { isOnline: this.online, lastSeen: null }])),
        ),
    } as Partial<Queries> as Queries; // No other query is asked by a handler.
    const router = {
      execute: async <K extends CommandKind>(command: Command, id: string): Promise<Answer<K>> => {
        this.commands.push({ command, id });
        await this.commandGate.pass();
        const decided = this.decide(command);
        if (decided instanceof Error) throw decided;
        // The answer of this kind, as the test has it.
        return { ...(decided as object), moment: { partition: 1, size: ++this.#size } } as Answer<K>;
      },
    };
    this.rooms = new RoomMembers(queries, 2);
    this.handlers = createHandlers({
      commands: new CommandRunner({ router, hub, fanout, cursors, destroyed: async () => {} }),
      queries,
      revisions,
      directory: {
        ...{ rooms: this.rooms, profiles },
        reports: {
          found: { find: async () => undefined, byId: async () => undefined },
          whenKept: async () => {},
        },
      },
      vault: { keys: { create: async () => {} }, sessions: { find: async () => undefined } },
      live: {
        hub,
        presence,
        typing: new Typing({
          push: (note) => this.typed.push(note),
          tell: () => {},
          isAnyHere: () => true,
          setTimer: this.host.time.setTimer,
        }),
      },
    });
  }

  /** The revision of the newest command. */
  get revision(): string {
    return this.cursors.revision({ partition: 1, size: this.#size });
  }
}

const chatOf = (roomId: string, ...others: string[]): Chat => ({
  roomId,
  roomType: 'PRIVATE',
  participants: others.map((userId) => ({
    ...{ userId, username: userId, backgroundColor: '#000000', createdAt: recordedAt },
    ...(userId === 'erased' ? { username: null, erased: true as const } : {}),
  })),
  lastMessage: null,
  unread: 0,
  readUpTo: {},
  createdAt: recordedAt,
});

/** The code of what it rejects with. */
async function refusalOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
  } catch (error) {
    expect(error).instanceOf(ParleyError);
    return error instanceof ParleyError ? error.code : '';
  }
  return expect.fail('it was not refused');
}

describe('the handlers', () => {
  let world: HandlersWorld;
  let connection: Connection;
  beforeEach(async () => {
    world = new HandlersWorld();
    const { token } = await world.signUp('ann');
    for (const user of ['bob', 'cem', 'erased']) await world.signUp(user);
    world.erase('erased');
    ({ connection } = await world.connectLive(token));
    for (const room of [near, far]) world.members.set(room, ['ann', 'bob']);
  });
  afterEach(() => world.close());

  /** A request of ann's on her connection. */
  const ask = <N extends keyof Handlers>(event: N, data: RequestData<N>): Promise<RequestAnswer<N>> =>
    world.handlers[event](connection, 'ann', data);
  const sent = (seq: number): Message => ({
    ...{ messageId: 'm', roomId: far, seq, senderId: 'ann', message: 'hello', sentAt: recordedAt },
  });
  const send = () => ask('send message', { roomId: far, messageId: 'm', message: 'hello' });

  describe('of commands', () => {
    it('give the writer the command with its actor from the session, and answer with a revision', async () => {
      world.decide = () => ({ message: sent(2) });
      expect(await send()).deep.equal({ message: sent(2), revision: world.revision });
      world.decide = () => ({ upTo: 3, unread: 1 });
      expect(await ask('read messages', { roomId: far, upTo: 3 })).deep.equal({
        ...{ roomId: far, userId: 'ann', upTo: 3, unread: 1, revision: world.revision },
      });
      expect(world.commands.map(({ command }) => command)).deep.equal([
        { kind: 'send message', actor: 'ann', roomId: far, messageId: 'm', message: 'hello' },
        { kind: 'read messages', actor: 'ann', roomId: far, upTo: 3 },
      ]);
      expect(new Set(world.commands.map(({ id }) => id)).size, 'each with an id of its own').equal(2);
    });

    it('make later queries of the connection include them', async () => {
      world.decide = () => ({ message: sent(2) });
      await send();
      expect(connection.seenMoments(1)).deep.equal([{ partition: 1, size: 11 }]);
    });

    it('know where a command came from until its pushes have gone out', async () => {
      let reach = () => {};
      const promise = new Promise<void>((resolve) => (reach = resolve));
      world.fanout.reached = () => ({ promise, cancel: () => {} });
      world.decide = () => ({ message: sent(2) });
      world.commandGate.close();
      const answered = send();
      const isSource = () => connection.commandIds?.includes(world.commands[0]?.id ?? '');
      expect(isSource(), 'while it is decided').equal(true);
      world.commandGate.open();
      await answered;
      expect(isSource(), 'while the fan-out is held up').equal(true);
      reach();
      await turn();
      expect(isSource()).equal(undefined);
    });

    it('forget that at once when the pushes went out before the answer, or the command is refused', async () => {
      world.fanout.reached = () => expect.fail('there is nothing to wait for');
      world.fanout.vector = [0, 99];
      world.decide = () => ({ message: sent(2) });
      await send();
      world.fanout.vector = [0, 0];
      world.decide = () => forbidden('the other member has been erased');
      expect(await refusalOf(send())).equal('forbidden');
      expect([world.commands.length, connection.commandIds]).deep.equal([2, undefined]);
      expect(connection.seenMoments(1), 'of the first alone').deep.equal([{ partition: 1, size: 11 }]);
    });

    it('make contacts before the answer, by a friendship and a first message', async () => {
      world.decide = () => ({ isNew: true });
      expect(await ask('add friend', { friendId: 'bob' })).deep.equal({
        friend: world.users.get('bob'),
        revision: world.revision,
      });
      expect(world.hub.relations.isShown('ann', 'bob')).equal(true);
      world.decide = () => ({ message: sent(1), contact: 'cem' });
      await send();
      expect(world.hub.relations.isShown('ann', 'cem')).equal(true);
    });

    it('answer init chat with the chat as of the command', async () => {
      world.chats = [chatOf(far, 'ann', 'bob')];
      world.decide = () => ({ roomId: far, isNewActive: true });
      expect(await ask('init chat', { friendId: 'bob' })).deep.equal({
        room: world.chats[0],
        isNewActive: true,
        friendId: 'bob',
        revision: world.revision,
      });
      expect(world.asked).deep.equal([['chat', [{ partition: 1, size: 11 }]]]);
    });

    it('block 10,000 users and no more, by what this node has answered', async () => {
      const block = (userId: string, block: boolean) => ask('block user', { userId, block });
      for (let i = 0; i < MOST_BLOCKS - 1; i++)
        world.hub.relations.apply({ by: 'ann', other: `u${i}`, is: 'blocked' });
      world.decide = () => ({ changed: true });
      await block('bob', true);
      expect(await refusalOf(block('cem', true))).equal('forbidden');
      await block('bob', true);
      await block('u0', false);
      await block('cem', true);
      expect(await refusalOf(block('u0', true))).equal('forbidden');
      expect(world.commands.map(({ command }) => (command as CommandOf<'block user'>).userId)).deep.equal([
        ...['bob', 'bob', 'u0', 'cem'],
      ]);
    });

    it('are unknown, not overloaded, once they were done and the answer cannot be had', async () => {
      world.decide = () => ({ roomId: far, isNewActive: true });
      for (const error of [new VaultUnavailable('away'), overloaded('behind')]) {
        world.queriesFail = error;
        expect(await refusalOf(ask('init chat', { friendId: 'bob' }))).equal('unknown');
      }
      world.decide = () => overloaded('too many commands are waiting');
      expect(await refusalOf(ask('init chat', { friendId: 'bob' })), 'not done').equal('overloaded');
    });
  });

  describe('of joining and leaving', () => {
    it('leave one room and join it again', async () => {
      expect(await ask('leave room', { roomId: far })).deep.equal({ roomId: far });
      expect([connection.isListeningTo(far), connection.isListeningTo(near)]).deep.equal([false, true]);
      expect(await ask('join room', { roomIds: [near, far] })).deep.equal({ roomIds: [near, far] });
      expect(connection.isListeningTo(far)).equal(true);
    });

    it('join none when one is not mine, and know no rooms of others', async () => {
      world.members.set('theirs', ['bob', 'cem']);
      await ask('leave room', { roomId: far });
      for (const roomId of ['theirs', 'none']) {
        expect(await refusalOf(ask('join room', { roomIds: [far, roomId] }))).equal('not_found');
        expect(await refusalOf(ask('leave room', { roomId }))).equal('not_found');
      }
      expect(connection.isListeningTo(far)).equal(false);
    });

    it('take effect in the order sent, however long each takes', async () => {
      await ask('leave room', { roomId: near });
      world.queriesGate.close();
      const slow = ask('join room', { roomIds: [near, far] });
      const refused = refusalOf(ask('leave room', { roomId: 'none' }));
      const quick = ask('leave room', { roomId: near });
      await turn();
      world.queriesGate.open();
      await Promise.all([slow, quick]);
      expect(await refused).equal('not_found');
      expect([near, far].map((room) => connection.isListeningTo(room))).deep.equal([false, true]);
    });
  });

  describe('of a room of others', () => {
    const asks: Record<string, (roomId: string) => Promise<unknown>> = {
      'join room': (roomId) => ask('join room', { roomIds: [roomId] }),
      'leave room': (roomId) => ask('leave room', { roomId }),
      'fetch messages': (roomId) => ask('fetch messages', { roomId, limit: 50 }),
      'notify typing': (roomId) => ask('notify typing', { roomId, isTyping: true }),
      'get chat': (roomId) => ask('get chat', { roomId }),
    };
    for (const [event, probe] of Object.entries(asks))
      it(`do and answer the same as of no room, however often they are asked: ${event}`, async () => {
        world.members.set('theirs', ['bob', 'cem']);
        // As when the node has sent pushes of it.
        await world.rooms.members('theirs', []);
        const seen = async (roomId: string) => {
          world.asked.length = 0;
          const answers: string[] = [];
          for (let n = 0; n < 3; n++)
            await probe(roomId).catch(({ code, message }) => answers.push(`${code}: ${message}`));
          return { answers, asked: world.asked.map(([name]) => name) };
        };
        const ofNone = await seen('none');
        expect(ofNone.answers.filter((answer) => answer.startsWith('not_found'))).length(3);
        expect(ofNone.asked).length(3);
        expect(await seen('theirs')).deep.equal(ofNone);
      });
  });

  describe('of queries', () => {
    it('answer from all that the connection has seen of the room’s partition, and from the revision', async () => {
      connection.recordSeen(0, 4);
      connection.recordSeen(1, 6);
      world.fanout.vector = [0, 9];
      const revision = world.cursors.revision({ partition: 1, size: 8 });
      for (const roomId of [near, far]) {
        world.asked.length = 0;
        const partition = new RoomMembers(
          { members: async () => [], membersFor: async () => [], activeFor: async () => [] },
          2,
        ).partitionOf(roomId);
        const seen = { partition, size: [4, 6][partition] };
        await ask('fetch messages', { roomId, limit: 50, revision });
        expect(world.asked.at(-1)).deep.equal(['messages', [seen, { partition: 1, size: 8 }]]);
        await ask('fetch messages', { roomId, limit: 50 });
        expect(world.asked.at(-1)).deep.equal(['messages', [seen]]);
      }
      await ask('get active chats', { filter: 'all', limit: 50, revision });
      expect(world.asked.find(([name]) => name === 'activeChats')?.[1]).deep.equal([
        { partition: 0, size: 4 },
        { partition: 1, size: 6 },
        { partition: 1, size: 8 },
      ]);
    });

    it('fetch no messages of a room that is not mine', async () => {
      world.members.set('theirs', ['bob', 'cem']);
      for (const roomId of ['theirs', 'none'])
        expect(await refusalOf(ask('fetch messages', { roomId, limit: 50 }))).equal('not_found');
      expect(world.asked.map(([name]) => name)).not.include('messages');
    });

    it('refuse an altered revision', async () => {
      const asked = ask('fetch messages', { roomId: far, limit: 50, revision: 'altered' });
      expect(await refusalOf(asked)).equal('bad_request');
    });

    it('show with chats the presence of those other members who are contacts and not erased', async () => {
      world.hub.relations.apply({ by: 'ann', other: 'bob', is: 'contact' });
      world.hub.relations.apply({ by: 'ann', other: 'erased', is: 'contact' });
      world.chats = [chatOf(near, 'ann', 'bob'), chatOf(far, 'ann', 'cem'), chatOf('r', 'ann', 'erased')];
      const { chats, presence, next } = await ask('get active chats', { filter: 'all', limit: 50 });
      expect([chats, next]).deep.equal([world.chats, 'more']);
      expect(presence).deep.equal({ bob: { isOnline: true, lastSeen: null } });
      expect(await ask('get active chats', { filter: 'all', limit: 50, next: 'more' })).not.to.have.property(
        'next',
      );
    });
  });

  describe('of presence and typing', () => {
    it('tell the other member who types, if the chat is active for them', async () => {
      world.activeFor.set(far, ['ann']);
      expect(await ask('notify typing', { roomId: far, isTyping: true })).deep.equal({});
      world.activeFor.set(far, ['ann', 'bob']);
      await ask('notify typing', { roomId: far, isTyping: true });
      expect(world.typed.map(({ to, roomId, userId }) => ({ to, roomId, userId }))).deep.equal([
        { to: [], roomId: far, userId: 'ann' },
        { to: ['bob'], roomId: far, userId: 'ann' },
      ]);
    });

    it('refuse typing to an erased member, and in a room that is not mine', async () => {
      world.members.set('gone', ['ann', 'erased']).set('theirs', ['bob', 'cem']);
      world.activeFor.set('gone', ['ann', 'erased']);
      const refusals = ['gone', 'theirs', 'none'].map((roomId) =>
        refusalOf(ask('notify typing', { roomId, isTyping: true })),
      );
      expect(await Promise.all(refusals)).deep.equal(['forbidden', 'not_found', 'not_found']);
      expect(world.typed).deep.equal([]);
    });

    it('give the presence of contacts and of me, and of nobody else', async () => {
      for (const other of ['bob', 'erased']) world.hub.relations.apply({ by: 'ann', other, is: 'contact' });
      for (const recipientId of ['ann', 'bob'])
        expect(await ask('get online info', { recipientId })).deep.equal({
          ...{ recipientId, isOnline: true, lastSeen: null },
        });
      for (const recipientId of ['cem', 'erased', 'nobody'])
        expect(await refusalOf(ask('get online info', { recipientId }))).equal('not_found');
    });

    it('say that oneself is online from the answer of identity on, though the log does not have it yet', async () => {
      world.online = false;
      expect(await ask('get online info', { recipientId: 'ann' })).deep.include({ isOnline: true });
      await ask('background app', {});
      expect(await ask('get online info', { recipientId: 'ann' })).deep.include({ isOnline: false });
    });

    it('make the device active or not, and later queries include what that wrote', async () => {
      await world.host.time.advance(5000);
      expect(await ask('background app', {})).deep.equal({});
      expect(world.presenceWritten).deep.equal(['ann online', 'ann offline']);
      expect(connection.seenMoments(0)).deep.equal([{ partition: 0, size: 2 }]);
      await world.host.time.advance(5000);
      await ask('active app', {});
      await ask('notify online', {});
      expect(world.presenceWritten).deep.equal(['ann online', 'ann offline', 'ann online']);
      expect(connection.seenMoments(0)).deep.equal([{ partition: 0, size: 3 }]);
    });
  });
});
