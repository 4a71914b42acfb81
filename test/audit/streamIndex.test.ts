import { expect } from 'chai';
import { indexedSize } from '../../src/audit/events/eventFilter.js';
import { overloaded } from '../../src/base/errors.js';

describe('the index of streams, in a running system', () => {
  const progress = (waitFor: () => Promise<void>) => ({ waitFor, folded: () => 3 });

  it('is waited for', async () => {
    expect(await indexedSize(progress(async () => {}))(0, 7)).to.equal(7);
  });

  it('is used as far as it is, where it is behind for long', async () => {
    const behind = progress(() => Promise.reject(overloaded('not there yet')));
    expect(await indexedSize(behind)(0, 7)).to.equal(3);
  });

  it('is not taken to be behind when something else is wrong', async () => {
    const broken = progress(() => Promise.reject(new Error('broken')));
    const error = await Promise.resolve(indexedSize(broken)(0, 7)).catch((reason: unknown) => reason);
    expect(error).to.be.an('error').with.property('message', 'broken');
  });
});
