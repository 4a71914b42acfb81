import type { NodeId } from './bus.js';
import type { Owners } from './ownership.js';

/**
 * The partitions that a node folds into these tables: its own, and those whose owner does not fold all of them, being
 * of another version. Several nodes may then fold one partition, which is harmless.
 */
export function listFoldedPartitions(node: NodeId, owners: Owners, tables: readonly string[]): number[] {
  return owners.flatMap((owner, partition) => {
    if (owner?.node === node) return [partition];
    // Of a node that is not seen to live nothing is known: its partitions go to another soon.
    const { capabilities = tables } = owner ?? {};
    return tables.every((table) => capabilities.includes(table)) ? [] : [partition];
  });
}

/**
 * The partitions that a node folds, and signs. One that stops keeps to its end what it has had, whoever takes it
 * over: so that all of it is folded and signed when nobody does, and nobody has to wait until it is.
 */
export class FoldAssignment {
  #owned: readonly number[] = [];
  #folded: readonly number[] = [];
  #isRetaining = false;

  constructor(
    private readonly node: NodeId,
    private readonly tables: readonly string[],
  ) {}

  /** Those to be folded: see `foldedBy`. */
  get folded(): readonly number[] {
    return this.#folded;
  }

  /** Those to be signed. */
  get owned(): readonly number[] {
    return this.#owned;
  }

  /** Who owns what has changed. */
  set(owners: Owners): void {
    const owned = owners.flatMap((owner, partition) => (owner?.node === this.node ? [partition] : []));
    this.#owned = this.#merge(this.#owned, owned);
    this.#folded = this.#merge(this.#folded, listFoldedPartitions(this.node, owners, this.tables));
  }

  /** The node stops. */
  retainAll(): void {
    this.#isRetaining = true;
  }

  #merge(before: readonly number[], now: readonly number[]): readonly number[] {
    return this.#isRetaining ? [...new Set([...before, ...now])] : now;
  }
}
