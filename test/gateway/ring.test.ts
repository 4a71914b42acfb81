import { expect } from 'chai';
import fc from 'fast-check';
import { Ring, type RingEntry } from '../../src/gateway/ring.js';
import { runs } from '../support/lanes.js';

const MINUTE = 60_000;
const users = ['ann', 'bob', 'cem'];
const user = fc.constantFrom(...users);

/** What the ring has for a user since a vector, read in slices of at most so many bytes. */
function readAll(ring: Ring, user: string, at: readonly number[], sliceBytes = 500): RingEntry[] | undefined {
  const all: RingEntry[] = [];
  for (let behind = 0; ; ) {
    const slice = ring.since(user, at, behind, sliceBytes);
    if (!slice) return undefined;
    const bytes = slice.entries.reduce((sum, { frame }) => sum + frame.length, 0);
    if (slice.entries.length > 1) expect(bytes).most(sliceBytes);
    for (const { place, ...entry } of slice.entries) {
      expect(place).above(behind);
      behind = place;
      all.push(entry);
    }
    if (slice.isLast) return all;
    expect(slice.entries).not.deep.equal([]);
  }
}

type Step =
  | {
      readonly kind: 'push';
      partition: number;
      to: string[];
      shows: string[];
      bytes: number;
      mark: string | undefined;
    }
  | { readonly kind: 'host' | 'leave' | 'erase'; user: string }
  | { readonly kind: 'wait'; minutes: number };

const push: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('push' as const),
  partition: fc.nat({ max: 1 }),
  to: fc.subarray(users, { minLength: 1 }),
  shows: fc.subarray(users, { maxLength: 2 }),
  bytes: fc.integer({ min: 10, max: 400 }),
  mark: fc.option(fc.constantFrom('m1', 'm2'), { nil: undefined }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: push },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('host' as const, 'leave' as const), user }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('erase' as const), user }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), minutes: fc.nat({ max: 12 }) }) },
);

/** A ring, and all pushes that it was ever given. */
class World {
  readonly ring = new Ring(4000, [0, 0]);
  readonly all: RingEntry[] = [];
  readonly vector = [0, 0];
  readonly connected = new Set<string>();
  /** The `shows` lists of entries that showed a user before the user was erased. */
  readonly erased = new Set<readonly string[]>();
  /** By user: the vector at the first connection after the ring last forgot the user. */
  readonly hostedSince = new Map<string, number[]>();
  readonly #goneAt = new Map<string, number>();
  #now = 0;

