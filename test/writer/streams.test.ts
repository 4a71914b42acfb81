import { expect } from 'chai';
import type { Recorded } from '../../src/domain/events.js';
import { StreamCache, Tail } from '../../src/writer/streamState.js';
import { ada } from './world.js';

const online = (offset: number, version: number, type: 'UserWentOnline' | 'UserWentOffline'): Recorded => {
  const place = { partition: 0, offset, version, stream: `user:${ada}` as const };
  const rest = { actor: ada, recordedAt: '2026-01-02T03:04:05.678Z', commandId: 'c' };
  return type === 'UserWentOnline'
    ? { ...place, ...rest, type, data: { userId: ada } }
    : { ...place, ...rest, type, data: { userId: ada, lastSeen: '2026-01-02T03:04:05.678Z' } };
};

describe('a stream’s state', () => {
  it('is its row and the tail above it, whatever of the tail the row has already', () => {
    const tail = new Tail(4);
    for (const [i, type] of (['UserWentOnline', 'UserWentOffline', 'UserWentOnline'] as const).entries())
      tail.add(online(4 + i, 2 + i, type), 100);
    for (const [offset, version, wasOnline] of [
      [2, 1, false],
      [4, 2, true],
      [5, 3, false],
      [6, 4, true],
    ] as const) {
      const stream = new StreamCache(1).acquire(`user:${ada}`);
      stream.load({ offset, value: { version, state: { registered: true, online: wasOnline } } }, tail);
      expect(stream).to.deep.include({ version: 4, state: { registered: true, online: true } });
    }
  });

  it('is never folded with a hole', () => {
    const tail = new Tail(0);
    tail.add(online(5, 3, 'UserWentOnline'), 100);
    expect(() => new StreamCache(1).acquire(`user:${ada}`).load(undefined, tail)).to.throw(
      'from version 0 to 3',
    );
  });

  it('is kept while it is in use, and the least recently used is evicted first', () => {
    const cache = new StreamCache(2);
    const names = ['user:1', 'user:2', 'user:3', 'user:4'] as const;
    const [one, two, three] = names.map((name) => {
      const stream = cache.acquire(name);
      stream.load(undefined, new Tail(0));
      return stream;
    });
    if (!one || !two || !three) throw new Error('four were acquired');
    for (const stream of [two, three]) cache.release(stream);
    expect(cache.acquire('user:1')).to.equal(one);
    expect(cache.acquire('user:2')).not.to.equal(two);
    expect(cache.acquire('user:3')).not.to.equal(three);
  });
});

describe('the tail', () => {
  it('forgets what is folded, but nothing that a pin keeps', () => {
    const tail = new Tail(0);
    for (let i = 0; i < 6; i++)
      tail.add(online(i, i + 1, i % 2 === 0 ? 'UserWentOnline' : 'UserWentOffline'), 100);
    tail.trim(2);
    const pin = tail.pin(2);
    tail.trim(4);
    expect(tail.eventsOf(`user:${ada}`).map(({ offset }) => offset)).to.deep.equal([2, 3, 4, 5]);
    tail.unpin(pin);
    tail.trim(4);
    expect(tail.length).to.equal(4);
    tail.unpin(pin);
    tail.trim(4);
    expect(tail.eventsOf(`user:${ada}`).map(({ offset }) => offset)).to.deep.equal([4, 5]);
    tail.trim(6);
    expect(tail.length).to.equal(0);
  });
});
