import { expect } from 'chai';
import fc from 'fast-check';
import { textFrame } from '../../src/gateway/protocol.js';
import { type MissedPush, Ring } from '../../src/gateway/ring.js';
import { runs } from '../support/lanes.js';

const MINUTE = 60_000;
/** Users of whom one's id begins with another's, and some are escaped in JSON. */
const users = ['ann', 'ann"1', 'c\\é\n'];
const messages = ['m1', 'm"1', 'm1\t'];
const user = fc.constantFrom(...users);

/** The ring has 3000 bytes for frames, and 1000 for 10 pushes of 96. */
const RING_BYTES = 4000;
const FRAME_BYTES = 3000;
const MAX_PUSHES = 10;

/** What the ring has for a user since a vector, read in slices of at most so many bytes. */
function readAll(
  ring: Ring,
  user: string,
  at: readonly number[],
  sliceBytes = 500,
): readonly MissedPush[] | undefined {
  const all: MissedPush[] = [];
  for (let behind = 0; ; ) {
    const slice = ring.since(user, at, behind, sliceBytes);
    if (!slice) return undefined;
    const bytes = slice.entries.reduce((sum, { frame }) => sum + frame.length, 0);
    if (slice.entries.length > 1) expect(bytes).most(sliceBytes);
    for (const entry of slice.entries) {
      expect(entry.place).above(behind);
      behind = entry.place;
      all.push(entry);
    }
    if (slice.isLast) return all;
    expect(slice.entries).not.deep.equal([]);
  }
}

const offsetsOf = (ring: Ring, user: string, at: readonly number[]) =>
  readAll(ring, user, at)?.map(({ offset }) => offset);

type Step =
  | {
      readonly kind: 'push';
      partition: number;
      to: string[];
      shows: string[];
      fill: number;
      mark: string | undefined;
    }
  | { readonly kind: 'host' | 'leave' | 'erase' | 'read'; user: string }
  | { readonly kind: 'delete'; message: string }
  | { readonly kind: 'wait'; minutes: number };

const push: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('push' as const),
  partition: fc.nat({ max: 1 }),
  to: fc.subarray(users, { minLength: 1 }),
  shows: fc.subarray([...users, ...messages], { maxLength: 2 }),
  fill: fc.oneof(
    { weight: 20, arbitrary: fc.nat({ max: 300 }) },
    { weight: 2, arbitrary: fc.nat({ max: 3000 }) },
    // More than the ring has.
    { weight: 1, arbitrary: fc.constant(3000) },
  ),
  mark: fc.option(fc.constantFrom('m1', 'm2'), { nil: undefined }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: push },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('host' as const, 'leave' as const, 'read' as const), user }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('erase' as const), user }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('delete' as const), message: fc.constantFrom(...messages) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), minutes: fc.nat({ max: 12 }) }) },
);

/** A push as an object. */
interface Pushed {
  readonly partition: number;
  readonly offset: number;
  readonly to: readonly string[];
  readonly shows: readonly string[];
  readonly mark: string | undefined;
  readonly frame: Buffer;
  /** Whether one of its users was hosted. */
  readonly wasKept: boolean;
  isErased: boolean;
}

/** A ring, and all pushes that it was ever given, as objects. */
class World {
  readonly ring = new Ring(RING_BYTES, [0, 0]);
  readonly all: Pushed[] = [];
  readonly vector = [0, 0];
  /** By user: the vector at the first connection after the ring last forgot the user. */
  readonly hostedSince = new Map<string, number[]>();
  /** What was read so far, and the frames that were expected then. */
  readonly given: [MissedPush, Buffer][] = [];
  readonly #connected = new Set<string>();
  readonly #goneAt = new Map<string, number>();
  #now = 0;

