import { expect } from 'chai';
import fc from 'fast-check';
import pino from 'pino';
import { type CommitFrame, commitFrame, receiversOf } from '../../src/cluster/bus.js';
import { encodeEvent } from '../../src/domain/codec.js';
import { isStoredPush } from '../../src/domain/defineEvent.js';
import type { Recorded } from '../../src/domain/events.js';
import { isGroupId, roomIdOf, streamOf } from '../../src/domain/ids.js';
import type { Chat, User } from '../../src/domain/userMessageChat.js';
import { Fanout } from '../../src/gateway/fanout.js';
import { GroupIndex } from '../../src/gateway/groupIndex.js';
import type { Commit } from '../../src/log/log.js';
import { ada, bob, messageLeaf, onlineLeaf, profileLeaf, room } from '../conformance/busFrames.js';
import { eventually } from '../support/eventually.js';
import { noGroups, noNotes } from '../support/groups.js';
import { MemoryLog } from '../support/memoryLog.js';

const eve = '00000000-0000-4000-8000-00000000000e';
const bobAndEve = roomIdOf(bob, eve);
const rooms = new Map([
  [room, [ada, bob]],
  [bobAndEve, [bob, eve]],
]);

const userOf = (userId: string): User => ({
  ...{ userId, username: userId, backgroundColor: '#000000', createdAt: '2026-01-01T00:00:00.000Z' },
});

const joinLeaf = (version: number, roomId: string, userId: string): string =>
  encodeEvent({
    ...{
      stream: `room:${roomId}`,
      version,
      type: 'MemberJoined',
      actor: ada,
      commandId: `command ${version}`,
    },
    recordedAt: '2026-01-02T03:04:05.678Z',
    data: { roomId, userId, by: ada, role: 'member', from: 1, at: 0, place: 0 },
  });

/** A commit as a writer sends it, with the members of its rooms. */
const frameOf = (commit: Commit, sealedHere: readonly string[] = []): CommitFrame =>
  Object.assign(
    commitFrame(commit, new Map([...rooms].map(([id, users]) => [streamOf('room', id), users]))),
    { texts: new Map(sealedHere.map((sealed) => [sealed, `opened ${sealed}`])) },
  );

/** A node's fan-out over a log of two partitions. */
class Node {
  readonly log = new MemoryLog(2);
  readonly hosted = new Set([ada]);
  readonly watched = new Set<string>();
  readonly delivered: { event: Recorded; text: string | null | undefined; vector: readonly number[] }[] = [];
  /** What users of this node are pushed of groups, as JSON. */
  readonly frames: string[] = [];
  readonly stops: unknown[] = [];
  readonly changedProfiles: string[] = [];
  /** Sealed texts that are not at hand: each waits for its turn. */
  readonly away = new Map<string, Promise<void>>();
  readonly fanout: Fanout;
  #version = 0;

  constructor(groups = noGroups()) {
    const nowhere = { position: 0, size: 0 };
    this.fanout = new Fanout([nowhere, nowhere], {
      delivery: {
        deliver: ({ event, content, pushes }, vector) => {
          for (const push of pushes)
            if (isStoredPush(push) && push.room !== undefined && isGroupId(push.room))
              for (const user of groups.receiversOf(push, event.offset))
                if (this.hosted.has(user))
                  this.frames.push(JSON.stringify({ event: push.name, data: push.data(content) }));
          const text = event.type === 'MessageSent' ? content.text(event.data.text) : undefined;
          this.delivered.push({ event, text, vector: [...vector] });
        },
      },
      interest: {
        groups,
        ring: { hosts: (user) => this.hosted.has(user) },
        relations: { isWatched: (subject) => this.watched.has(subject) },
      },
      content: {
        profiles: {
          known: () => undefined,
          load: async (users) => new Map(users.map((userId) => [userId, userOf(userId)])),
        },
        chats: { chat: async (roomId) => ({ roomId }) as Chat }, // It is only shown.
        texts: {
          notes: noNotes,
          messages: async (sealed) => {
            for (const { text } of sealed) await this.away.get(text ?? '');
            return sealed.map(({ text }) => `opened ${text}`);
          },
        },
      },
      source: {
        log: this.log,
        rooms: { members: async (id) => rooms.get(id) },
        queries: { messagesAt: async () => [] },
      },
      observer: {
        logger: pino({ level: 'silent' }),
        metrics: { observePush: () => {} },
        onOffline: () => {},
        onProfileChange: (user) => void this.changedProfiles.push(user),
        onStop: (error) => this.stops.push(error),
      },
    });
  }

