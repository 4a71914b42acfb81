import { expect } from 'chai';
import { notFound, overloaded, ParleyError, VaultUnavailable } from '../../src/base/errors.js';
import { completeAnswer } from '../../src/gateway/commandRunner.js';

const failing = (error: unknown): Promise<unknown> =>
  completeAnswer(() => Promise.reject(error)).catch((told: unknown) => told);

describe('the answer to a command that was done', () => {
  it('is what it needs to be', async () => {
    expect(await completeAnswer(async () => 'the room')).to.equal('the room');
  });

  it('is unknown where a store is away or behind: nothing-was-done would not be true', async () => {
    for (const error of [new VaultUnavailable('away'), overloaded('behind')]) {
      const told = await failing(error);
      expect(told).to.be.instanceOf(ParleyError).with.property('code', 'unknown');
      expect(told).to.have.property('cause', error);
    }
  });

  it('is any other error as it is', async () => {
    const error = notFound('there is no such user');
    expect(await failing(error)).to.equal(error);
  });
});
