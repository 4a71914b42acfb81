import { randomBytes } from 'node:crypto';
import type { NodeId } from '../../src/cluster/bus.js';
import { BusSeal } from '../../src/cluster/busSeal.js';

/** The list of live nodes in the database of one log: nodes of one list trust each other. */
export class TrustedNodes {
  readonly #seals = new Map<NodeId, BusSeal>();

  constructor(
    readonly logId: string,
    readonly master: Uint8Array = randomBytes(32),
  ) {}

  /** The seal of a node that has not entered itself in the list. */
  stranger(node: NodeId, now?: () => number): BusSeal {
    return new BusSeal(node, this.master, this.logId, now);
  }

  /** The seal of a node that is in the list, which all of them have read. */
  seal(node: NodeId): BusSeal {
    const seal = this.stranger(node);
    this.list(node, seal);
    return seal;
  }

  /** A node enters itself in the list, which all then read. */
  list(node: NodeId, seal: BusSeal): void {
    this.#seals.set(node, seal);
    this.read();
  }

  /** All nodes read the list, or only this one does. */
  read(reader?: BusSeal): void {
    const live = [...this.#seals].map(([node, { credential }]) => ({ node, credential }));
    for (const seal of reader ? [reader] : this.#seals.values()) seal.trust(live);
  }
}
