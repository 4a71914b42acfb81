import { expect } from 'chai';
import fc from 'fast-check';
import { Cursors, type Vector } from '../../src/gateway/cursor.js';
import { frameText, pushText, splitPush, textFrame } from '../../src/gateway/protocol.js';
import { raiseCursors } from '../../src/gateway/resume.js';
import { Ring } from '../../src/gateway/ring.js';
import { runs } from '../support/lanes.js';

const PARTITIONS = 3;
const EACH = 12;
const cursors = new Cursors('0b5f0c6e-9f5d-4d5a-8f5e-2f1f6a7b8c9d', PARTITIONS);

const vectorOf = (cursor: string): Vector => {
  const read = cursors.parseCursor(cursor);
  return read.kind === 'live' ? read.at : expect.fail('it is a cursor of the present');
};

/** A node that fans out every partition's events in their order, and the partitions in an order of its own. */
class Node {
  readonly ring = new Ring(1e6, new Array(PARTITIONS).fill(0));
  readonly vector: number[] = new Array(PARTITIONS).fill(0);
  #turn = 0;

  constructor(readonly order: readonly number[]) {
    this.ring.host('ann', this.vector);
  }

  /** Fans out one event more; undefined when all is. */
  step(): Buffer | undefined {
    for (;;) {
      const turn = this.#turn++;
      if (turn >= this.order.length + PARTITIONS * EACH) return undefined;
      const partition = this.order[turn] ?? turn % PARTITIONS;
      const offset = this.vector[partition] ?? 0;
      if (offset >= EACH) continue;
      this.vector[partition] = offset + 1;
      const data = JSON.stringify({ partition, offset });
      const frame = textFrame(pushText('send message', data, cursors.live(this.vector)));
      this.ring.add({ partition, offset }, { to: ['ann'] }, frame);
      return frame;
    }
  }

  has(at: Vector): boolean {
    return at.every((size, partition) => (this.vector[partition] ?? 0) >= size);
  }
}

const visit = fc.record({
  node: fc.nat({ max: 1 }),
  /** How far the node gets before the client comes, and what the client takes before it is cut off. */
  ahead: fc.nat({ max: 20 }),
  takes: fc.nat({ max: 12 }),
});
const order = fc.array(fc.nat({ max: PARTITIONS - 1 }), { minLength: 20, maxLength: 60 });

describe('a client that goes from node to node', () => {
  it('is pushed everything once and in order, wherever it is cut off', () => {
    fc.assert(
      fc.property(order, order, fc.array(visit, { maxLength: 12 }), (one, other, visits) => {
        const nodes = [new Node(one), new Node(other)];
        const got: number[][] = Array.from({ length: PARTITIONS }, () => []);
        let cursor = cursors.live(new Array(PARTITIONS).fill(0));
        for (const { node: n, ahead, takes } of [...visits, { node: 0, ahead: 99, takes: 99 }]) {
          const node = nodes[n] ?? expect.fail('there are two');
          const since = vectorOf(cursor);
          for (let i = 0; i < ahead || !node.has(since); i++) node.step();
          const missed =
            node.ring.since('ann', since, 0, 1e6)?.entries ?? expect.fail('the ring has everything');
          const raise = raiseCursors(since, cursors);
          const pushes = missed.map(({ frame }) => raise(frame));
          while (pushes.length < takes) {
            const live = node.step();
            if (!live) break;
            pushes.push(live);
          }
          for (const push of pushes.slice(0, takes)) {
            const { body, cursor: next } = splitPush(frameText(push));
            const { data } = JSON.parse(`${body}}`);
            got[data.partition]?.push(data.offset);
            cursor = next;
          }
        }
        for (const offsets of got) expect(offsets).deep.equal(Array.from({ length: EACH }, (_, i) => i));
      }),
      { numRuns: runs(500) },
    );
  });

  it('is sent the very frame that the others share where that is not behind it', () => {
    const frame = textFrame(pushText('send message', '{}', cursors.live([4, 5, 6])));
    expect(raiseCursors([4, 5, 5], cursors)(frame)).equal(frame);
    expect(vectorOf(splitPush(frameText(raiseCursors([4, 6, 5], cursors)(frame))).cursor)).deep.equal([
      4, 6, 6,
    ]);
  });
});
