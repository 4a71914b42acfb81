import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { isStoredPush } from '../../src/domain/defineEvent.js';
import { pushesOf, pushesTo, type Recorded, tieOf } from '../../src/domain/events.js';
import type { UserId } from '../../src/domain/ids.js';
import { type Cursor, Cursors } from '../../src/gateway/cursor.js';
import { Delivery, PushContent } from '../../src/gateway/delivery.js';
import { Hub } from '../../src/gateway/openConnections.js';
import { Relations } from '../../src/gateway/relations.js';
import { replay } from '../../src/gateway/resume.js';
import { Ring } from '../../src/gateway/ring.js';
import type { Queries } from '../../src/projections/queries.js';
import { membersOf } from '../projections/models/expectedChanges.js';
import { folded } from '../projections/models/fold.js';
import { World } from '../projections/models/world.js';
import { contactsOf } from '../support/facts.js';
import { noGroups } from '../support/groups.js';
import { runs } from '../support/lanes.js';
import { type Random, seeded, upTo } from '../support/random.js';
import { MemoryRows } from '../support/rowsMemory.js';
import { FakeHost, type Received, sessionOf } from './fakeClient.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const FRIENDS = 7;

/** The end of this turn of the event loop. */
const oneTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What a user has missed, and what comes while they read it. */
interface Script {
  readonly partitions: number;
  /** Messages, and how many bytes of text each may have. */
  readonly messages: number;
  readonly maxText: number;
  /** How many of them in a hundred are there before the client comes back. */
  readonly missedPercent: number;
  readonly ringBytes: number;
  /** How many of a hundred turns the client reads in; 100: at once whatever is sent. */
  readonly readsPercent: number;
  readonly seed: number;
}

/** Ann and her friends, who write to her, and read what she wrote. */
function worldOf({ partitions, messages, maxText }: Script, random: Random): [World, UserId] {
  const world = new World(partitions);
  const ann = world.register('ann');
  const friends = Array.from({ length: FRIENDS }, (_, i) => world.register(`friend ${i}`));
  const rooms = friends.map((friend) => world.openChat(ann, friend));
  for (let i = 0; i < messages; i++) {
    const n = upTo(FRIENDS, random);
    const [room, friend] = [rooms[n] ?? '', friends[n] ?? ''];
    const text = 'x'.repeat(1 + upTo(maxText, random));
    world.send(random() < 0.3 ? ann : friend, room, text);
    if (random() < 0.1) world.read(random() < 0.5 ? ann : friend, room);
  }
  return [world, ann];
}

/** A node whose fan-out is told when to go on. */
class Node {
  readonly host = new FakeHost();
  readonly ring: Ring;
  readonly cursors: Cursors;
  readonly vector: number[];
  readonly #hub: Hub;
  readonly #delivery: Delivery;
  readonly #events: Recorded[];
  readonly #sources;
  readonly #world: World;