  run(step: Step): void {
    if (step.kind === 'push') {
      const { partition, to, shows, bytes, mark } = step;
      const offset = this.vector[partition] ?? 0;
      this.vector[partition] = offset + 1;
      const entry = {
        partition,
        offset,
        to,
        shows,
        frame: Buffer.alloc(bytes),
        ...(mark ? { mark: `${mark} of ${partition}` } : {}),
      };
      this.all.push(entry);
      this.ring.add({ ...entry });
    } else if (step.kind === 'erase') {
      this.ring.forgetUser(step.user);
      for (const { shows } of this.all) if (shows.includes(step.user)) this.erased.add(shows);
    } else if (step.kind === 'wait') {
      this.#now += step.minutes * MINUTE;
      this.ring.forget(this.#now);
      for (const [user, at] of this.#goneAt)
        if (this.#now - at >= 10 * MINUTE) {
          this.#goneAt.delete(user);
          this.hostedSince.delete(user);
        }
    } else if (step.kind === 'host') {
      this.connected.add(step.user);
      this.#goneAt.delete(step.user);
      if (!this.hostedSince.has(step.user)) this.hostedSince.set(step.user, [...this.vector]);
      this.ring.host(step.user, this.vector);
    } else if (this.connected.delete(step.user)) {
      this.#goneAt.set(step.user, this.#now);
      this.ring.leave(step.user, this.#now);
    }
  }

  missed(user: string, at: readonly number[]): RingEntry[] {
    const all = this.all.filter(
      ({ to, offset, partition }) => to.includes(user) && offset >= (at[partition] ?? 0),
    );
    return all.filter(
      (entry, i) => entry.mark === undefined || !all.slice(i + 1).some(({ mark }) => mark === entry.mark),
    );
  }

  get bytes(): number {
    return this.all.reduce((sum, { frame }) => sum + frame.length + 160, 0);
  }
}

describe('the ring of recent pushes', () => {
  it('gives a user all that a cursor has missed, in order, or says that it cannot', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        user,
        fc.tuple(fc.nat({ max: 30 }), fc.nat({ max: 30 })),
        fc.integer({ min: 1, max: 5000 }),
        (steps, user, at, sliceBytes) => {
          const world = new World();
          for (const each of steps) world.run(each);
          const given = readAll(world.ring, user, at, sliceBytes);
          const since = world.hostedSince.get(user);
          const isErased = ({ to, partition, offset, shows }: RingEntry) =>
            to.includes(user) && offset >= (at[partition] ?? 0) && world.erased.has(shows);
          const isKept = since?.every((size, partition) => (at[partition] ?? 0) >= size) ?? false;
          if (given) {
            expect(isKept, 'it was hosted when all of that came').equal(true);
            expect(given).deep.equal(world.missed(user, at));
            expect(given.filter(({ shows }) => world.erased.has(shows))).deep.equal([]);
          } else if (isKept && !world.all.some(isErased)) expect(world.bytes).above(4000);
        },
      ),
      { numRuns: runs(1000) },
    );
  });

  it('knows nothing of what was before it', () => {
    const ring = new Ring(4000, [5, 7]);
    ring.host('ann', [0, 0]);
    expect(readAll(ring, 'ann', [5, 6])).equal(undefined);
    expect(readAll(ring, 'ann', [5, 7])).deep.equal([]);
  });

  it('goes on behind a slice with what has come since, and says when a part of it has gone', () => {
    const ring = new Ring(1000, [0]);
    const add = (offset: number, mark?: string) =>
      ring.add({
        ...{ partition: 0, offset, to: ['ann'], shows: [], frame: Buffer.alloc(40) },
        ...(mark === undefined ? {} : { mark }),
      });
    const offsetsOf = (at: number, behind: number) =>
      ring.since('ann', [at], behind, 80)?.entries.map(({ offset }) => offset);
    ring.host('ann', [0]);
    for (let offset = 0; offset < 3; offset++) add(offset, 'a mark');
    expect(offsetsOf(0, 0), 'the newest mark').deep.equal([2]);
    add(3);
    add(4, 'a mark');
    expect(offsetsOf(3, 3)).deep.equal([3, 4]);
    for (let offset = 5; offset < 9; offset++) add(offset);
    expect(offsetsOf(4, 4)).deep.equal([4, 5]);
    add(9);
    expect(offsetsOf(4, 4), 'its next one was dropped').equal(undefined);
  });

  it('keeps within its bytes', () => {
    const ring = new Ring(1000, [0]);
    ring.host('ann', [0]);
    for (let offset = 0; offset < 100; offset++)
      ring.add({ partition: 0, offset, to: ['ann'], shows: [], frame: Buffer.alloc(40) });
    expect(readAll(ring, 'ann', [94])).equal(undefined);
    expect(readAll(ring, 'ann', [95])?.map(({ offset }) => offset)).deep.equal([95, 96, 97, 98, 99]);
  });

  it('keeps nothing for whom it does not host, so that they cost those whom it does nothing', () => {
    const ring = new Ring(1000, [0]);
    ring.host('ann', [0]);
    ring.add({ partition: 0, offset: 0, to: ['ann'], shows: [], frame: Buffer.alloc(40) });
    for (let offset = 1; offset < 100; offset++)
      ring.add({ partition: 0, offset, to: ['bob'], shows: [], frame: Buffer.alloc(40) });
    expect(readAll(ring, 'ann', [0])?.map(({ offset }) => offset)).deep.equal([0]);
    expect(readAll(ring, 'bob', [100])).equal(undefined);
  });

  it('keeps nothing that shows whom it was told to forget, and says so to those who missed it', () => {
    const ring = new Ring(1000, [0]);
    ring.host('ann', [0]);
    for (let offset = 0; offset < 4; offset++)
      ring.add({
        ...{ partition: 0, offset, to: ['ann'], frame: Buffer.alloc(40) },
        shows: offset === 1 ? ['bob'] : [],
      });
    ring.forgetUser('bob');
    expect(readAll(ring, 'ann', [0])).equal(undefined);
    expect(readAll(ring, 'ann', [2])?.map(({ offset }) => offset)).deep.equal([2, 3]);
  });

  it('hosts a bounded number of those who have gone', () => {
    const ring = new Ring(1000, [0]);
    for (let i = 0; i < 50_010; i++) {
      ring.host(`u${i}`, [0]);
      ring.leave(`u${i}`, 0);
    }
    expect([ring.hosts('u9'), ring.hosts('u10'), ring.hosts('u50009')]).deep.equal([false, true, true]);
  });
});
