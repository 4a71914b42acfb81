import { expect } from 'chai';
import fc from 'fast-check';
import { inclusionPath, TileTree } from '../../src/log/merkle.js';
import { TileReader, type TileRow, tileKey } from '../../src/projections/models/merkleTiles.js';
import type { Model, Row, RowReader } from '../../src/projections/store/rowStore.js';
import { runs } from '../support/lanes.js';

/** One full tile of level 1, and the beginning of a second one. */
const SIZE = 256 * 256 + 3 * 256 + 17;

/** The tiles of two partitions with different leaves; `asked` gets the keys of each read. */
function tileRows(asked: (keys: readonly string[]) => void): Pick<RowReader, 'get'> {
  const values = new Map<string, TileRow>();
  for (const partition of [0, 1]) {
    const tree = new TileTree();
    for (let i = 0; i < SIZE; i++)
      for (const { level, index, hashes } of tree.add(`leaf ${i} of ${partition}`))
        values.set(tileKey(partition, level, index), { hashes: hashes.join(''), position: 1 });
    for (const { level, index, hashes } of tree.partialTiles())
      values.set(tileKey(partition, level, index), { hashes: hashes.join(''), position: 1 });
  }
  return {
    async get<R>(_: Model<R>, keys: readonly string[]) {
      asked(keys);
      const found = keys.flatMap((key): [string, Row<R>][] => {
        const value = values.get(key);
        // The only rows are tiles.
        return value ? [[key, { key, partition: 0, offset: 0, value: value as R }]] : [];
      });
      return new Map(found);
    },
  };
}

describe('the reader of tiles', () => {
  let asked: string[] = [];
  const rows = tileRows((keys) => asked.push(...keys));

  it('gives the same hashes however much it has read before', async () => {
    const reader = new TileReader(rows);
    const place = fc.record({
      partition: fc.constantFrom(0, 1),
      size: fc.oneof(fc.integer({ min: 1, max: SIZE }), fc.constantFrom(65_536, 65_537, SIZE)),
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(place, async ({ partition, size, at }) => {
        const path = inclusionPath(Math.floor(at * size), size);
        const fresh = await new TileReader(rows).hashes(partition, path);
        expect(await reader.hashes(partition, path)).to.deep.equal(fresh);
      }),
      { numRuns: runs(300) },
    );
  });

  it('does not read a full tile above the lowest level again for what it knows of it', async () => {
    const reader = new TileReader(rows);
    const path = inclusionPath(1000, SIZE);
    await reader.hashes(1, path);
    expect(asked).to.include.members(['1/0/3', '1/1/0', '1/1/1']);
    asked = [];
    await reader.hashes(1, path);
    expect(asked).to.include.members(['1/0/3', '1/1/1']);
    expect(asked).not.to.include('1/1/0');
  });
});