  run(step: Step): void {
    if (step.kind === 'push') this.#push(step);
    else if (step.kind === 'erase') {
      this.ring.forgetUser(step.user);
      this.#noteErased(step.user);
    } else if (step.kind === 'delete') {
      this.ring.forgetMessage(step.message);
      this.#noteErased(step.message);
    } else if (step.kind === 'wait') {
      this.#now += step.minutes * MINUTE;
      this.ring.forget(this.#now);
      for (const [user, at] of this.#goneAt)
        if (this.#now - at >= 10 * MINUTE) {
          this.#goneAt.delete(user);
          this.hostedSince.delete(user);
        }
    } else if (step.kind === 'host') {
      this.#connected.add(step.user);
      this.#goneAt.delete(step.user);
      if (!this.hostedSince.has(step.user)) this.hostedSince.set(step.user, [...this.vector]);
      this.ring.host(step.user, this.vector);
    } else if (step.kind === 'read') this.#readNewest(step.user);
    else if (this.#connected.delete(step.user)) {
      this.#goneAt.set(step.user, this.#now);
      this.ring.leave(step.user, this.#now);
    }
  }

  #push({ partition, to, shows, fill, mark: name }: Step & { kind: 'push' }): void {
    const offset = this.vector[partition] ?? 0;
    this.vector[partition] = offset + 1;
    const mark = name && `${name} of ${partition}`;
    const frame = textFrame(JSON.stringify({ partition, offset, shows, fill: '#'.repeat(fill) }));
    const wasKept = to.some((user) => this.hostedSince.has(user));
    this.all.push({ partition, offset, to, shows, mark, frame, wasKept, isErased: false });
    const sent = Buffer.from(frame);
    this.ring.add({ partition, offset }, { to, ...(mark === undefined ? {} : { onlyNewest: mark }) }, sent);
    sent.fill(0);
  }

  #noteErased(id: string): void {
    for (const push of this.all) if (push.shows.includes(id)) push.isErased = true;
  }

  /** Reads what the ring has since the latest vector from which it has something. */
  #readNewest(user: string): void {
    const last = this.all.findLast(({ to, isErased }) => to.includes(user) && !isErased);
    if (!last) return;
    const at = [...this.vector];
    at[last.partition] = last.offset;
    for (const push of readAll(this.ring, user, at) ?? []) this.given.push([push, this.#frameOf(push)]);
  }

  #frameOf({ partition, offset }: MissedPush): Buffer {
    const isIt = (push: Pushed) => push.partition === partition && push.offset === offset;
    return this.all.find(isIt)?.frame ?? expect.fail('it was never pushed');
  }

  /** Whether the ring has to have all that anybody missed since the vector, as that is much less than it may keep. */
  mustHave(at: readonly number[]): boolean {
    const kept = this.all.filter(({ wasKept }) => wasKept);
    const isMissed = ({ partition, offset }: Pushed) => offset >= (at[partition] ?? 0);
    const since = kept.findIndex(isMissed);
    if (since < 0) return true;
    const largest = Math.max(...kept.map(({ frame }) => frame.length));
    const newest = kept.slice(since);
    const bytes = newest.reduce((sum, { frame }) => sum + frame.length, 0);
    return newest.length <= MAX_PUSHES && bytes + 2 * largest <= FRAME_BYTES;
  }

  missed(user: string, at: readonly number[]): Pushed[] {
    const all = this.all.filter(
      ({ to, offset, partition }) => to.includes(user) && offset >= (at[partition] ?? 0),
    );
    return all.filter(
      (push, i) => push.mark === undefined || !all.slice(i + 1).some(({ mark }) => mark === push.mark),
    );
  }
}

const shortFrame = Buffer.alloc(40, '#');

/** Adds pushes with offsets from `from` to below `to`. */
function addAll(ring: Ring, user: string, from: number, to: number): void {
  for (let offset = from; offset < to; offset++)
    ring.add({ partition: 0, offset }, { to: [user] }, shortFrame);
}

describe('the ring of recent pushes', () => {
  it('gives a user all that a cursor has missed, in order, or says that it cannot', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        user,
        fc.tuple(fc.nat({ max: 12 }), fc.nat({ max: 12 })),
        fc.integer({ min: 1, max: 5000 }),
        (steps, user, ago, sliceBytes) => {
          const world = new World();
          for (const each of steps) world.run(each);
          for (const [push, frame] of world.given) expect(push.frame).deep.equal(frame);
          const at = world.vector.map((size, partition) => Math.max(0, size - (ago[partition] ?? 0)));
          const given = readAll(world.ring, user, at, sliceBytes);
          const hosted = world.hostedSince.get(user);
          const isHosted = hosted?.every((size, partition) => (at[partition] ?? 0) >= size) ?? false;
          const missed = world.missed(user, at);
          const hasMissedErased = world.all.some(
            ({ to, partition, offset, isErased }) =>
              isErased && to.includes(user) && offset >= (at[partition] ?? 0),
          );
          if (given) {
            expect(isHosted, 'the user was hosted when all of that came').equal(true);
            expect(hasMissedErased, 'nothing of it was dropped').equal(false);
            const inShort = ({ partition, offset, frame }: MissedPush | Pushed) => ({
              ...{ partition, offset, frame },
            });
            expect(given.map(inShort)).deep.equal(missed.map(inShort));
          } else if (isHosted && !hasMissedErased) expect(world.mustHave(at)).equal(false);
        },
      ),
      { numRuns: runs(1500) },
    );
  });

  it('knows nothing of what was before it', () => {
    const ring = new Ring(4000, [5, 7]);
    ring.host('ann', [0, 0]);
    expect(readAll(ring, 'ann', [5, 6])).equal(undefined);
    expect(readAll(ring, 'ann', [5, 7])).deep.equal([]);
  });

  it('goes on behind a slice with what has come since, and says when a part of it has gone', () => {
    const ring = new Ring(2000, [0]); // Five pushes.
    const addMark = (offset: number) =>
      ring.add({ partition: 0, offset }, { to: ['ann'], onlyNewest: 'a mark' }, shortFrame);
    const offsetsIn = (at: number, behind: number) =>
      ring.since('ann', [at], behind, 80)?.entries.map(({ offset }) => offset);
    ring.host('ann', [0]);
    for (let offset = 0; offset < 3; offset++) addMark(offset);
    expect(offsetsIn(0, 0), 'the newest mark').deep.equal([2]);
    addAll(ring, 'ann', 3, 4);
    addMark(4);
    expect(offsetsIn(3, 3)).deep.equal([3, 4]);
    addAll(ring, 'ann', 5, 9);
    expect(offsetsIn(4, 4)).deep.equal([4, 5]);
    addAll(ring, 'ann', 9, 10);
    expect(offsetsIn(4, 4), 'its next one was dropped').equal(undefined);
  });

  it('keeps within its bytes', () => {
    const ring = new Ring(2000, [0]);
    ring.host('ann', [0]);
    addAll(ring, 'ann', 0, 100);
    expect(readAll(ring, 'ann', [94])).equal(undefined);
    expect(offsetsOf(ring, 'ann', [95])).deep.equal([95, 96, 97, 98, 99]);
    ring.add({ partition: 0, offset: 100 }, { to: ['ann'] }, Buffer.alloc(1400, '#'));
    expect(offsetsOf(ring, 'ann', [98]), 'there is room for one beside it').equal(undefined);
    expect(offsetsOf(ring, 'ann', [100])).deep.equal([100]);
  });

  it('does not keep a push that is too large for it, and says so to those who missed it', () => {
    const ring = new Ring(2000, [0]);
    ring.host('ann', [0]);
    addAll(ring, 'ann', 0, 2);
    ring.add({ partition: 0, offset: 2 }, { to: ['ann'] }, Buffer.alloc(1501, '#'));
    addAll(ring, 'ann', 3, 7);
    expect(readAll(ring, 'ann', [1]), 'the ring still has this one').equal(undefined);
    expect(offsetsOf(ring, 'ann', [3])).deep.equal([3, 4, 5, 6]);
  });

  it('keeps nothing for whom it does not host, so that they cost those whom it does nothing', () => {
    const ring = new Ring(2000, [0]);
    ring.host('ann', [0]);
    addAll(ring, 'ann', 0, 1);
    addAll(ring, 'bob', 1, 100);
    ring.add({ partition: 0, offset: 100 }, { to: ['bob'] }, Buffer.alloc(5000));
    expect(offsetsOf(ring, 'ann', [0])).deep.equal([0]);
    expect(readAll(ring, 'bob', [100])).equal(undefined);
  });

  it('keeps nothing that shows whom it was told to forget, and says so to those who missed it', () => {
    const ring = new Ring(4000, [0]);
    ring.host('ann', [0]);
    for (let offset = 0; offset < 4; offset++) {
      const frame = textFrame(JSON.stringify({ by: offset === 1 ? 'bob' : 'bobby' }));
      ring.add({ partition: 0, offset }, { to: ['ann'] }, frame);
    }
    ring.forgetUser('bob');
    expect(readAll(ring, 'ann', [0])).equal(undefined);
    expect(offsetsOf(ring, 'ann', [2])).deep.equal([2, 3]);
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
