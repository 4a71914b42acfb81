import type { NodeId } from '../bus/bus.js';
import { LEASE_MS } from './leases.js';
import type { Living } from './nodes.js';

/** What a node does next for partitions to be spread evenly. */
export interface Plan {
  /** Free ones that are this node's to take. */
  readonly acquire: readonly number[];
  /** Ones it holds that are another's: to be released, so that the other can take them. */
  readonly handOver: readonly number[];
}

/**
 * Every node plans for itself, from what it sees: `living` with the longest-lived first, itself among them unless it
 * is stopping, and by partition who holds it, where what it says of `me` is what this node really holds.
 *
 * How many partitions a node is due depends on its rank among the living alone: of P partitions and n nodes, the one
 * of rank i (0 has lived longest) is due ⌈(P − i) / n⌉. So nothing but a wrong idea of who lives makes a node move
 * more than it must, however old its view of the holders. When the youngest joins, nobody's due grows but its own, and
 * when one goes, nobody's shrinks: only what the newcomer gets, or the one that went had, moves.
 *
 * Nobody is told to take what another holds: that becomes free by its hand-over, or when its lease expires.
 */
export function plan(
  me: NodeId,
  living: readonly Pick<Living, 'node' | 'silentMs'>[],
  holders: readonly (NodeId | undefined)[],
): Plan {
  // After so long a silence its leases have expired too, though it is not yet taken for dead.
  const ranks = living.filter(({ silentMs }) => silentMs < LEASE_MS).map(({ node }) => node);
  const rank = ranks.indexOf(me);
  const mine = partitionsOf(me, holders);
  if (rank < 0) return { acquire: [], handOver: mine };
  const lacking = ranks.map((node, i) => due(i) - partitionsOf(node, holders).length);
  // The free ones are dealt out by rank, so that two nodes seldom go for the same one.
  const before = lacking.slice(0, rank).reduce((sum, lack) => sum + Math.max(0, lack), 0);
  const lack = lacking[rank] ?? 0;
  return {
    acquire: lack > 0 ? partitionsOf(undefined, holders).slice(before, before + lack) : [],
    handOver: lack < 0 ? mine.slice(lack) : [],
  };

  function due(rank: number): number {
    return Math.ceil((holders.length - rank) / ranks.length);
  }
}

/** The partitions of this holder, in order. */
const partitionsOf = (holder: NodeId | undefined, holders: readonly (NodeId | undefined)[]): number[] =>
  holders.flatMap((each, partition) => (each === holder ? [partition] : []));
