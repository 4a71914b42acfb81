import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { isGroupAudience, isStoredPush, type SealedMessage } from '../../src/domain/defineEvent.js';
import {
  changedBy,
  changeMessage,
  pushesOf,
  type Recorded,
  shownBy,
  tieOf,
} from '../../src/domain/events.js';
import { roomIdOf, streamOf, type UserId } from '../../src/domain/ids.js';
import { sealedMessage } from '../../src/domain/messages/messages.js';
import { openedMessage } from '../../src/domain/messages/sealedMessages.js';
import type { Chat } from '../../src/domain/userMessageChat.js';
import type { Connection } from '../../src/gateway/connection.js';
import { Cursors } from '../../src/gateway/cursor.js';
import { type ContentSources, Delivery, PushContent } from '../../src/gateway/delivery.js';
import type { Hub } from '../../src/gateway/openConnections.js';
import { frameText } from '../../src/gateway/protocol.js';
import { replay } from '../../src/gateway/resume.js';
import { Ring } from '../../src/gateway/ring.js';
import type { Queries } from '../../src/projections/queries.js';
import { membersOf, periodsOf } from '../projections/models/expectedChanges.js';
import { type Folded, folded } from '../projections/models/fold.js';
import { scripts } from '../projections/models/scripts.js';
import { unsealed, type World } from '../projections/models/world.js';
import { noGroups } from '../support/groups.js';
import { runs } from '../support/lanes.js';
import { MemoryRows } from '../support/rowsMemory.js';

const MIB = 1024 * 1024;

/** A push without its cursor, which says where this very connection has got to. */
interface Seen {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What a connection is pushed, in order. */
class Receiver {
  readonly seen: Seen[] = [];
  readonly isClosing = false;

  readonly push = (frame: Buffer): void => {
    const { event, data } = JSON.parse(frameText(frame)) as Seen; // A frame of the gateway under test.
    this.seen.push({ event, data });
  };
  readonly sendText = (): void => {};
  readonly recordSeen = (): void => {};
  readonly recordAllSeen = (): void => {};
  readonly pushLive = this.push;
  readonly waitUntilBelow = async (): Promise<void> => {};

