import { expect } from 'chai';
import fc from 'fast-check';
import type { Hash } from '../../src/log/log.js';
import {
  appendLeaves,
  consistencyPath,
  inclusionPath,
  leafHash,
  type NodeSpan,
  nodeHash,
  spanHash,
  spanOf,
} from '../../src/log/merkle.js';

const hex = (hash: Hash): string => Buffer.from(hash, 'base64').toString('hex');

/** The eight leaves of Certificate Transparency's test vectors, which hash as in RFC 6962. */
const leaves = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const vectors = leaves.map((text) => Buffer.from(text, 'hex').toString('latin1'));

/** Computes a tree's root as defined in RFC 6962, section 2.1. */
function treeHash(of: readonly string[]): Hash {
  const [first = ''] = of;
  if (of.length < 2) return of.length === 0 ? appendLeaves([], 0, []).root : leafHash(first);
  let split = 1;
  while (split * 2 < of.length) split *= 2;
  return nodeHash(treeHash(of.slice(0, split)), treeHash(of.slice(split)));
}

const hashesOf = (path: readonly NodeSpan[], of: readonly string[]): Hash[] =>
  path.map((stretch) =>
    spanHash(stretch, ({ level, index }) => treeHash(of.slice(index * 2 ** level, (index + 1) * 2 ** level))),
  );

/** Computes the root that an inclusion proof leads to (RFC 9162, section 2.1.3.2). */
function rootFrom(leaf: string, offset: number, size: number, proof: readonly Hash[]): Hash | undefined {
  let [at, last, root] = [offset, size - 1, leafHash(leaf)];
  for (const hash of proof) {
    if (last === 0) return undefined;
    if (at % 2 === 1 || at === last) {
      root = nodeHash(hash, root);
      while (at % 2 === 0 && at > 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else root = nodeHash(root, hash);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 ? root : undefined;
}

/**
 * Computes the two roots that a consistency proof leads to (RFC 9162, section 2.1.4.2). `from` must be below
 * `size`.
 */
function rootsFrom(from: number, size: number, old: Hash, proof: readonly Hash[]): [Hash, Hash] | undefined {
  const isPower = Number.isInteger(Math.log2(from));
  const [first, ...rest] = isPower ? [old, ...proof] : proof;
  if (first === undefined) return undefined;
  let [at, last] = [from - 1, size - 1];
  while (at % 2 === 1) [at, last] = [(at - 1) / 2, Math.floor(last / 2)];
  let [before, after] = [first, first];
  for (const hash of rest) {
    if (last === 0) return undefined;
    if (at % 2 === 1 || at === last) {
      [before, after] = [nodeHash(hash, before), nodeHash(hash, after)];
      while (at % 2 === 0 && at > 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else after = nodeHash(after, hash);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 ? [before, after] : undefined;
}

describe('a Merkle proof', () => {
  it('of inclusion equals the published test vectors', () => {
    const proof = hashesOf(inclusionPath(2, 3), vectors).map(hex);
    expect(proof).to.deep.equal(['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']);
    expect(hashesOf(inclusionPath(0, 8), vectors).map(hex)).to.deep.equal([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(hashesOf(inclusionPath(0, 1), vectors)).to.deep.equal([]);
  });

  it('of consistency equals the published test vectors', () => {
    expect(hashesOf(consistencyPath(1, 8), vectors).map(hex)).to.deep.equal([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(hashesOf(consistencyPath(6, 8), vectors).map(hex)).to.deep.equal([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    expect(consistencyPath(4, 4)).to.deep.equal([]);
  });

  it('leads from each leaf to the root, and from each size to each larger one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 3 }), { minLength: 1, maxLength: 70 }),
        fc.nat(),
        (of, at) => {
          const [size, offset] = [of.length, at % of.length];
          const root = treeHash(of);
          expect(
            spanHash(spanOf(0, size), ({ level, index }) =>
              treeHash(of.slice(index * 2 ** level, (index + 1) * 2 ** level)),
            ),
          ).to.equal(root);
          const inclusion = hashesOf(inclusionPath(offset, size), of);
          expect(rootFrom(of[offset] ?? '', offset, size, inclusion)).to.equal(root);
          const from = offset + 1;
          if (from === size) return;
          const old = treeHash(of.slice(0, from));
          expect(rootsFrom(from, size, old, hashesOf(consistencyPath(from, size), of))).to.deep.equal([
            old,
            root,
          ]);
        },
      ),
    );
  });

  it('does not exist for a leaf or size outside the tree', () => {
    for (const [offset, size] of [
      [3, 3],
      [-1, 3],
      [0, 0],
    ] as const)
      expect(() => inclusionPath(offset, size)).to.throw(RangeError);
    for (const [from, size] of [
      [4, 3],
      [0, 3],
    ] as const)
      expect(() => consistencyPath(from, size)).to.throw(RangeError);
  });
});
