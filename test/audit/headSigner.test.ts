import { expect } from 'chai';
import { HeadSigner } from '../../src/audit/proof/heads.js';
import type { SignedHead } from '../../src/vault/vault.js';

const head = (partition: number, size: number): SignedHead => ({
  partition,
  size,
  position: 1,
  hash: 'AA==',
  root: '',
  note: '',
});

describe('the signer of heads', () => {
  it('signs at a stop what has come since, of each partition that is its own, and nothing that has not grown', async () => {
    const sizes = [3, 0, 5, 7];
    const signed: [number, number][] = [];
    const reports: string[] = [];
    const signer = new HeadSigner({
      heads: {
        async advance(partition) {
          const size = sizes[partition] ?? 0;
          signed.push([partition, size]);
          return head(partition, size);
        },
      },
      owned: () => [0, 1, 2],
      size: async (partition) => sizes[partition] ?? 0,
      report: (message) => reports.push(message),
    });
    signer.start();
    sizes[0] = 4;
    await signer.stop(60_000);
    expect(signed).to.deep.equal([
      [0, 4],
      [2, 5],
    ]);
    expect(reports).to.deep.equal([]);
  });

  it('does not hold a stop up: what cannot be signed in time is reported', async () => {
    const reports: string[] = [];
    const signer = new HeadSigner({
      heads: { advance: () => new Promise<SignedHead>(() => {}) },
      owned: () => [0],
      size: async () => 1,
      report: (message) => reports.push(message),
    });
    signer.start();
    await signer.stop(1);
    expect(reports).to.deep.equal(['the end of the log was not signed before the stop']);
  });
});
