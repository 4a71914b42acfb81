import type { EventLog, Hash } from '../log/log.js';
import { TILE } from '../log/merkle.js';
import { consistencyPath, inclusionPath, stretchOf } from '../log/proof.js';
import { hashesOf } from '../projections/tiles/model.js';
import { type Between, commitsBetween, lastOf } from './commits.js';
import type { TreeReader } from './treeReader.js';

/**
 * Reads what proofs are made of: the leaves, and the tree over them. What is asked for must be in the log, and folded;
 * all of it throws `RangeError` if not.
 */
export interface Evidence {
  /** The leaf at `offset`, and the hashes that prove it to be in the tree of `size` leaves; `upTo`: of a commit not before it. */
  inclusion(partition: number, offset: number, size: number, upTo: number): Promise<Included>;
  /** What proves that the tree of `size` leaves extends the one of its first `from`. */
  consistency(partition: number, from: number, size: number): Promise<Hash[]>;
  /** The root of the first `size` leaves, of which there is one at least. */
  root(partition: number, size: number): Promise<Hash>;
  /** The hashes of a tile, as far as it is filled. */
  tile(partition: number, level: number, index: number): Promise<Hash[]>;
  /** The first `width` leaves of the lowest tile of this index; `upTo`: of a commit not before them. */
  leaves(partition: number, index: number, width: number, upTo: number): Promise<string[]>;
}

/** What an inclusion proof is made of. */
export interface Included {
  readonly leaf: string;
  /** RFC 6962, from the bottom up. */
  readonly hashes: readonly Hash[];
}

/** Evidence from a log and the tiles that are folded from it. */
export function evidenceOf(log: Pick<EventLog, 'read' | 'places'>, tree: TreeReader): Evidence {
  return new StoredEvidence(log, tree);
}

class StoredEvidence implements Evidence {
  constructor(
    private readonly log: Pick<EventLog, 'read' | 'places'>,
    private readonly tree: TreeReader,
  ) {}

  async inclusion(partition: number, offset: number, size: number, upTo: number): Promise<Included> {
    // The leaf takes more steps: hashing goes on while it waits.
    const [leaf, hashes] = await Promise.all([
      this.#leaf(partition, offset, upTo),
      this.tree.hashes(partition, inclusionPath(offset, size)),
    ]);
    return { leaf, hashes };
  }

  consistency(partition: number, from: number, size: number): Promise<Hash[]> {
    return this.tree.hashes(partition, consistencyPath(from, size));
  }

  async root(partition: number, size: number): Promise<Hash> {
    const [root] = await this.tree.hashes(partition, [stretchOf(0, size)]);
    if (root === undefined) throw new RangeError('one stretch has one hash');
    return root;
  }

  async tile(partition: number, level: number, index: number): Promise<Hash[]> {
    const [tile] = await this.tree.tiles(partition, level, [index]);
    return tile ? hashesOf(tile) : [];
  }

  async leaves(partition: number, index: number, width: number, upTo: number): Promise<string[]> {
    const begin = index * TILE;
    const leaves: string[] = [];
    const between = await this.#commitsOf(partition, index, upTo);
    for await (const { firstOffset, leaves: texts } of commitsBetween(this.log, between))
      leaves.push(...texts.slice(Math.max(0, begin - firstOffset), Math.max(0, begin + width - firstOffset)));
    if (leaves.length < width) throw new RangeError(`partition ${partition} has not ${begin + width} events`);
    return leaves;
  }

  async #leaf(partition: number, offset: number, upTo: number): Promise<string> {
    const between = await this.#commitsOf(partition, Math.floor(offset / TILE), upTo);
    const position = await lastOf(this.log, between, ({ firstOffset }) => firstOffset <= offset);
    const [commit] = await this.log.read(partition, position - 1, 1);
    const leaf = commit?.leaves[offset - commit.firstOffset];
    if (leaf === undefined) throw new RangeError(`partition ${partition} has no event ${offset}`);
    return leaf;
  }

  /** Where the leaves of a tile are: the next one's first may be in the same commit as its last. */
  async #commitsOf(partition: number, index: number, upTo: number): Promise<Between> {
    const [tile, next] = await this.tree.tiles(partition, 0, [index, index + 1]);
    return { partition, after: (tile?.position ?? 1) - 1, upTo: next?.position ?? upTo };
  }
}
