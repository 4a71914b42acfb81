import { expect } from 'chai';
import fc from 'fast-check';
import { ADMISSION_LIMITS } from '../../src/base/rateLimits.js';
import { runs } from '../support/lanes.js';
import { arrives, type Delivery, RouterWorld } from './routerWorld.js';

const ids = (count: number) => Array.from({ length: count }, (_, n) => `c${n}`);
const lost: Delivery = { fate: 'request lost', delayMs: 1 };
const inVain: Delivery = { fate: 'reply lost', delayMs: 1 };

/** Sends all commands now, then advances the time. */
async function sendAll(world: RouterWorld, commands: readonly string[], ms = 100): Promise<string[]> {
  const outcomes: string[] = commands.map(() => 'nothing yet');
  for (const [i, id] of commands.entries())
    void world.send(id).then((outcome) => {
      outcomes[i] = outcome;
    });
  await world.time.advance(ms);
  return outcomes;
}

describe('the partition router of a node', () => {
  for (const node of ['here', 'there'])
    it(`bring commands to their owner ${node}, in their order`, async () => {
      const world = new RouterWorld();
      world.router.setOwners([world.take(node)]);
      const outcomes = await sendAll(world, ids(20));
      expect(new Set(outcomes)).to.deep.equal(new Set(['done']));
      expect(world.effects).to.deep.equal(ids(20));
      expect(world.router.depth).to.equal(0);
      expect(world.router.owned).to.deep.equal(node === 'here' ? [0] : []);
    });

  it('sends the commands of one turn in one request', async () => {
    const world = new RouterWorld();
    world.router.setOwners([world.take('there')]);
    world.deliveries = [arrives, lost, lost];
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
      const world = new RouterWorld();
      world.router.setOwners([world.take(from)]);
      const all = ids(20);
      const first = sendAll(world, all.slice(0, 10), 0);
      await world.time.advance(8);
      const owner = world.take(to);
      const rest = sendAll(world, all.slice(10), 0);
      await world.time.advance(20);
      world.router.setOwners([owner]);
      await world.time.advance(1000);
      expect(new Set([...(await first), ...(await rest)])).to.deep.equal(new Set(['done']));
      expect(world.effects).to.deep.equal(all);
      // Refused commands have asked for a new look at the leases.
      expect(world.looks).to.be.above(0);
    });

  it('resends unanswered commands of a dead owner to the next one', async () => {
    const world = new RouterWorld();
    world.router.setOwners([world.take('there')]);
    const outcomes = sendAll(world, ids(10), 0);
    await world.time.advance(8);
    world.kill('there');
    world.router.setOwners([world.take('here')]);
    await world.time.advance(1000);
    expect(new Set(await outcomes)).to.deep.equal(new Set(['done']));
    expect(world.effects).to.deep.equal(ids(10));
  });

  it('answers unknown for commands a silent owner may have done, and overloaded for the rest', async () => {
    const world = new RouterWorld();
    world.router.setOwners([world.take('there')]);
    world.deliveries = [inVain];
    const [taken] = [sendAll(world, ['c0'], 0)];
    await world.time.advance(9000);
    world.connect(false);
    const [late] = [sendAll(world, ['c1'], 0)];
    await world.time.advance(2000);
    expect([await taken, await late]).to.deep.equal([['unknown'], ['overloaded']]);
    expect(world.effects).to.deep.equal(['c0']);
  });

  it('answers overloaded without an owner for 5 s', async () => {
    const world = new RouterWorld();
    const outcomes = await sendAll(world, ids(3), 4900);
    expect(new Set(outcomes)).to.deep.equal(new Set(['nothing yet']));
    await world.time.advance(500);
    expect(new Set(outcomes)).to.deep.equal(new Set(['overloaded']));
    world.router.setOwners([world.take('here')]);
    await world.time.advance(1000);
    expect(world.effects).to.deep.equal([]);
  });

  it('answers overloaded if no owner takes a command for 5 s', async () => {
    const world = new RouterWorld();
    world.router.setOwners([world.take('there')]);
    world.deliveries = Array.from({ length: 1000 }, () => ({ fate: 'undelivered', delayMs: 0 }));
    const outcomes = await sendAll(world, ids(3), 5500);
    expect(new Set(outcomes)).to.deep.equal(new Set(['overloaded']));
    expect(world.deliveries.length).to.be.above(900);
  });

  it('answers overloaded at once for other nodes’ commands while disconnected', async () => {
    const world = new RouterWorld();
    world.router.setOwners([world.take('there')]);
    world.connect(false);
    expect(await sendAll(world, ['c0'], 0)).to.deep.equal(['overloaded']);
    world.router.setOwners([world.take('here')]);
    expect(await sendAll(world, ['c1'])).to.deep.equal(['done']);
    world.router.setOwners([world.take('there')]);
    world.connect(true);
    expect(await sendAll(world, ['c2'])).to.deep.equal(['done']);
  });

  it('never reports a command as not done that an earlier owner may have done', async () => {
    const world = new RouterWorld();
    world.router.setOwners([world.take('there')]);
    world.deliveries = [inVain];
    const outcomes = sendAll(world, ['c0'], 0);
    await world.time.advance(50);
    expect(world.effects).to.deep.equal(['c0']);
    world.owner('here').isFull = true;
    world.router.setOwners([world.take('here')]);
    await world.time.advance(500);
    expect(await outcomes).to.deep.equal(['unknown']);
  });

  it('continues at once after a lost request, with the next one that reveals it', async () => {
    const world = new RouterWorld();
    world.router.setOwners([world.take('there')]);
    await sendAll(world, ['c0']);
    world.deliveries = [lost];
    const first = sendAll(world, ['c1'], 0);
    await world.time.advance(10);
    const second = sendAll(world, ['c2'], 0);
    await world.time.advance(500);
    expect([...(await first), ...(await second)]).to.deep.equal(['done', 'done']);
    expect(world.effects).to.deep.equal(['c0', 'c1', 'c2']);
  });

  it('leaves accepted commands with their owner, although a later request was lost', async () => {
    const world = new RouterWorld(() => 500);
    world.router.setOwners([world.take('there')]);
    world.deliveries = [arrives, lost];
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

  it('admits a limited number of commands', async () => {
    const world = new RouterWorld();
    const waiting = ids(ADMISSION_LIMITS.commands).map((id) => world.send(id));
    expect(await world.send('one too many')).to.equal('overloaded');
    await world.time.advance(6000);
    await Promise.all(waiting);
    expect(world.router.depth).to.equal(0);
  });

  it('refuses unsent and new commands when it stops', async () => {
    const world = new RouterWorld();
    const outcomes = sendAll(world, ['c0'], 0);
    await world.time.advance(1);
    world.router.stop();
    await world.time.advance(1);
    expect(await outcomes).to.deep.equal(['overloaded']);
    expect(await world.send('c1')).to.equal('overloaded');
  });

  it('keeps every order and gives every answer, whatever owners and requests do', async () => {
    const node = fc.constantFrom('here', 'there', 'elsewhere');
    const passage: fc.Arbitrary<Delivery> = fc.record({
      fate: fc.oneof(
        { weight: 4, arbitrary: fc.constant('arrives' as const) },
        {
          weight: 3,
          arbitrary: fc.constantFrom<Delivery['fate']>(
            'request lost',
            'reply lost',
            'duplicated',
            'undelivered',
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
          const world = new RouterWorld(() => stepMs);
          world.deliveries = [...passages];
          world.router.setOwners([world.take('there')]);
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
              world.time.setTimer(() => world.router.setOwners([owner]), what.toldAfterMs);
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
          // One that was refused is done after later ones if it is sent again, by its caller or because the reply was lost.
          const kept = world.effects.filter((id) => !world.refused.has(id));
          const order = kept.map((id) => Number(id.slice(1)));
          expect(order).to.deep.equal(order.toSorted((a, b) => a - b));
          expect(world.router.depth).to.equal(0);
        },
      ),
      { numRuns: runs(200) },
    );
  });
});
