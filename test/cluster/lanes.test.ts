import { expect } from 'chai';
import fc from 'fast-check';
import { limits } from '../../src/base/limits.js';
import { runs } from '../support/lanes.js';
import { arrives, LaneWorld, type Passage } from './laneWorld.js';

const ids = (count: number) => Array.from({ length: count }, (_, n) => `c${n}`);
const lost: Passage = { fate: 'is lost', delayMs: 1 };
const inVain: Passage = { fate: 'is answered in vain', delayMs: 1 };

/** Sends all of them now, and lets so much time pass. */
async function sendAll(world: LaneWorld, commands: readonly string[], ms = 100): Promise<string[]> {
  const outcomes: string[] = commands.map(() => 'nothing yet');
  for (const [i, id] of commands.entries())
    void world.send(id).then((outcome) => {
      outcomes[i] = outcome;
    });
  await world.time.advance(ms);
  return outcomes;
}

describe('the lanes of a node', () => {
  for (const node of ['here', 'there'])
    it(`bring commands to their owner ${node}, in their order`, async () => {
      const world = new LaneWorld();
      world.lanes.setOwners([world.take(node)]);
      const outcomes = await sendAll(world, ids(20));
      expect(new Set(outcomes)).to.deep.equal(new Set(['done']));
      expect(world.effects).to.deep.equal(ids(20));
      expect(world.lanes.depth).to.equal(0);
      expect(world.lanes.owned).to.deep.equal(node === 'here' ? [0] : []);
    });

  it('send what one turn of the event loop brings in one request', async () => {
    const world = new LaneWorld();
    world.lanes.setOwners([world.take('there')]);
    world.passages = [arrives, lost, lost];
    expect(new Set(await sendAll(world, ids(50), 200))).to.deep.equal(new Set(['done']));
  });

  for (const [from, to] of [
    ['here', 'there'],
    ['there', 'here'],
    ['there', 'elsewhere'],
    ['there', 'there'],
    ['here', 'here'],
  ] as const)
    it(`keep their order when the partition goes from ${from} to ${to} under way`, async () => {
      const world = new LaneWorld();
      world.lanes.setOwners([world.take(from)]);
      const all = ids(20);
      const first = sendAll(world, all.slice(0, 10), 0);
      await world.time.advance(8);
      const owner = world.take(to);
      const rest = sendAll(world, all.slice(10), 0);
      await world.time.advance(20);
      world.lanes.setOwners([owner]);
      await world.time.advance(1000);
      expect(new Set([...(await first), ...(await rest)])).to.deep.equal(new Set(['done']));
      expect(world.effects).to.deep.equal(all);
      // What came back said that it was time to look.
      expect(world.looks).to.be.above(0);
    });

  it('send to the next owner what one that died did not answer', async () => {
    const world = new LaneWorld();
    world.lanes.setOwners([world.take('there')]);
    const outcomes = sendAll(world, ids(10), 0);
    await world.time.advance(8);
    world.kill('there');
    world.lanes.setOwners([world.take('here')]);
    await world.time.advance(1000);
    expect(new Set(await outcomes)).to.deep.equal(new Set(['done']));
    expect(world.effects).to.deep.equal(ids(10));
  });

  it('say unknown of what an owner that is silent may have done, and overloaded of the rest', async () => {
    const world = new LaneWorld();
    world.lanes.setOwners([world.take('there')]);
    world.passages = [inVain];
    const [taken] = [sendAll(world, ['c0'], 0)];
    await world.time.advance(9000);
    world.connect(false);
    const [late] = [sendAll(world, ['c1'], 0)];
    await world.time.advance(2000);
    expect([await taken, await late]).to.deep.equal([['unknown'], ['overloaded']]);
    expect(world.effects).to.deep.equal(['c0']);
  });

  it('say overloaded of what has found no owner for 5 s', async () => {
    const world = new LaneWorld();
    const outcomes = await sendAll(world, ids(3), 4900);
    expect(new Set(outcomes)).to.deep.equal(new Set(['nothing yet']));
    await world.time.advance(500);
    expect(new Set(outcomes)).to.deep.equal(new Set(['overloaded']));
    world.lanes.setOwners([world.take('here')]);
    await world.time.advance(1000);
    expect(world.effects).to.deep.equal([]);
  });

  it('say overloaded of what nobody is there to take for 5 s', async () => {
    const world = new LaneWorld();
    world.lanes.setOwners([world.take('there')]);
    world.passages = Array.from({ length: 1000 }, () => ({ fate: 'meets nobody', delayMs: 0 }));
    const outcomes = await sendAll(world, ids(3), 5500);
    expect(new Set(outcomes)).to.deep.equal(new Set(['overloaded']));
    expect(world.passages.length).to.be.above(900);
  });

  it('say overloaded at once of what is for another node while they are cut off', async () => {
    const world = new LaneWorld();
    world.lanes.setOwners([world.take('there')]);
    world.connect(false);
    expect(await sendAll(world, ['c0'], 0)).to.deep.equal(['overloaded']);
    world.lanes.setOwners([world.take('here')]);
    expect(await sendAll(world, ['c1'])).to.deep.equal(['done']);
    world.lanes.setOwners([world.take('there')]);
    world.connect(true);
    expect(await sendAll(world, ['c2'])).to.deep.equal(['done']);
  });

  it('never say that nothing was done of what an earlier owner may have done', async () => {
    const world = new LaneWorld();
    world.lanes.setOwners([world.take('there')]);
    world.passages = [inVain];
    const outcomes = sendAll(world, ['c0'], 0);
    await world.time.advance(50);
    expect(world.effects).to.deep.equal(['c0']);
    world.owner('here').isFull = true;
    world.lanes.setOwners([world.take('here')]);
    await world.time.advance(500);
    expect(await outcomes).to.deep.equal(['unknown']);
  });

  it('go on at once after a request that was lost, with the next that shows it', async () => {
    const world = new LaneWorld();
    world.lanes.setOwners([world.take('there')]);
    await sendAll(world, ['c0']);
    world.passages = [lost];
    const first = sendAll(world, ['c1'], 0);
    await world.time.advance(10);
    const second = sendAll(world, ['c2'], 0);
    await world.time.advance(500);
    expect([...(await first), ...(await second)]).to.deep.equal(['done', 'done']);
    expect(world.effects).to.deep.equal(['c0', 'c1', 'c2']);
  });

  it('leave with an owner what it has taken, though something after it was lost', async () => {
    const world = new LaneWorld(() => 500);
    world.lanes.setOwners([world.take('there')]);
    world.passages = [arrives, lost];
    const first = sendAll(world, ['c0'], 0);
    await world.time.advance(10);
    world.owner('there').isFull = true;
    const rest: Promise<string[]>[] = [];
    for (const id of ['c1', 'c2']) {
      rest.push(sendAll(world, [id], 0));
      await world.time.advance(10);
    }
    await world.time.advance(2000);
    expect([await first, ...(await Promise.all(rest))]).to.deep.equal([
      ['done'],
      ['overloaded'],
      ['overloaded'],
    ]);
  });

  it('hold so many commands and no more', async () => {
    const world = new LaneWorld();
    const waiting = ids(limits.commands).map((id) => world.send(id));
    expect(await world.send('one too many')).to.equal('overloaded');
    await world.time.advance(6000);
    await Promise.all(waiting);
    expect(world.lanes.depth).to.equal(0);
  });

  it('refuse when they stop what has not left, and what comes', async () => {
    const world = new LaneWorld();
    const outcomes = sendAll(world, ['c0'], 0);
    await world.time.advance(1);
    world.lanes.stop();
    await world.time.advance(1);
    expect(await outcomes).to.deep.equal(['overloaded']);
    expect(await world.send('c1')).to.equal('overloaded');
  });

  it('keep every order and give every answer, whatever owners and requests do', async () => {
    const node = fc.constantFrom('here', 'there', 'elsewhere');
    const passage: fc.Arbitrary<Passage> = fc.record({
      fate: fc.oneof(
        { weight: 4, arbitrary: fc.constant('arrives' as const) },
        {
          weight: 3,
          arbitrary: fc.constantFrom<Passage['fate']>(
            'is lost',
            'is answered in vain',
            'comes twice',
            'meets nobody',
          ),
        },
      ),
      delayMs: fc.integer({ min: 0, max: 400 }),
    });
    const step = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ do: fc.constant('send' as const), count: fc.integer({ min: 1, max: 5 }) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant('move' as const), node, toldAfterMs: fc.nat(1500) }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('connect' as const), isConnected: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('fill' as const), node, isFull: fc.boolean() }) },
    );
    const steps = fc.array(fc.record({ what: step, waitMs: fc.integer({ min: 0, max: 600 }) }), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(
        steps,
        fc.array(passage, { maxLength: 60 }),
        fc.integer({ min: 1, max: 30 }),
        async (plan, passages, stepMs) => {
          const world = new LaneWorld(() => stepMs);
          world.passages = [...passages];
          world.lanes.setOwners([world.take('there')]);
          const outcomes = new Map<string, string | undefined>();
          for (const { what, waitMs } of plan) {
            if (what.do === 'send')
              for (let n = 0; n < what.count; n++) {
                const id = `c${outcomes.size}`;
                outcomes.set(id, undefined);
                void world.send(id).then((outcome) => outcomes.set(id, outcome));
              }
            else if (what.do === 'move') {
              const owner = world.take(what.node);
              world.time.setTimer(() => world.lanes.setOwners([owner]), what.toldAfterMs);
            } else if (what.do === 'connect') world.connect(what.isConnected);
            else world.owner(what.node).isFull = what.isFull;
            await world.time.advance(waitMs);
          }
          await world.time.advance(16_000);
          // Each has its answer, and the answer is true.
          for (const [id, outcome] of outcomes) {
            expect(outcome, id).to.be.oneOf(['done', 'overloaded', 'unknown']);
            if (outcome !== 'unknown') expect(world.effects.includes(id), id).to.equal(outcome === 'done');
          }
          const order = world.effects.map((id) => Number(id.slice(1)));
          expect(order).to.deep.equal(order.toSorted((a, b) => a - b));
          expect(world.lanes.depth).to.equal(0);
        },
      ),
      { numRuns: runs(200) },
    );
  });
});
