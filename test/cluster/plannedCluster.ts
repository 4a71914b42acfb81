import type { NodeId } from '../../src/cluster/bus.js';
import { planOwnership } from '../../src/cluster/ownership.js';

/** A node's view, which may be outdated. */
interface View {
  readonly living: readonly NodeId[];
  readonly holders: readonly (NodeId | undefined)[];
}

/** A cluster whose nodes carry out their plans step by step, in any order. */
export class PlannedCluster {
  /** By partition. */
  readonly holders: (NodeId | undefined)[];
  /** The longest-lived first. */
  living: NodeId[];
  handedOver = 0;
  acquired = 0;
  readonly #views = new Map<NodeId, View>();

  constructor(living: readonly NodeId[], holders: readonly (NodeId | undefined)[]) {
    this.living = [...living];
    this.holders = [...holders];
  }

  /** Updates the node's view, by which it then plans. */
  look(node: NodeId): void {
    this.#views.set(node, { living: [...this.living], holders: [...this.holders] });
  }

  /** Carries out the node's plan, or the first `most` steps of it. */
  act(node: NodeId, most = Number.POSITIVE_INFINITY): void {
    const view = this.#views.get(node);
    if (!view) return;
    const holders = this.#holdersFor(node, view);
    const { acquire, release } = planOwnership(node, view.living.map(liveNode), holders);
    for (const partition of release.slice(0, most)) {
      if (this.holders[partition] !== node) throw new Error(`${node} gives ${partition}, which it has not`);
      this.holders[partition] = undefined;
      this.handedOver++;
    }
    for (const partition of acquire.slice(0, most)) {
      if (holders[partition] !== undefined) throw new Error(`${node} takes ${partition} from its holder`);
      if (this.holders[partition] !== undefined) continue;
      this.holders[partition] = node;
      this.acquired++;
    }
  }

  /** Lets all nodes look and act, in this order, until no plan has a step. */
  settle(order: readonly NodeId[]): void {
    for (let round = 0; round < 10; round++) {
      const before = this.handedOver + this.acquired;
      for (const node of order) {
        this.look(node);
        this.act(node);
      }
      if (this.handedOver + this.acquired === before) return;
    }
    throw new Error('after ten rounds partitions still move');
  }

  /** Removes a node without a clean end: its leases expire. */
  die(node: NodeId): void {
    this.living = this.living.filter((each) => each !== node);
    this.holders.forEach((holder, partition) => {
      if (holder === node) this.holders[partition] = undefined;
    });
  }

  /** Counts the partitions of a node. */
  count(node: NodeId): number {
    return this.holders.filter((holder) => holder === node).length;
  }

  /** Corrects the view: a node always knows its own partitions. */
  #holdersFor(node: NodeId, view: View): (NodeId | undefined)[] {
    return view.holders.map((seen, partition) => {
      if (this.holders[partition] === node) return node;
      return seen === node ? undefined : seen;
    });
  }
}

/** Describes a live node. */
export const liveNode = (node: NodeId): { node: NodeId; silentMs: number } => ({ node, silentMs: 0 });
