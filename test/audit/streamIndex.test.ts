import { expect } from 'chai';
import { indexedBy } from '../../src/audit/events/streamCommits.js';
import { overloaded } from '../../src/base/errors.js';

describe('the index of streams, in a running system', () => {
  const progress = (reached: () => Promise<void>) => ({ reached, folded: () => 3 });

  it('is waited for', async () => {
    expect(await indexedBy(progress(async () => {}))(0, 7)).to.equal(7);
  });

  it('is used as far as it is, where it is behind for long', async () => {
    const behind = progress(() => Promise.reject(overloaded('not there yet')));
    expect(await indexedBy(behind)(0, 7)).to.equal(3);
  });

  it('is not taken to be behind when something else is wrong', async () => {
    const broken = progress(() => Promise.reject(new Error('broken')));
    const error = await Promise.resolve(indexedBy(broken)(0, 7)).catch((reason: unknown) => reason);
    expect(error).to.be.an('error').with.property('message', 'broken');
  });
});
