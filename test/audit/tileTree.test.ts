import { expect } from 'chai';
import fc from 'fast-check';
import {
  appendLeaves,
  entryBundle,
  leafHash,
  readEntryBundle,
  type Tile,
  TileTree,
  tileBytes,
  tilePath,
} from '../../src/log/merkle.js';
import { runs } from '../support/lanes.js';

const leavesOf = (size: number): string[] => Array.from({ length: size }, (_, i) => `{"n":${i}}`);

function grown(leaves: readonly string[]): { tree: TileTree; full: Tile[] } {
  const tree = new TileTree();
  const full = leaves.flatMap((leaf) => tree.add(leaf));
  return { tree, full };
}

describe('a tree in tiles', () => {
  it('has the root of the log’s tree at every size', () => {
    const leaves = leavesOf(1100);
    const tree = new TileTree();
    for (const [i, leaf] of leaves.entries()) {
      tree.add(leaf);
      if (i % 97 === 0 || (i + 1) % 256 < 2)
        expect(tree.root(), `of ${i + 1}`).to.equal(appendLeaves([], 0, leaves.slice(0, i + 1)).root);
    }
  });

  it('has in each tile the roots of the 256 nodes below each of its hashes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1500 }), (size) => {
        const leaves = leavesOf(size);
        const { tree, full } = grown(leaves);
        const tiles = [...full, ...tree.partialTiles()];
        const hashes = (level: number) =>
          tiles.filter((tile) => tile.level === level).flatMap((tile) => tile.hashes);
        expect(hashes(0)).to.deep.equal(leaves.map(leafHash));
        const roots = Array.from(
          { length: Math.floor(size / 256) },
          (_, i) => appendLeaves([], 0, leaves.slice(i * 256, (i + 1) * 256)).root,
        );
        expect(hashes(1)).to.deep.equal(roots);
        for (const tile of tiles) expect(tileBytes(tile)).to.have.length(32 * tile.hashes.length);
      }),
      { numRuns: runs(20) },
    );
  });

  it('lies in files as C2SP tlog-tiles names them', () => {
    expect(tilePath(0, 0, 256)).to.equal('0/000');
    expect(tilePath(1, 1234067, 256)).to.equal('1/x001/x234/067');
    expect(tilePath('entries', 5, 17)).to.equal('entries/005.p/17');
    expect(tilePath(0, 1000, 1)).to.equal('0/x001/000.p/1');
  });

  it('gives back the entries of a bundle as they were', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (leaves) => {
        expect(readEntryBundle(entryBundle(leaves))).to.deep.equal(leaves);
      }),
    );
    expect(() => readEntryBundle(Buffer.from([0, 3, 1, 2]))).to.throw(RangeError);
    expect(() => readEntryBundle(Buffer.from([0, 1, 0xff]))).to.throw(TypeError);
  });
});
