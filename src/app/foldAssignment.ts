import type { NodeId } from '../cluster/bus.js';
import type { Owners } from '../cluster/ownership.js';

/**
 * Returns the partitions that this node folds into the tables. These are its own, and those whose owner is of
 * another version and does not fold all tables. Two nodes may fold one partition, which is harmless.
 */
export function listFoldedPartitions(node: NodeId, owners: Owners, tables: readonly string[]): number[] {
  return owners.flatMap((owner, partition) => {
    if (owner?.node === node) return [partition];
    // Nothing is known of a node not seen live. Another node will own its partitions soon.
    const { capabilities = tables } = owner ?? {};
    return tables.every((table) => capabilities.includes(table)) ? [] : [partition];
  });
}

/**
 * The partitions that a node folds and signs. A stopping node keeps its partitions even if others take them
 * over. So everything gets folded and signed even when no other node takes over, without waiting for one.
 */
export class FoldAssignment {
  #owned: readonly number[] = [];
  #folded: readonly number[] = [];
  #isRetaining = false;

  constructor(
    private readonly node: NodeId,
    private readonly tables: readonly string[],
  ) {}

  /** The partitions to fold: see `listFoldedPartitions`. */
  get folded(): readonly number[] {
    return this.#folded;
  }

  /** The partitions to sign. */
  get owned(): readonly number[] {
    return this.#owned;
  }

  /** Updates the assignment after owners changed. */
  setOwners(owners: Owners): void {
    const owned = owners.flatMap((owner, partition) => (owner?.node === this.node ? [partition] : []));
    this.#owned = this.#merge(this.#owned, owned);
    this.#folded = this.#merge(this.#folded, listFoldedPartitions(this.node, owners, this.tables));
  }

  /** Keeps the present partitions from now on. Called when the node stops. */
  retainAll(): void {
    this.#isRetaining = true;
  }

  #merge(before: readonly number[], now: readonly number[]): readonly number[] {
    return this.#isRetaining ? [...new Set([...before, ...now])] : now;
  }
}
