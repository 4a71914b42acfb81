import { expect } from 'chai';
import { ChatOpened } from '../../src/domain/chats.js';
import type { NewEventOf } from '../../src/domain/defineEvent.js';
import { pushesOf, type Recorded, tieOf } from '../../src/domain/events.js';
import { MemberJoined } from '../../src/domain/groups/groupEvents.js';
import { MessageDeleted, MessageSent } from '../../src/domain/messages/messages.js';
import { UserWentOffline, UserWentOnline } from '../../src/domain/onlineStatus.js';
import { MessagesRead } from '../../src/domain/readMarks.js';
import { FriendAdded, FriendRemoved } from '../../src/domain/safety.js';
import type { Chat, User } from '../../src/domain/userMessageChat.js';
import { ProfileChanged } from '../../src/domain/users.js';
import type { Connection } from '../../src/gateway/connection.js';
import { Cursors } from '../../src/gateway/cursor.js';
import { Delivery, PushContent } from '../../src/gateway/delivery.js';
import { Hub } from '../../src/gateway/openConnections.js';
import { frameText } from '../../src/gateway/protocol.js';
import { Relations } from '../../src/gateway/relations.js';
import { Ring } from '../../src/gateway/ring.js';
import { contactsOf } from '../support/facts.js';
import { noGroups, noNotes } from '../support/groups.js';
import { type FakeClient, FakeHost, sessionOf, turn } from './fakeClient.js';

const cursors = new Cursors('0b5f0c6e-9f5d-4d5a-8f5e-2f1f6a7b8c9d', 2);
const recordedAt = '2026-01-02T03:04:05.678Z';
const both = ['ann', 'bob'] as const;
const MIB = 1024 * 1024;

const profileOf = (userId: string): User => ({
  ...{ userId, username: userId },
  ...{ backgroundColor: '#000000', createdAt: recordedAt },
});
const chatOf = (roomId: string): Chat => ({
  ...{ roomId, roomType: 'PRIVATE', participants: both.map(profileOf) },
  ...{ lastMessage: null, unread: 0, readUpTo: {}, createdAt: recordedAt },
});

/** A node's delivery to the connections of its users; the log has one partition, of which it knows everything. */
class Node {
  readonly host = new FakeHost();
  readonly contacts = new Map<string, string[]>();
  readonly ring = new Ring(1e6, [0, 0]);
  readonly hub = new Hub(
    new Relations('open', async (user) => contactsOf(user, this.contacts.get(user) ?? [])),
    {
      enter: (user) => this.ring.host(user, [0, 0]),
      leave: () => {},
    },
  );
  readonly endedTyping: string[] = [];
  /** The texts that were put into frames. */
  readonly shown: string[] = [];
  readonly #delivery = new Delivery({
    hub: this.hub,
    ring: this.ring,
    cursors,
    groups: noGroups(),
    // Somebody is typing.
    typing: {
      timers: new Map([['', () => {}]]),
      endByMessage: (room, sender) => void this.endedTyping.push(`${sender} in ${room}`),
    },
  });
  #size = 0;

  /** A connection of the user in the state that `identify` leaves it in. */
  async connect(
    userId: string,
    state: 'live' | 'replaying' = 'live',
  ): Promise<{ connection: Connection; client: FakeClient }> {
    const connected = this.host.connect();
    connected.connection.beginIdentifying();
    await this.hub.enter(userId, connected.connection);
    connected.connection.identify(sessionOf(userId), state);
    return connected;
  }

  /** Fans an event out, as the log's next. */
  async deliver<T extends string, D>(event: NewEventOf<T, D>, commandId = 'of nobody here'): Promise<void> {
    const offset = this.#size++;
    const place = { partition: 0, offset, version: offset + 1, actor: 'ann', recordedAt, commandId };
    const recorded = { ...event, ...place } as unknown as Recorded; // One of the declared events.
    const known = new Map(
      recorded.type === 'MessageSent' ? [[recorded.data.text, `opened ${recorded.data.text}`]] : [],
    );
    const sources = {
      texts: { messages: async () => [], notes: noNotes },
      chats: { chat: async (roomId: string) => chatOf(roomId) },
      profiles: { known: profileOf, load: async () => new Map<string, User>() },
    };
    const content = new PushContent(sources, known);
    const pushes = pushesOf(recorded, { members: both });
    const tie = tieOf(recorded, { members: both });
    for (const push of pushes) if ('to' in push) content.want(push);
    await content.load();
    const text = (sealed: string) => {
      this.shown.push(sealed);
      return content.text(sealed);
    };
    const shown = {
      user: (id: string) => content.user(id),
      chat: (id: string, user: string) => content.chat(id, user),
      text,
    };
    this.#delivery.deliver({ event: recorded, pushes, tie, content: shown }, [this.#size, 7]);
    await turn();
  }

  /** What the user's replay would be sent from the ring. */
  kept(user: string): string[] {
    return (this.ring.since(user, [0, 0], 0, 1e6)?.entries ?? []).map(({ frame }) => frameText(frame));
  }
}

