import { expect } from 'chai';
import fc from 'fast-check';
import type { NodeId } from '../../src/cluster/bus.js';
import { LEASE_MS } from '../../src/cluster/leases.js';
import { planOwnership } from '../../src/cluster/ownership.js';
import { liveNode, PlannedCluster } from './plannedCluster.js';

const nodes: readonly NodeId[] = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];

const living = fc.shuffledSubarray([...nodes], { minLength: 1 });
/** Held by a live or dead node, or by none. */
const holders = fc.array(fc.constantFrom(...nodes, undefined), { minLength: 1, maxLength: 64 });
const some = (...whats: string[]) =>
  fc.array(fc.record({ node: fc.constantFrom(...nodes), what: fc.constantFrom(...whats) }), {
    maxLength: 300,
  });
/** Which node looks, begins to act, or acts. */
const actions = some('look', 'begin', 'act');

/** Frees the partitions of dead nodes, and orders the live ones. */
function clusterOf(living: readonly NodeId[], holders: readonly (NodeId | undefined)[]): PlannedCluster {
  const cluster = new PlannedCluster(living, holders);
  for (const node of nodes) if (!living.includes(node)) cluster.die(node);
  return cluster;
}

function run(cluster: PlannedCluster, actions: readonly { node: NodeId; what: string }[]): void {
  for (const { node, what } of actions) {
    if (what === 'come or go') {
      const others = cluster.living.filter((each) => each !== node);
      cluster.living = others.length < cluster.living.length ? others : [...others, node];
    } else if (!cluster.living.includes(node)) continue;
    else if (what === 'look') cluster.look(node);
    else cluster.act(node, what === 'begin' ? 1 : undefined);
  }
}

function expectEven(cluster: PlannedCluster): void {
  const counts = cluster.living.map((node) => cluster.count(node));
  expect(Math.max(...counts) - Math.min(...counts)).to.be.at.most(1);
  expect(cluster.holders).to.not.include(undefined);
}

describe('the ownership plan', () => {
  it('ends with an even spread from any start, whatever nodes did on old views', () => {
    const turbulence = some('look', 'begin', 'act', 'act', 'come or go');
    const order = fc.shuffledSubarray([...nodes], { minLength: nodes.length });
    fc.assert(
      fc.property(living, holders, turbulence, order, (living, holders, actions, order) => {
        const cluster = clusterOf(living, holders);
        run(cluster, actions);
        cluster.settle(order);
        if (cluster.living.length > 0) expectEven(cluster);
      }),
    );
  });

  it('moves only the partitions that balance needs, whatever the old views', () => {
    fc.assert(
      fc.property(living, holders, actions, (living, holders, actions) => {
        const cluster = clusterOf(living, holders);
        const free = cluster.holders.filter((holder) => holder === undefined).length;
        const counts = new Map(living.map((node) => [node, cluster.count(node)]));
        run(cluster, actions);
        cluster.settle(living);
        const needed = living.reduce(
          (sum, node) => sum + Math.max(0, (counts.get(node) ?? 0) - cluster.count(node)),
          0,
        );
        expect(cluster.handedOver).to.equal(needed);
        expect(cluster.acquired).to.equal(needed + free);
      }),
    );
  });

  it('moves only its share to a joining node', () => {
    fc.assert(
      fc.property(living, holders, actions, (living, holders, actions) => {
        const cluster = clusterOf(living.slice(1), holders);
        if (cluster.living.length === 0) return;
        cluster.settle(cluster.living);
        const before = cluster.handedOver;
        cluster.living.push(...living.slice(0, 1));
        run(cluster, actions);
        cluster.settle(cluster.living);
        expectEven(cluster);
        expect(cluster.handedOver - before).to.equal(Math.floor(holders.length / cluster.living.length));
      }),
    );
  });

  it('moves only the partitions of a node that goes', () => {
    fc.assert(
      fc.property(
        living,
        holders,
        actions,
        fc.nat(),
        fc.boolean(),
        (living, holders, actions, which, dies) => {
          const cluster = clusterOf(living, holders);
          cluster.settle(living);
          const goes = living[which % living.length] ?? '';
          const [had, handedOver, acquired] = [cluster.count(goes), cluster.handedOver, cluster.acquired];
          if (dies) cluster.die(goes);
          else cluster.living = living.filter((node) => node !== goes);
          run(cluster, actions);
          cluster.settle([goes, ...cluster.living]);
          expect(cluster.count(goes)).to.equal(0);
          if (cluster.living.length === 0) return;
          expectEven(cluster);
          expect(cluster.handedOver - handedOver).to.equal(dies ? 0 : had);
          expect(cluster.acquired - acquired).to.equal(had);
        },
      ),
    );
  });

  it('lets a stopping node acquire nothing and release everything', () => {
    const planned = planOwnership('a', [liveNode('b')], ['a', undefined, 'b', 'a']);
    expect(planned).to.deep.equal({ acquire: [], release: [0, 3] });
  });

  it('ignores a node that was silent for a lease, although it does not count as dead', () => {
    const silent = (silentMs: number) =>
      planOwnership('a', [liveNode('a'), { node: 'b', silentMs }], ['a', undefined]);
    expect(silent(LEASE_MS - 1)).to.deep.equal({ acquire: [], release: [] });
    expect(silent(LEASE_MS)).to.deep.equal({ acquire: [1], release: [] });
  });

  it('sends two nodes to different free partitions', () => {
    const two = [liveNode('a'), liveNode('b')];
    const free = [undefined, undefined, undefined, undefined];
    expect(planOwnership('a', two, free).acquire).to.deep.equal([0, 1]);
    expect(planOwnership('b', two, free).acquire).to.deep.equal([2, 3]);
  });
});