  constructor(
    world: World,
    ringBytes: number,
    readonly queries: Queries,
  ) {
    this.vector = Array.from({ length: world.partitions }, () => 0);
    this.cursors = new Cursors(randomUUID(), world.partitions);
    this.ring = new Ring(ringBytes, this.vector);
    const hosting = { enter: (user: UserId) => this.ring.host(user, this.vector), leave: () => {} };
    this.#hub = new Hub(new Relations('open', async (user) => contactsOf(user, [])), hosting);
    const { ring, cursors } = this;
    this.#delivery = new Delivery({
      hub: this.#hub,
      ring,
      cursors,
      typing: { timers: new Map(), endByMessage: () => {} },
      groups: noGroups(),
    });
    this.#sources = {
      texts: world.open,
      chats: queries,
      profiles: { known: () => undefined, load: (ids: readonly UserId[]) => queries.users(ids, []) },
    };
    this.#events = [...world.events];
    this.#world = world;
  }

  get remaining(): number {
    return this.#events.length;
  }

  async fanOut(): Promise<void> {
    const event = this.#events.shift();
    if (!event) return;
    const content = new PushContent(this.#sources);
    const scene = { members: membersOf(this.#world.events, event.stream) };
    const [pushes, tie] = [pushesOf(event, scene), tieOf(event, scene)];
    for (const push of pushes) if (isStoredPush(push)) content.want(push);
    if (content.missing > 0) await content.load();
    this.vector[event.partition] = event.offset + 1;
    this.#delivery.deliver({ event, pushes, tie, content }, [...this.vector]);
  }

  /** A client that comes back with the cursor; `replayed` settles when its replay has ended. */
  async comeBack(user: UserId, since: Cursor) {
    const { queries, ring, cursors } = this;
    const connected = this.host.connect();
    const { connection } = connected;
    connection.beginIdentifying();
    await this.#hub.enter(user, connection);
    connection.identify(sessionOf(user), 'replaying');
    const node = { vector: () => this.vector, isToldReads: () => true };
    const deps = { queries, ring, cursors, content: this.#sources, node };
    const replayed = replay(connection, user, since, () => connection.goLive(), deps);
    return { ...connected, replayed };
  }
}

const isMark = ({ event }: Received) => event === 'read messages';
const isCaughtUp = ({ event }: Received) => event === 'identity';

/** The rooms, each with its pushes without their cursors. */
function byRoom(pushes: readonly Received[]): [string, unknown[]][] {
  const rooms: Record<string, unknown[]> = {};
  for (const { event, data } of pushes) {
    const { roomId, room, message } = data as Record<string, Record<string, string>>; // Of the gateway under test.
    const id = String(roomId ?? room?.roomId ?? message?.roomId);
    rooms[id] ??= [];
    rooms[id].push({ event, data });
  }
  return Object.entries(rooms).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The marks that a client ends with: the newest of each member of each room. */
const marksOf = (pushes: readonly Received[]): Record<string, number> =>
  Object.fromEntries(
    pushes.filter(isMark).map(({ data }) => {
      const { roomId, userId, upTo } = data as { roomId: string; userId: string; upTo: number };
      return [`${roomId}/${userId}`, upTo];
    }),
  );

/** A client got everything of the user's once and in order within each room; of marks, at least the newest. */
function expectAll(received: readonly Received[], expected: readonly Received[]): void {
  const pushes = received.filter((push) => !isCaughtUp(push));
  const others = (of: readonly Received[]) => byRoom(of.filter((push) => !isMark(push)));
  // Not by `deep.equal`, which would print megabytes.
  expect(JSON.stringify(others(pushes)) === JSON.stringify(others(expected)), 'all once, in order').equal(
    true,
  );
  expect(marksOf(pushes)).deep.equal(marksOf(expected));
  const marks = pushes.filter(isMark).map(({ data }) => JSON.stringify(data));
  expect(new Set(marks).size, 'no mark twice').equal(marks.length);
}

/** All stored pushes of the user's, as the declarations have them. */
async function pushesOfUser(world: World, user: UserId, queries: Queries): Promise<Received[]> {
  const content = new PushContent({
    texts: world.open,
    chats: queries,
    profiles: { known: () => undefined, load: (ids) => queries.users(ids, []) },
  });
  const pushes = world.events.flatMap((event) =>
    pushesTo(user, event, { members: membersOf(world.events, event.stream) }),
  );
  for (const push of pushes) content.want(push);
  await content.load();
  return pushes.map(({ name, data }) => JSON.parse(JSON.stringify({ event: name, data: data(content) })));
}

/** Plays a script; gives the bytes that were missed. */
async function play(script: Script, cut: number): Promise<number> {
  const random = seeded(script.seed);
  const [world, ann] = worldOf(script, random);
  const { queries } = await folded(world, new MemoryRows());
  const node = new Node(world, script.ringBytes, queries);
  const nowhere = { kind: 'live', at: [...node.vector] } as const;
  node.ring.host(ann, node.vector);
  const live = Math.floor((world.events.length * (100 - script.missedPercent)) / 100);
  while (node.remaining > live) await node.fanOut();

  const { connection, client, replayed } = await node.comeBack(ann, nowhere);
  let isDone = false;
  const done = replayed.finally(() => (isDone = true));
  client.isReading = script.readsPercent === 100;
  const { push } = connection;
  connection.push = (frame) => {
    push.call(connection, frame);
    if (!isDone) expect(connection.waitingBytes, 'what a replay queues').most(256 * KIB);
  };
  let missedBytes = 0;
  while (!isDone || node.remaining > 0 || connection.waitingBytes > 0) {
    await oneTurn();
    expect(client.closed).equal(undefined);
    if (random() * 100 < script.readsPercent) client.take();
    if (!isDone) missedBytes = client.bytesWritten;
    if (random() < 0.2 || isDone) await node.fanOut();
  }
  await done;
  const { received } = client;
  expect(received.filter(isCaughtUp).map(({ data }) => data)).deep.equal([{ caughtUp: true }]);
  const expected = await pushesOfUser(world, ann, queries);
  expectAll(received, expected);

  // Cut off behind any push, caught up or not, a client goes on from the cursor of that push.
  const kept = received.slice(0, 1 + (cut % received.length));
  const since = node.cursors.parseCursor(kept.at(-1)?.cursor ?? '');
  const again = await node.comeBack(ann, since);
  await again.replayed;
  for (; again.connection.waitingBytes > 0; ) await oneTurn();
  expectAll([...kept, ...again.client.received], expected);
  return missedBytes;
}

describe('a replay, paced by the client that reads it', () => {
  it('brings everything once and in order in each room, however much, however slowly, wherever cut', async () => {
    const script: fc.Arbitrary<Script> = fc.record({
      partitions: fc.constantFrom(1, 4, 8),
      messages: fc.nat({ max: 120 }),
      maxText: fc.constantFrom(20, 500, 8192),
      missedPercent: fc.nat({ max: 100 }),
      ringBytes: fc.constantFrom(20 * KIB, 200 * KIB, 8 * MIB),
      readsPercent: fc.integer({ min: 5, max: 100 }),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(script, fc.nat(), async (script, cut) => void (await play(script, cut))),
      { numRuns: runs(60) },
    );
  });

  for (const partitions of [1, 4, 8])
    for (const source of ['the ring', 'the log'] as const)
      it(`brings more than 10 MiB from ${source} with ${partitions} partitions`, async () => {
        const ringBytes = source === 'the ring' ? 64 * MIB : KIB;
        const script = { partitions, messages: 2600, maxText: 8192, missedPercent: 95, ringBytes };
        const missed = await play({ ...script, readsPercent: 60, seed: partitions }, 1000);
        expect(missed).above(10 * MIB);
      }).timeout(120_000);
});