  // The parts that deliver and replay use of a connection.
  get connection(): Connection {
    return this as unknown as Connection;
  }
}

const sourcesOf = (world: World, queries: Queries): ContentSources => ({
  texts: world.open,
  chats: queries,
  profiles: { known: () => undefined, load: (ids) => queries.users(ids, []) },
});

/** The message that an event changes, as it is after it. */
function messageAfter(world: World, event: Recorded): SealedMessage | undefined {
  const place = changedBy(event);
  let message: SealedMessage | undefined;
  for (const one of world.events) {
    if (one.stream !== event.stream || one.offset > event.offset) continue;
    if (one.type === 'MessageSent' && one.data.seq === place?.seq) message = sealedMessage(one);
    if (message && changedBy(one)?.seq === place?.seq) message = changeMessage(message, one);
  }
  return message;
}

/** The pushes of each event of the world. */
async function* pushedBy(world: World, sources: ContentSources) {
  for (const event of world.events) {
    const content = new PushContent(sources);
    const members = membersOf(world.events, event.stream);
    const message = shownBy(event) && messageAfter(world, event);
    const scene = message ? { members, message } : { members };
    const [pushes, tie] = [pushesOf(event, scene), tieOf(event, scene)];
    for (const push of pushes) if (isStoredPush(push)) content.want(push);
    if (content.missing > 0) await content.load();
    yield { event, pushes, tie, content };
  }
}

/** A node that hosts everybody and has pushed all of a world. */
async function pushAll(world: World, users: readonly UserId[], { queries }: Folded) {
  const nowhere = Array.from({ length: world.partitions }, () => 0);
  const cursors = new Cursors(randomUUID(), world.partitions);
  const ring = new Ring(MIB, nowhere);
  // Everybody is here before the first event.
  const groups = noGroups();
  await Promise.all(users.map((user) => groups.add(user)));
  const receivers = new Map(users.map((user) => [user, new Receiver()]));
  for (const user of users) ring.host(user, nowhere);
  const hub = {
    connectionsOf: (user: UserId) => [receivers.get(user)?.connection].flatMap((one) => one ?? []),
    applyTie: () => {},
    relations: { prefer: () => {}, watchersOf: () => [], isToldReads: () => true },
  };
  // What delivering uses of it.
  const delivery = new Delivery({
    hub: hub as unknown as Hub,
    ring,
    cursors,
    typing: { timers: new Map(), endByMessage: () => {} },
    groups,
  });
  const sources = sourcesOf(world, queries);
  const vector = [...nowhere];
  for await (const { event, pushes, tie, content } of pushedBy(world, sources)) {
    vector[event.partition] = event.offset + 1;
    groups.fold(event);
    delivery.deliver({ event, pushes, tie, content }, [...vector]);
  }
  return { nowhere, cursors, ring, receivers, sources, vector };
}

type Node = Awaited<ReturnType<typeof pushAll>>;

/** What somebody who comes back from `since` is sent, by a node that has kept `ring`. */
async function comeBack(user: UserId, since: readonly number[], ring: Ring, node: Node, { queries }: Folded) {
  const receiver = new Receiver();
  const { cursors, sources: content, vector } = node;
  const deps = { queries, ring, cursors, content, node: { vector: () => vector, isToldReads: () => true } };
  await replay(receiver.connection, user, { kind: 'live', at: [...since] }, () => {}, deps);
  expect(receiver.seen.pop()).to.deep.equal({ event: 'identity', data: { caughtUp: true } });
  return receiver.seen;
}

/** By stream, as a replay goes: a push of a room, of the other user whom it names, or last of one's own. */
function byStream(me: UserId, pushes: readonly Seen[]): Map<string, Seen[]> {
  const streams = new Map<string, Seen[]>();
  for (const push of pushes) {
    const { roomId, room, message, friend, userId, preferences, chat } = push.data as Record<
      string,
      Record<string, string>
    >;
    const other = String(friend?.userId ?? userId);
    // What a user sets of a chat, and their preferences, are in the user's own stream, which comes last.
    const own = (chat ?? preferences) && `user:${me}`;
    const stream = own ?? roomId ?? room?.roomId ?? message?.roomId ?? roomIdOf(me, other);
    streams.set(String(stream), [...(streams.get(String(stream)) ?? []), push]);
  }
  return new Map([...streams].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What was pushed live, with of each member's read marks only the newest. */
function withNewestMarks(pushes: readonly Seen[]): Seen[] {
  const keyOf = ({ data }: Seen) =>
    `${data.roomId}/${data.userId}/${(data.chat as { roomId: string } | undefined)?.roomId}`;
  return pushes.filter(
    (push, i) =>
      !['read messages', 'change chat'].includes(push.event) ||
      !pushes.slice(i + 1).some((later) => later.event === push.event && keyOf(later) === keyOf(push)),
  );
}

/** Without the marks of others whose receipts are off by now: no replay has them. */
function withReceipts(me: UserId, world: World, pushes: readonly Seen[]): Seen[] {
  const receipts = new Map<unknown, boolean>();
  for (const event of world.events)
    if (event.type === 'PreferencesChanged') receipts.set(event.data.userId, event.data.receipts);
  const isOff = (reader: unknown) => reader !== me && receipts.get(reader) === false;
  return pushes.filter((push) => push.event !== 'read messages' || !isOff(push.data.userId));
}

/** The message that a push is about. */
function messageIn({ data }: Seen): string | undefined {
  // Pushes of this kind have a message, or its id.
  const { message, messageId } = data as { message?: { messageId: string }; messageId?: string };
  return messageId ?? message?.messageId;
}

/** Who has left a group sees the texts of then. */
const leftAt = ({ events }: World, roomId: string, user: UserId): number =>
  periodsOf(events, streamOf('room', roomId), user).at(-1)?.left ?? Number.POSITIVE_INFINITY;

/**
 * As a replay of everything shows it: a message comes once, as it is now, where it was sent. To who was no member then
 * it comes with the last of its changes.
 */
function asNow(pushes: readonly Seen[], world: World, user: UserId): Seen[] {
  const sent = new Set(
    pushes.flatMap((push) => (push.event === 'send message' ? (messageIn(push) ?? []) : [])),
  );
  const isChange = ({ event }: Seen) => CHANGES.includes(event);
  return pushes.flatMap((push, i) => {
    if (push.event !== 'send message' && !isChange(push)) return [push];
    const id = messageIn(push) ?? '';
    if (isChange(push) && sent.has(id)) return [];
    const now = world
      .rooms()
      .flatMap((room) => world.messages(room, leftAt(world, room, user)))
      .find(({ messageId }) => messageId === id);
    if (!now) throw new Error('a message was pushed that nobody sent');
    const message = openedMessage(now, unsealed);
    if (push.event === 'send message') return [{ ...push, data: { message } }];
    if (now.deleted) return push.event === 'delete message' ? [push] : [];
    const isLast = !pushes.slice(i + 1).some((later) => isChange(later) && messageIn(later) === id);
    return isLast ? [{ event: 'edit message', data: { roomId: now.roomId, message } }] : [];
  });
}

const CHANGES = ['delete message', 'edit message', 'react', 'pin message'];

/** Events after which the ring does not show users as they are. */
const PROFILE_CHANGES: readonly string[] = ['ProfileChanged', 'UserSuspended', 'UserRestored'];

/**
 * Whether a ring has to be passed by: it neither has what shows a deleted message or an older profile, nor tells of
 * changes as a replay.
 */
const hasChanges = (pushes: readonly Seen[], { events }: World): boolean =>
  pushes.some(({ event }) => CHANGES.includes(event)) ||
  events.some(({ type }) => PROFILE_CHANGES.includes(type)) ||
  events.some(({ type, data }) => type === 'MessageDeleted' || (type === 'MemberLeft' && data.last));

describe('a stored push', () => {
  it('is the same live, from the ring after a gap, and from the log in a replay', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async ({ world, users }) => {
        const read = await folded(world, new MemoryRows());
        const node = await pushAll(world, users, read);
        const empty = new Ring(MIB, node.vector);
        for (const user of users) {
          empty.host(user, node.vector);
          const live = withNewestMarks(node.receivers.get(user)?.seen ?? []);
          const now = asNow(withReceipts(user, world, live), world, user);
          const kept = await comeBack(user, node.nowhere, node.ring, node, read);
          if (!hasChanges(live, world)) expect(kept, 'from the ring').to.deep.equal(live);
          // A ring that is not passed by after all keeps marks whose reader has turned receipts off since.
          else
            expect(byStream(user, withReceipts(user, world, kept)), 'changed').to.deep.equal(
              byStream(user, now),
            );
          const replayed = await comeBack(user, node.nowhere, empty, node, read);
          expect(byStream(user, replayed), 'from the log').to.deep.equal(byStream(user, now));
        }
      }),
      { numRuns: runs(60) },
    );
  });

  it('comes once after any gap, wherever the client was cut off', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, fc.nat(), async ({ world, users }, cut) => {
        const read = await folded(world, new MemoryRows());
        const node = await pushAll(world, users, read);
        const empty = new Ring(MIB, node.vector);
        const at = [...node.nowhere];
        const before: Recorded[] = world.events.slice(0, cut % (world.events.length + 1));
        for (const { partition, offset } of before) at[partition] = offset + 1;
        for (const user of users) {
          empty.host(user, node.vector);
          // The ring keeps marks whose reader has turned receipts off since.
          const fromRing = withReceipts(user, world, await comeBack(user, at, node.ring, node, read));
          const fromLog = await comeBack(user, at, empty, node, read);
          expect(byStream(user, fromLog)).to.deep.equal(byStream(user, fromRing));
        }
      }),
      { numRuns: runs(60) },
    );
  });

  it('names the users and the message that it shows, so that the ring finds it by their ids', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, async ({ world }) => {
        const { queries } = await folded(world, new MemoryRows());
        for await (const { pushes, content } of pushedBy(world, sourcesOf(world, queries)))
          for (const push of pushes) {
            if (!isStoredPush(push)) continue;
            const text = JSON.stringify(push.data(content));
            const { users = [], message } = push;
            const ids = message ? [...users, message.senderId, message.messageId] : users;
            for (const id of ids) expect(text).to.include(JSON.stringify(id));
          }
      }),
      { numRuns: runs(60) },
    );
  });
});

