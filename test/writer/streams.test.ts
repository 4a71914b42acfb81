import { expect } from 'chai';
import { encodeEvent } from '../../src/domain/codec.js';
import type { Recorded, State } from '../../src/domain/events.js';
import { GroupMembers } from '../../src/domain/groups/groupMembers.js';
import { STREAM_BYTES, StreamCache, type StreamState, Tail } from '../../src/writer/streamState.js';
import { upTo, withSeed } from '../support/random.js';
import { ada } from './world.js';

/** Adds the event as a writer does. */
const add = (tail: Tail, event: Recorded): void => tail.add(event, encodeEvent(event));

const online = (offset: number, version: number, type: 'UserWentOnline' | 'UserWentOffline'): Recorded => {
  const place = { partition: 0, offset, version, stream: `user:${ada}` as const };
  const rest = { actor: ada, recordedAt: '2026-01-02T03:04:05.678Z', commandId: 'c' };
  return type === 'UserWentOnline'
    ? { ...place, ...rest, type, data: { userId: ada } }
    : { ...place, ...rest, type, data: { userId: ada, lastSeen: '2026-01-02T03:04:05.678Z' } };
};

const uuidOf = (i: number): string => `00000000-0000-4000-8000-${i.toString(16).padStart(12, '0')}`;

/** The event at offset `i` of a stream that begins with the log. */
const onlineOrNot = (i: number) => online(i, i + 1, i % 2 === 0 ? 'UserWentOnline' : 'UserWentOffline');

describe('a stream’s state', () => {
  it('is its row and the tail above it, whatever of the tail the row has already', () => {
    const tail = new Tail(0, 4);
    for (const [i, type] of (['UserWentOnline', 'UserWentOffline', 'UserWentOnline'] as const).entries())
      add(tail, online(4 + i, 2 + i, type));
    for (const [offset, version, wasOnline] of [
      [2, 1, false],
      [4, 2, true],
      [5, 3, false],
      [6, 4, true],
    ] as const) {
      const stream = new StreamCache(STREAM_BYTES).acquire(`user:${ada}`);
      stream.load({ offset, value: { version, state: { registered: true, online: wasOnline } } }, tail);
      expect(stream).to.deep.include({ version: 4, state: { registered: true, online: true } });
    }
  });

  it('is never folded with a hole', () => {
    const tail = new Tail(0, 5);
    add(tail, online(5, 3, 'UserWentOnline'));
    expect(() => new StreamCache(STREAM_BYTES).acquire(`user:${ada}`).load(undefined, tail)).to.throw(
      'from version 0 to 3',
    );
  });

  /** Acquires and loads a stream. */
  const use = (cache: StreamCache, name: `user:${string}`): StreamState => {
    const stream = cache.acquire(name);
    if (!stream.isLoaded) stream.load(undefined, new Tail(0, 0));
    return stream;
  };

  it('is kept while it is in use, however many others come', () => {
    const cache = new StreamCache(2 * STREAM_BYTES);
    const one = use(cache, 'user:0');
    const others = Array.from({ length: 10 }, (_, i) => {
      const stream = use(cache, `user:${i + 1}`);
      stream.release();
      return stream;
    });
    expect(cache.acquire('user:0')).to.equal(one);
    expect(use(cache, 'user:1')).not.to.equal(others[0]);
  });

  it('outlives idle ones if it was used since they were', () => {
    const cache = new StreamCache(4 * STREAM_BYTES);
    const idle = (name: `user:${string}`) => {
      const stream = use(cache, name);
      stream.release();
      return stream;
    };
    const [often] = ['user:often', 'user:1', 'user:2', 'user:3'].map((name) =>
      idle(name as `user:${string}`),
    );
    expect(idle('user:often')).to.equal(often);
    for (let i = 4; i < 40; i++) {
      idle(`user:${i}`);
      expect(idle('user:often'), `after ${i} others`).to.equal(often);
    }
  });

  it('takes as much room as it has members, whether it grows while it is used or comes so', () => {
    const members = 100;
    const group = (size: number): State => {
      let all = GroupMembers.none;
      for (let i = 0; i < size; i++) all = all.with(uuidOf(i), { role: 'member', from: 1, joinedAt: i });
      return { exists: true, roomType: 'GROUP', texts: { name: 'sealed' }, members: all } as State; // What counts.
    };
    for (const grows of ['before', 'while it is used'] as const) {
      const cache = new StreamCache(64 * STREAM_BYTES);
      const bytes = STREAM_BYTES + members * 64;
      for (let i = 0; i < 200; i++) {
        const stream = cache.acquire(`room:${i}`);
        stream.isLoaded = true;
        if (grows === 'before') stream.state = group(members);
        stream.release();
        if (grows === 'before') continue;
        const again = cache.acquire(`room:${i}`);
        again.state = group(members);
        again.release();
      }
      expect(cache.bytes, grows).to.be.within(bytes, 64 * STREAM_BYTES + bytes);
      // Those that were used last are there, as many as fit.
      let kept = 0;
      while (cache.acquire(`room:${199 - kept}`).isLoaded) kept++;
      expect(kept).to.be.within(1, 1 + Math.ceil((64 * STREAM_BYTES) / bytes));
    }
  });

  it('of a group counts those who have left too, and the times that they were there', () => {
    let all = GroupMembers.none.with(uuidOf(1), { role: 'member', from: 1, joinedAt: 0 });
    const one = all.bytes;
    all = all.with(uuidOf(1), { role: undefined, closed: [[1, 5]] });
    expect(all.bytes).to.be.above(one);
    const gone = all.bytes;
    for (let i = 2; i < 10; i++)
      all = all.with(uuidOf(1), { closed: Array.from({ length: i }, () => [1, 5] as const) });
    expect(all.bytes).to.equal(gone + 8 * (gone - one));
  });

  it('that could not be loaded is forgotten with its last use', () => {
    const cache = new StreamCache(4 * STREAM_BYTES);
    const [first, again] = [cache.acquire('user:1'), cache.acquire('user:1')];
    cache.abandon(first);
    expect(cache.acquire('user:1')).to.equal(again);
    for (let i = 0; i < 2; i++) cache.abandon(first);
    expect(cache.acquire('user:1')).not.to.equal(first);
  });
});

