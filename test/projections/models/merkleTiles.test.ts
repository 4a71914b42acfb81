import { expect } from 'chai';
import { encodeEvent } from '../../../src/domain/codec.js';
import { emptyHead } from '../../../src/log/commit.js';
import { appendHashes, leafHash, TileTree, tileBytes } from '../../../src/log/merkle.js';
import { decodeCommit } from '../../../src/projections/commitBuffer.js';
import {
  hashesOf,
  type TileRow,
  tileKey,
  tilesProjection,
} from '../../../src/projections/models/merkleTiles.js';
import { foldEvents, type Rows } from '../../../src/projections/projection.js';

const user = '00000000-0000-4000-8000-000000000001';

/** A leaf that differs from all others. */
const leaf = (version: number): string =>
  encodeEvent({
    stream: `user:${user}`,
    version,
    type: 'UserWentOnline',
    data: { userId: user },
    actor: user,
    recordedAt: '2026-01-01T00:00:00.000Z',
    commandId: user,
  });

describe('the read model of tiles', () => {
  it('is the Merkle tree of the log, three levels of it, whatever the batches, and read again after a crash', () => {
    const tree = new TileTree();
    let { frontier }: { frontier: readonly string[] } = emptyHead(3);
    const expected = new Map<string, Buffer>();
    const rows: Rows = new Map();
    const size = 256 * 256 + 300;
    for (let first = 0, position = 1; first < size; position++) {
      const leaves = Array.from({ length: Math.min(1 + ((first * 7) % 700), size - first) }, (_, i) =>
        leaf(first + i),
      );
      for (const text of leaves)
        for (const tile of tree.add(text)) expected.set(tileKey(3, tile.level, tile.index), tileBytes(tile));
      const commit = {
        partition: 3,
        position,
        firstOffset: first,
        size: first + leaves.length,
        recordedAt: '',
        leaves,
      };
      const leafHashes = leaves.map(leafHash);
      const grown = appendHashes(frontier, first, leafHashes);
      frontier = grown.frontier;
      // Some hashes are known, others are not.
      const { events } = decodeCommit(
        position % 2 === 0 ? commit : { ...commit, leafHashes, filled: grown.filled },
      );
      const before = new Map(rows);
      foldEvents(tilesProjection, events, (key) => before.get(key), rows);
      // Hashes that the store holds already must not be added twice.
      if (position % 5 === 0) foldEvents(tilesProjection, events, (key) => rows.get(key), rows);
      first += leaves.length;
    }
    for (const tile of tree.partialTiles()) expected.set(tileKey(3, tile.level, tile.index), tileBytes(tile));
    const found = [...rows.values()].map(({ key, value }): [string, Buffer] => {
      const { hashes } = value as TileRow; // of this projection
      return [key, Buffer.concat(hashesOf({ hashes }).map((hash) => Buffer.from(hash, 'base64')))];
    });
    expect(new Map(found)).to.deep.equal(expected);
    expect([...rows.keys()]).to.include.members(['3/2/0', '3/1/1', '3/0/257']);
  });

  it('tells the commit of a tile’s first leaf', () => {
    const rows: Rows = new Map();
    for (let position = 1; position <= 300; position++) {
      const commit = {
        partition: 0,
        position,
        firstOffset: position - 1,
        size: position,
        recordedAt: '',
        leaves: [leaf(position)],
      };
      foldEvents(tilesProjection, decodeCommit(commit).events, () => undefined, rows);
    }
    expect(rows.get('0/0/0')?.value).to.have.property('position', 1);
    expect(rows.get('0/0/1')?.value).to.have.property('position', 257);
  });

  it('knows which rows no later event changes: the full ones', () => {
    const size = 256 * 256 + 1;
    const leaves = Array.from({ length: size }, (_, i) => leaf(i));
    const commit = { partition: 0, position: 1, firstOffset: 0, size, recordedAt: '', leaves };
    const rows: Rows = new Map();
    foldEvents(tilesProjection, decodeCommit(commit).events, () => undefined, rows);
    const unfinished = [...rows.values()].filter(
      // of this projection
      ({ value }) => !tilesProjection.isRarelyChanged?.(value as TileRow),
    );
    expect(unfinished.map(({ key }) => key)).to.have.members(['0/0/256', '0/2/0']);
  });
});
