import type { NodeId } from '../bus/bus.js';
import type { Owners } from './ownership.js';

/**
 * The partitions that a node folds into these tables: its own, and those whose owner does not fold all of them, being
 * of another version. Several nodes may then fold one partition, which is harmless.
 */
export function foldedBy(node: NodeId, owners: Owners, tables: readonly string[]): number[] {
  return owners.flatMap((owner, partition) => {
    if (owner?.node === node) return [partition];
    // Of a node that is not seen to live nothing is known: its partitions go to another soon.
    const { knows = tables } = owner ?? {};
    return tables.every((table) => knows.includes(table)) ? [] : [partition];
  });
}
