import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { appendLeaves, rootOf } from '../../src/log/merkle.js';

const hex = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');
const bytes = (text: string): string => Buffer.from(text, 'hex').toString('latin1');

// Reference vectors of RFC 6962 implementations. All bytes are below 0x80, so that they are valid text.
const leaves = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(bytes);
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const sha256 = (...parts: Buffer[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();

/** Follows the definition of RFC 6962, section 2.1, literally. */
function definition(entries: readonly string[]): Buffer {
  const [first] = entries;
  if (first === undefined) return sha256();
  if (entries.length === 1) return sha256(Buffer.from([0]), Buffer.from(first));
  let k = 1;
  while (k * 2 < entries.length) k *= 2;
  return sha256(Buffer.from([1]), definition(entries.slice(0, k)), definition(entries.slice(k)));
}

describe('the Merkle tree', () => {
  roots.forEach((root, size) => {
    it(`of the first ${size} reference leaves has the reference root`, () => {
      const tree = appendLeaves([], 0, leaves.slice(0, size));
      expect(hex(tree.root)).to.equal(root);
      expect(tree.size).to.equal(size);
    });
  });

  it('equals that of RFC 6962 however its leaves are batched', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 9 }), { maxLength: 9 }),
        (batches) => {
          let tree = appendLeaves([], 0, []);
          for (const batch of batches) tree = appendLeaves(tree.frontier, tree.size, batch);
          expect(tree.root).to.equal(definition(batches.flat()).toString('base64'));
        },
      ),
    );
  });

  it('has a root in its frontier for each one-bit of its size', () => {
    let tree = appendLeaves([], 0, []);
    for (let size = 1; size <= 70; size++) {
      tree = appendLeaves(tree.frontier, tree.size, [`leaf ${size}`]);
      expect(tree.frontier).to.have.length([...size.toString(2)].filter((bit) => bit === '1').length);
      expect(rootOf(tree.frontier)).to.equal(tree.root);
    }
  });

  it('does not change the frontier it is given', () => {
    const frontier = Object.freeze([...appendLeaves([], 0, ['a', 'b', 'c']).frontier]);
    expect(appendLeaves(frontier, 3, ['d']).root).to.equal(
      definition(['a', 'b', 'c', 'd']).toString('base64'),
    );
  });

  it('refuses a frontier that is too short for the size', () => {
    expect(() => appendLeaves([], 1, ['a'])).to.throw(RangeError);
  });
});