describe('the tail', () => {
  it('holds the events of many streams as they were added, and those above its floor alone', () => {
    return withSeed(async (random) => {
      const tail = new Tail(3, 7);
      const added: Recorded[] = [];
      const versions = new Map<string, number>();
      for (let i = 0; i < 3000; i++) {
        const user = `${upTo(40, random)}`;
        const version = (versions.get(user) ?? 0) + 1;
        versions.set(user, version);
        const event = { ...onlineOrNot(version), partition: 3, offset: 7 + i, version };
        const own = { ...event, stream: `user:${user}` as const, data: { ...event.data, userId: user } };
        added.push(own as Recorded); // Only its user was replaced.
        add(tail, own as Recorded);
        if (upTo(20, random) === 0) tail.trim(7 + upTo(i + 1, random));
        const at = 7 + upTo(i + 1, random);
        expect(tail.at(at)).to.deep.equal(at < tail.floor ? undefined : added[at - 7]);
        const stream = `user:${upTo(40, random)}` as const;
        const held = added.filter((one) => one.stream === stream && one.offset >= tail.floor);
        expect(tail.eventsOf(stream)).to.deep.equal(held);
      }
      expect(tail.at(7 + added.length)).to.equal(undefined);
      expect(tail.at(0)).to.equal(undefined);
    });
  });

  it('completes a message by the changes that it holds, and by no other', () => {
    const tail = new Tail(0, 0);
    const message = { roomId: 'r', messageId: 'm' };
    const data = { ...message, seq: 1, senderId: ada, by: 'system' };
    const rest = { actor: 'system', recordedAt: '2026-01-02T03:04:05.678Z', commandId: 'c' } as const;
    add(tail, {
      partition: 0,
      offset: 0,
      version: 1,
      stream: 'room:r',
      type: 'MessageDeleted',
      data,
      ...rest,
    });
    add(tail, onlineOrNot(1));
    const sent = { ...message, seq: 1, senderId: ada, text: 'sealed', sentAt: rest.recordedAt };
    const { text: _, ...place } = sent;
    expect(tail.completeMessage(sent, -1)).to.deep.equal({ ...place, text: null, deleted: { by: 'system' } });
    expect(tail.completeMessage(sent, 0), 'as of the event').to.equal(sent);
    expect(tail.changesOf({ ...message, messageId: 'n' })).to.deep.equal([]);
    tail.trim(1);
    expect(tail.completeMessage(sent, -1)).to.equal(sent);
  });

  it('is not continued with a hole', () => {
    const tail = new Tail(0, 4);
    expect(() => add(tail, onlineOrNot(5))).to.throw(RangeError);
  });

  it('forgets what is folded', () => {
    const tail = new Tail(0, 0);
    for (let i = 0; i < 6; i++) add(tail, onlineOrNot(i));
    tail.trim(2);
    expect(tail.eventsOf(`user:${ada}`).map(({ offset }) => offset)).to.deep.equal([2, 3, 4, 5]);
    const bytes = [2, 3, 4, 5].map((i) => encodeEvent(onlineOrNot(i)).length);
    expect(tail.bytes).to.equal(bytes.reduce((sum, each) => sum + each, 0));
    tail.trim(4);
    tail.trim(3);
    expect(tail.eventsOf(`user:${ada}`).map(({ offset }) => offset)).to.deep.equal([4, 5]);
    tail.trim(6);
    expect(tail.length).to.equal(0);
  });

  it('forgets at most the events of one commit at once, so that nobody waits for it', () => {
    const tail = new Tail(0, 0);
    for (let i = 0; i < 600; i++) add(tail, onlineOrNot(i));
    const left = [600, 600, 600].map((size) => {
      tail.trim(size);
      return tail.length;
    });
    expect(left).to.deep.equal([344, 88, 0]);
    expect(tail.floor).to.equal(600);
  });
});
