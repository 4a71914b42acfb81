import { expect } from 'chai';
import fc from 'fast-check';
import { FrameArena } from '../../src/gateway/frameArena.js';
import { frameText, textFrame } from '../../src/gateway/protocol.js';
import { runs } from '../support/lanes.js';

/** Ids of which one begins with another, and some are escaped in JSON. */
const ids = ['ann', 'anna', 'bo"b', 'c\\\n', 'dé\u0001'];
const SIZE = 2000;
const MAX_FRAMES = 30;

type Step =
  | { readonly kind: 'push'; readonly ids: string[]; readonly fill: number }
  | { readonly kind: 'shift' }
  | { readonly kind: 'erase'; readonly id: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      ids: fc.subarray(ids, { maxLength: 2 }),
      fill: fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 1900 })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('shift' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('erase' as const), id: fc.constantFrom(...ids) }) },
);

/** An arena, and beside it the same frames as objects. */
class World {
  readonly bytes = Buffer.alloc(SIZE);
  readonly arena = new FrameArena(this.bytes, MAX_FRAMES);
  readonly kept: { readonly ids: readonly string[]; readonly frame: Buffer; erased?: true }[] = [];
  #serial = 0;

  run(step: Step): void {
    if (step.kind === 'push') this.#push(step.ids, step.fill);
    else if (step.kind === 'erase') this.#erase(step.id);
    else if (this.kept.shift()) this.arena.shift();
  }

  #push(ids: readonly string[], fill: number): void {
    const frame = textFrame(JSON.stringify([this.#serial++, ...ids, '#'.repeat(fill)]));
    while (!this.arena.push(frame)) {
      const lengths = this.kept.map(({ frame }) => frame.length);
      const used = lengths.reduce((sum, length) => sum + length, 0);
      // What is lost before the end of the buffer is less than the frame that did not fit there.
      const lost = Math.max(frame.length, ...lengths);
      if (this.kept.length < MAX_FRAMES) expect(used + lost + frame.length).above(SIZE);
      this.arena.shift();
      this.kept.shift();
    }
    this.kept.push({ ids, frame });
  }

  #erase(id: string): void {
    const places: number[] = [];
    for (const [i, each] of this.kept.entries())
      if (!each.erased && each.ids.includes(id)) {
        places.push(this.arena.first + i);
        each.erased = true;
      }
    expect(this.arena.eraseWith(id)).to.have.members(places);
  }

  check(): void {
    const { first, last } = this.arena;
    expect(last - first + 1).equal(this.kept.length);
    const memory = Buffer.from(this.bytes);
    for (const [i, { frame, erased }] of this.kept.entries()) {
      const expected = erased ? Buffer.alloc(0) : frame;
      expect(this.arena.copyAt(first + i)).deep.equal(expected);
      expect(this.arena.lengthAt(first + i)).equal(expected.length);
      const at = memory.indexOf(frame);
      if (at >= 0) memory.fill(0, at, at + expected.length);
    }
    expect(memory.equals(Buffer.alloc(SIZE)), 'nothing of other frames is in memory').equal(true);
  }
}

describe('the arena of frames', () => {
  it('keeps the newest frames unchanged, erases those with an id, and leaves nothing of others', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const world = new World();
        for (const each of steps) {
          world.run(each);
          world.check();
        }
      }),
      { numRuns: runs(1000) },
    );
  });

  it('gives copies, which do not change when their bytes are used again', () => {
    const arena = new FrameArena(Buffer.alloc(100), 10);
    const frames = [0, 1, 2].map((n) => textFrame(String(n).repeat(58)));
    const copies = frames.map((frame, i) => {
      while (!arena.push(frame)) arena.shift();
      return arena.copyAt(i + 1);
    });
    expect(copies).deep.equal(frames);
  });

  it('erases every fragmented frame, as a header may divide the id', () => {
    const id = '0b5f0c6e-9f5d-4d5a-8f5e-2f1f6a7b8c9d';
    const arena = new FrameArena(Buffer.alloc(200_000), 10);
    // The first fragment has 65,532 bytes of text.
    const divided = textFrame(`"${'x'.repeat(65_510)}","${id}"`);
    expect([divided.includes(id), frameText(divided).includes(id)]).deep.equal([false, true]);
    for (const frame of [divided, textFrame('"short"')]) arena.push(frame);
    expect(arena.eraseWith(id)).deep.equal([1]);
    expect(arena.eraseWith(id)).deep.equal([]);
  });

  it('erases nothing for an id in bytes that no frame uses', () => {
    const bytes = Buffer.alloc(100);
    bytes.write('"ann"', 90);
    const arena = new FrameArena(bytes, 10);
    for (let n = 0; n < 3; n++) {
      if (n === 2) arena.shift();
      arena.push(textFrame(String(n).repeat(38)));
    }
    expect(arena.eraseWith('ann')).deep.equal([]);
  });

  it('refuses a frame for which there is no room', () => {
    const arena = new FrameArena(Buffer.alloc(100), 10);
    expect(arena.push(Buffer.alloc(101))).equal(false);
    expect(arena.last).equal(0);
    expect(arena.push(Buffer.alloc(100))).equal(true);
    expect(arena.push(Buffer.alloc(1))).equal(false);
  });
});