const FILTERS = ['all', 'active', 'requests', 'archived'] as const;

/** All chats of a user that a filter lets pass, in small pages. */
async function listed(user: UserId, filter: (typeof FILTERS)[number], { queries }: Folded): Promise<Chat[]> {
  const found: Chat[] = [];
  for (let next: string | undefined; ; ) {
    const page = await queries.activeChats(user, { limit: 2, filter, ...(next ? { next } : {}) }, []);
    found.push(...page.chats);
    next = page.next;
    if (next === undefined) return found;
  }
}

describe('a chat', () => {
  it('is in every push and every page what `get chat` answers, under both rules of contacts', async () => {
    const rules = fc.constantFrom('open' as const, 'consent' as const);
    let requests = 0;
    await fc.assert(
      fc.asyncProperty(scripts, rules, async ({ world, users }, rule) => {
        const read = await folded(world, new MemoryRows(), rule);
        const { queries } = read;
        for await (const { pushes, content } of pushedBy(world, sourcesOf(world, queries)))
          for (const push of pushes) {
            if (!isStoredPush(push) || isGroupAudience(push.to)) continue;
            const { room, chat = room } = push.data(content) as { room?: Chat; chat?: Chat };
            if (!chat) continue;
            for (const user of push.to)
              expect(await queries.chat(chat.roomId, user, []), push.name).to.deep.equal(chat);
          }
        for (const user of users) {
          const [all, active, asked, archived] = (await Promise.all(
            FILTERS.map((filter) => listed(user, filter, read)),
          )) as [Chat[], Chat[], Chat[], Chat[]];
          for (const chat of [...all, ...archived])
            expect(chat).to.deep.equal(await queries.chat(chat.roomId, user, []));
          // Each list is the part of all chats that its filter names, in their order.
          expect(active).to.deep.equal(all.filter(({ request }) => !request));
          expect(asked).to.deep.equal(all.filter(({ request }) => request));
          expect(archived.every((chat) => chat.archived) && !all.some((chat) => chat.archived)).to.equal(
            true,
          );
          requests += asked.length;
        }
      }),
      { numRuns: runs(60) },
    );
    expect(requests, 'there were requests').to.be.above(0);
  });
});