  /** A message becomes durable; its frame. */
  send(text: string, partition = 0, roomId = room): CommitFrame {
    const commit = this.log.rival([messageLeaf(++this.#version, text, roomId)], partition);
    return frameOf(commit, this.away.has(text) ? [] : [text]);
  }

  get texts() {
    return this.delivered.map(({ text }) => text);
  }

  /** Resolves when it has looked at the log at the start, and waits for the doorbell. */
  async rests(): Promise<void> {
    this.send('first', 1, bobAndEve);
    this.fanout.noteTail(1, 1);
    await this.fanout.reached(1, 1).promise;
    // It has read on to the end, of which nothing is to be seen.
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('the fan-out', () => {
  let node: Node;
  beforeEach(async () => {
    node = new Node();
    await node.rests();
  });
  afterEach(() => node.fanout.stop());

  it('delivers what its own writer has made durable in the turn in which it is told', () => {
    node.fanout.receive(node.send('hello'));
    expect(node.texts).deep.equal(['opened hello']);
    expect(node.fanout.vector).deep.equal([1, 1]);
  });

  it('does not decode what concerns nobody here, and moves on', () => {
    const sealed = node.send('theirs', 0, bobAndEve);
    const frame: CommitFrame = {
      ...frameOf(sealed),
      receivers: receiversOf(sealed),
      get events(): never {
        throw new Error('it was decoded');
      },
    };
    node.fanout.receive(frame);
    expect(node.fanout.vector).deep.equal([1, 1]);
    expect([node.delivered, node.stops]).deep.equal([[], []]);
  });

  it('delivers somebody’s presence where they are watched', () => {
    const online = (user: string) => node.fanout.receive(frameOf(node.log.rival([onlineLeaf(user)])));
    online(bob);
    node.watched.add(bob);
    online(bob);
    expect(node.delivered.map(({ event }) => event.offset)).deep.equal([1]);
  });

  it('tells of every changed profile, also where nobody is concerned', () => {
    const frame = frameOf(node.log.rival([profileLeaf(bob)]));
    node.fanout.receive({ ...frame, receivers: receiversOf(frame) });
    expect(node.changedProfiles).deep.equal([bob]);
  });

  it('reads what the bus has lost as soon as it is told how far the log is', async () => {
    for (const text of ['one', 'two', 'three']) node.send(text);
    node.fanout.noteTail(0, 3);
    await eventually('all are delivered', () => node.delivered.length === 3);
    expect(node.texts).deep.equal(['opened one', 'opened two', 'opened three']);
    expect(node.fanout.head(0)).deep.equal({ position: 3, size: 3 });
  });

  it('looks into the log by itself when it hears nobody', async () => {
    node.send('lost');
    await eventually('it is delivered', () => node.texts.includes('opened lost'));
  });

  it('holds a partition up for what is not at hand, and no other', async () => {
    let arrive = () => {};
    node.away.set('far', new Promise((resolve) => (arrive = resolve)));
    node.fanout.receive(node.send('far'));
    node.fanout.receive(node.send('behind it'));
    node.fanout.receive(node.send('beside it', 1));
    expect(node.texts).deep.equal(['opened beside it']);
    expect(node.fanout.vector).deep.equal([0, 2]);
    arrive();
    await node.fanout.reached(0, 2).promise;
    expect(node.texts).deep.equal(['opened beside it', 'opened far', 'opened behind it']);
  });

  it('has at hand what somebody needs who has connected meanwhile', async () => {
    let arrive = () => {};
    node.away.set('far', new Promise((resolve) => (arrive = resolve)));
    node.away.set('theirs', Promise.resolve());
    const leaves = [messageLeaf(1, 'far'), messageLeaf(2, 'theirs', bobAndEve)];
    node.fanout.receive(frameOf(node.log.rival(leaves)));
    node.hosted.add(eve);
    arrive();
    await node.fanout.reached(0, 2).promise;
    expect(node.texts).deep.equal(['opened far', 'opened theirs']);
  });

  it('has at hand what those need who join a group by the same commit, in which nobody of this node was', async () => {
    const group = '10000000-0000-4000-8000-000000000000';
    const groups = new GroupIndex(
      async () => [],
      () => node.fanout.vector,
    );
    await node.fanout.stop();
    node = new Node(groups);
    await node.rests();
    node.hosted.add(eve);
    await groups.add(eve);
    const joins = [eve, bob].map((userId, i) => joinLeaf(i + 1, group, userId));
    const commit = node.log.rival([...joins, messageLeaf(3, 'sealed elsewhere', group)]);
    node.fanout.receive(commitFrame(commit, new Map([[streamOf('room', group), { group }]])));
    await node.fanout.reached(0, 3).promise;
    const shown = node.frames.map((frame) => JSON.parse(frame));
    expect(shown.map(({ event }) => event)).deep.equal(['init chat', 'add member', 'send message']);
    expect(shown[1].data.user.userId).equal(bob);
    expect(shown[2].data.message).include({ message: 'opened sealed elsewhere' });
    expect(node.stops).deep.equal([]);
  });

  it('stops at an event of a type that it does not know', () => {
    const leaf = messageLeaf(1, 'new').replace('MessageSent', 'MessageSung');
    node.fanout.receive(frameOf(node.log.rival([leaf])));
    expect(node.stops).to.have.length(1);
    expect(node.stops[0]).to.have.property('name', 'UnknownEventType');
    node.fanout.receive(node.send('behind it'));
    expect(node.delivered).deep.equal([]);
  });

  it('delivers each once and in order, whatever the bus loses, repeats and delays', async () => {
    const step = fc.record({
      partition: fc.nat({ max: 1 }),
      isOurs: fc.boolean(),
      isAway: fc.boolean(),
      fate: fc.constantFrom('come', 'come', 'twice', 'late', 'lost', 'told'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const node = new Node();
        const expected: string[][] = [[], []];
        const late: CommitFrame[] = [];
        for (const [i, { partition, isOurs, isAway, fate }] of steps.entries()) {
          const text = `text ${i}`;
          if (isAway) node.away.set(text, new Promise((resolve) => setImmediate(resolve)));
          const frame = node.send(text, partition, isOurs ? room : bobAndEve);
          if (isOurs) expected[partition]?.push(`opened ${text}`);
          if (fate === 'come' || fate === 'twice') node.fanout.receive(frame);
          if (fate === 'twice') node.fanout.receive(frame);
          if (fate === 'late') late.push(frame);
          if (fate === 'told') node.fanout.noteTail(partition, frame.position);
          if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        for (const frame of late.reverse()) node.fanout.receive(frame);
        for (const partition of [0, 1]) {
          const { length } = node.log.commits(partition);
          node.fanout.noteTail(partition, length);
          await node.fanout.reached(partition, length).promise;
          const got = node.delivered.filter(({ event }) => event.partition === partition);
          expect(got.map(({ text }) => text)).deep.equal(expected[partition]);
          for (const { event, vector } of got) expect(vector[partition]).equal(event.offset + 1);
        }
        await node.fanout.stop();
      }),
    );
  });
});
