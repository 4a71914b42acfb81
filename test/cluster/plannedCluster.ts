import type { NodeId } from '../../src/cluster/bus.js';
import { planOwnership } from '../../src/cluster/ownership.js';

/** What a node has seen: possibly long ago. */
interface View {
  readonly living: readonly NodeId[];
  readonly holders: readonly (NodeId | undefined)[];
}

/** A cluster in which nodes do what they plan, one step at a time, in whatever order they are told to. */
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

  /** The node sees what is so now; until it looks again, that is what it plans by. */
  look(node: NodeId): void {
    this.#views.set(node, { living: [...this.living], holders: [...this.holders] });
  }

  /** The node does what it plans now, or no more than the first so many things of it. */
  act(node: NodeId, most = Number.POSITIVE_INFINITY): void {
    const view = this.#views.get(node);
    if (!view) return;
    const holders = this.#holdersFor(node, view);
    const { acquire, release } = planOwnership(node, view.living.map(beating), holders);
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

  /** All nodes look and act, in this order, until none has anything left to do. */
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

  /** Without a word: its leases run out. */
  die(node: NodeId): void {
    this.living = this.living.filter((each) => each !== node);
    this.holders.forEach((holder, partition) => {
      if (holder === node) this.holders[partition] = undefined;
    });
  }

  /** How many partitions a node has. */
  count(node: NodeId): number {
    return this.holders.filter((holder) => holder === node).length;
  }

  /** What a node has itself it knows, however long ago it has looked. */
  #holdersFor(node: NodeId, view: View): (NodeId | undefined)[] {
    return view.holders.map((seen, partition) => {
      if (this.holders[partition] === node) return node;
      return seen === node ? undefined : seen;
    });
  }
}

/** As a node that lives is seen. */
export const beating = (node: NodeId): { node: NodeId; silentMs: number } => ({ node, silentMs: 0 });