const message = (seq: number) =>
  MessageSent.of('room', { roomId: 'room', messageId: `m${seq}`, seq, text: `text ${seq}` });
const read = (userId: string, upTo: number) => MessagesRead.of('room', { roomId: 'room', userId, upTo });

describe('delivery', () => {
  let node: Node;
  beforeEach(() => {
    node = new Node();
  });

  it('pushes a message to all connections of both members but the one it came from', async () => {
    const [source, other, theirs] = [
      await node.connect('ann'),
      await node.connect('ann'),
      await node.connect('bob'),
    ];
    const stranger = await node.connect('cem');
    source.connection.commandIds = ['c1'];
    await node.deliver(message(2), 'c1');
    for (const { client } of [other, theirs]) {
      const { roomId, messageId, seq } = { roomId: 'room', messageId: 'm2', seq: 2 };
      const sent = { messageId, roomId, seq, senderId: 'ann', message: 'opened text 2', sentAt: recordedAt };
      expect(client.received).deep.equal([
        { event: 'send message', data: { message: sent }, cursor: cursors.live([1, 7]) },
      ]);
    }
    expect([source.client.writes.length, stranger.client.writes.length]).deep.equal([0, 0]);
    source.connection.commandIds = [];
    await node.deliver(message(3), 'c1');
    expect(source.client.received, 'the next one is another’s').to.have.length(1);
  });

  it('serialises a push once, and gives all connections the same frame and the ring a copy', async () => {
    const connected = [await node.connect('ann'), await node.connect('ann'), await node.connect('bob')];
    await node.deliver(message(2));
    const [frame] = node.ring.since('bob', [0, 0], 0, 1e6)?.entries ?? [];
    for (const { client } of connected) expect(client.writes).deep.equal([frame?.frame]);
    expect(new Set([...connected.map(({ client }) => client.writes[0]), frame?.frame]).size).equal(2);
    expect(node.shown).deep.equal(['text 2']);
  });

  it('does not push to a connection that has left the room, and keeps the push for its user', async () => {
    const { connection, client } = await node.connect('bob');
    connection.leaveRoom('room');
    await node.deliver(message(2));
    expect(client.writes).to.have.length(0);
    expect(node.kept('bob')).to.have.length(1);
    expect(connection.seenMoments(), 'it has seen nothing').deep.equal([]);
    connection.joinRoom('room');
    await node.deliver(message(3));
    expect(client.received).to.have.length(1);
  });

  it('holds pushes back from a connection that replays: the ring has them when it gets there', async () => {
    const { connection, client } = await node.connect('bob', 'replaying');
    await node.deliver(message(2));
    expect(client.writes).to.have.length(0);
    expect(node.kept('bob')).to.have.length(1);
    connection.goLive();
    await node.deliver(message(3));
    expect(client.received.map(({ cursor }) => cursor)).deep.equal([cursors.live([2, 7])]);
  });

  it('makes later queries of a connection include what it was pushed', async () => {
    const { connection } = await node.connect('bob');
    for (const seq of [2, 3]) await node.deliver(message(seq));
    expect(connection.seenMoments()).deep.equal([{ partition: 0, size: 2 }]);
  });

  it('pushes, keeps and serialises nothing for users who are not here', async () => {
    const { client } = await node.connect('cem');
    await node.deliver(message(2));
    await node.deliver(read('bob', 2));
    expect([client.writes.length, node.kept('ann'), node.kept('cem')]).deep.equal([0, [], []]);
    expect(node.shown).deep.equal([]);
  });

  it('ends the sender’s typing with the message', async () => {
    await node.connect('bob');
    await node.deliver(read('ann', 1));
    expect(node.endedTyping).deep.equal([]);
    await node.deliver(message(2));
    expect(node.endedTyping).deep.equal(['ann in room']);
  });

  it('makes two contacts by their messages, and by friendship, until it ends', async () => {
    await node.connect('ann');
    const areContacts = () => node.hub.relations.isShown('ann', 'bob');
    expect(areContacts()).equal(false);
    await node.deliver(message(2));
    expect(areContacts()).equal(true);
    await node.deliver(FriendRemoved.of('ann-bob', { by: 'bob', target: 'ann' }));
    expect(areContacts()).equal(false);
    await node.deliver(FriendAdded.of('ann-cem', { by: 'ann', target: 'cem' }));
    expect(node.hub.relations.isShown('ann', 'cem')).equal(true);
  });

  it('shows each of two new friends the other', async () => {
    const [ann, bob] = [await node.connect('ann'), await node.connect('bob')];
    await node.deliver(FriendAdded.of('ann-bob', { by: 'ann', target: 'bob' }));
    const friends = [ann, bob].map(({ client }) => client.received.map(({ data }) => data));
    expect(friends).to.have.nested.property('[0][0].friend.userId', 'bob');
    expect(friends).to.have.nested.property('[1][0].friend.userId', 'ann');
    expect(friends.map(({ length }) => length)).deep.equal([1, 1]);
  });

  it('pushes a chat to the member for whom it opens, and to no other', async () => {
    const [ann, bob] = [await node.connect('ann'), await node.connect('bob')];
    const opened = { roomId: 'room', userId: 'bob' };
    await node.deliver(ChatOpened.of('room', opened));
    expect(ann.client.writes).to.have.length(0);
    expect(bob.client.received[0]).to.deep.include({ event: 'init chat', data: { room: chatOf('room') } });
  });

  it('keeps of the read marks of each member the newest', async () => {
    const { client } = await node.connect('bob');
    for (const [user, upTo] of [
      ['ann', 1],
      ['bob', 1],
      ['ann', 2],
    ] as const)
      await node.deliver(read(user, upTo));
    expect(client.received, 'live, all are pushed').to.have.length(3);
    const kept = node.kept('bob').map((text) => JSON.parse(text).data);
    expect(kept.map(({ userId, upTo }) => [userId, upTo])).deep.equal([
      ['bob', 1],
      ['ann', 2],
    ]);
  });

  it('makes the ring drop what shows an erased user', async () => {
    const opened = { roomId: 'room', userId: 'bob' };
    const showAnn = [
      () => node.deliver(message(2)),
      () => node.deliver(ChatOpened.of('room', opened)),
      () => node.deliver(FriendAdded.of('ann-bob', { by: 'ann', target: 'bob' })),
    ];
    for (const deliver of showAnn) {
      node = new Node();
      await node.connect('bob');
      await deliver();
      node.ring.forgetUser('cem');
      expect(node.kept('bob')).to.have.length(1);
      node.ring.forgetUser('ann');
      expect(node.ring.since('bob', [0, 0], 0, 1e6)).equal(undefined);
    }
  });

  it('makes the ring pass by what shows a profile of before, and nothing else', async () => {
    const joined = {
      roomId: 'group',
      by: 'ann',
      at: 0,
      userId: 'bob',
      role: 'member',
      from: 1,
      place: 0,
    } as const;
    const showAnn = [
      () => node.deliver(ChatOpened.of('room', { roomId: 'room', userId: 'bob' })),
      () => node.deliver(FriendAdded.of('ann-bob', { by: 'ann', target: 'bob' })),
      () => node.deliver(MemberJoined.of('group', joined)),
    ];
    for (const deliver of showAnn) {
      node = new Node();
      for (const user of both) await node.connect(user);
      await deliver();
      await node.deliver(message(2));
      await node.deliver(ProfileChanged.of('cem', { userId: 'cem', status: 'sealed' }));
      expect(node.kept('bob'), 'of somebody else').to.have.length(2);
      for (const name of ['status', 'about']) {
        await node.deliver(ProfileChanged.of('ann', { userId: 'ann', [name]: 'sealed' }));
        expect(node.ring.since('bob', [0, 0], 0, 1e6)).equal(undefined);
        expect(node.ring.since('bob', [1, 0], 0, 1e6)?.entries).to.have.length(1);
      }
    }
  });

  it('drops a deleted message from the ring, and keeps that it was deleted', async () => {
    await node.connect('bob');
    for (const seq of [2, 3]) await node.deliver(message(seq));
    const deleted = { roomId: 'room', messageId: 'm2', seq: 2, senderId: 'ann', by: 'system' };
    await node.deliver(MessageDeleted.of('room', deleted));
    expect(node.ring.since('bob', [0, 0], 0, 1e6)).equal(undefined);
    const since = node.ring.since('bob', [1, 0], 0, 1e6)?.entries ?? [];
    expect(since.map(({ frame }) => JSON.parse(frameText(frame)).event)).deep.equal([
      'send message',
      'delete message',
    ]);
  });

  it('closes a reader that is 8 MiB behind with 4408, and serves the others', async () => {
    const [stuck, other] = [await node.connect('bob'), await node.connect('bob')];
    stuck.client.isReading = false;
    stuck.connection.push(Buffer.alloc(8 * MIB));
    await turn();
    await node.deliver(message(2));
    expect(stuck.client.closed?.code).equal(4408);
    expect(other.client.received).to.have.length(1);
    await node.deliver(message(3));
    expect(other.client.received).to.have.length(2);
  });

  describe('of presence', () => {
    beforeEach(() => node.contacts.set('bob', ['ann']).set('ann', ['bob']));

    it('is pushed without a cursor to the subject’s contacts, never to their own devices, and not kept', async () => {
      const [ann, bob, cem] = [
        await node.connect('ann'),
        await node.connect('bob'),
        await node.connect('cem'),
      ];
      await node.deliver(UserWentOnline.of('ann', { userId: 'ann' }));
      await node.deliver(UserWentOffline.of('ann', { userId: 'ann', lastSeen: recordedAt }));
      expect(bob.client.received).deep.equal([
        { event: 'get online info', data: { recipientId: 'ann', isOnline: true, lastSeen: null } },
        { event: 'get online info', data: { recipientId: 'ann', isOnline: false, lastSeen: recordedAt } },
      ]);
      expect([ann.client.writes.length, cem.client.writes.length]).deep.equal([0, 0]);
      expect(node.kept('bob')).deep.equal([]);
    });

    it('is pushed during a replay too, and to who has left rooms, not to who is still identifying', async () => {
      const [replaying, left] = [await node.connect('bob', 'replaying'), await node.connect('bob')];
      left.connection.leaveRoom('room');
      const identifying = node.host.connect(sessionOf('bob'));
      identifying.connection.beginIdentifying();
      await node.hub.enter('bob', identifying.connection);
      await node.deliver(UserWentOnline.of('ann', { userId: 'ann' }));
      for (const { client } of [replaying, left]) expect(client.received).to.have.length(1);
      expect(identifying.client.writes).to.have.length(0);
    });

    it('makes later queries include it', async () => {
      const { connection } = await node.connect('bob');
      await node.deliver(UserWentOnline.of('ann', { userId: 'ann' }));
      expect(connection.seenMoments()).deep.equal([{ partition: 0, size: 1 }]);
    });
  });
});
