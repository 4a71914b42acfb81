import { expect } from 'chai';
import { overloaded, ParleyError, VaultUnavailable } from '../../src/base/errors.js';
import { eventually } from '../support/eventually.js';
import { rejection } from '../support/rejection.js';
import { ErasureWorld, type Fault } from './world.js';

const done = {
  ...{ isErased: true, claim: 'erased', session: 'ended', key: 'destroyed' },
  ...{ rooms: 2, isEvicted: true, listed: 0 },
};
const untouched = {
  ...{ isErased: false, claim: 'kept', session: 'open', key: 'kept' },
  ...{ rooms: 0, isEvicted: false, listed: 0 },
};

describe('An erasure', () => {
  it('is done when it resolves', async () => {
    const world = await ErasureWorld.fresh();
    await world.erase(world.process());
    expect(await world.state()).to.deep.equal(done);
    expect(world.announced).to.deep.equal([world.session?.session.id]);
  });

  it('is finished by the next process wherever it was cut off, whether or not the last step was done', async () => {
    const whole = await ErasureWorld.fresh();
    await whole.erase(whole.process());
    const steps = whole.calls;
    expect(steps).to.be.above(8);
    for (let call = 0; call < steps; call++)
      for (const isDone of [false, true]) {
        const fault: Fault = { call, isDone, error: new VaultUnavailable('it is away') };
        const world = await ErasureWorld.fresh();
        const error = await rejection(world.erase(world.process(fault), 'a key'));
        expect(error, `step ${call}`).to.be.instanceOf(ParleyError).with.property('code', 'unknown');
        const next = world.process();
        next.start();
        await eventually(`it is finished after step ${call}`, async () => (await world.state()).listed === 0);
        next.stop();
        expect(await world.state(), `cut off at step ${call}, ${isDone ? 'done' : 'not done'}`).to.deep.equal(
          done,
        );
        expect([...world.vias], 'each command names the key that has asked').to.deep.equal(['a key']);
      }
  });

  it('that the log refuses has not happened, and nobody makes it happen later', async () => {
    const world = await ErasureWorld.fresh();
    const error = await rejection(
      world.erase(world.process({ call: 0, isDone: false, error: overloaded('the queue is full') })),
    );
    expect(error).to.be.instanceOf(ParleyError).with.property('code', 'overloaded');
    expect(await world.state()).to.deep.equal(untouched);
  });

  it('that is overloaded later has happened, and is never told as one that has not', async () => {
    const world = await ErasureWorld.fresh();
    const error = await rejection(
      world.erase(world.process({ call: 5, isDone: false, error: overloaded('the read models are behind') })),
    );
    expect(error).to.be.instanceOf(ParleyError).with.property('code', 'unknown');
    expect((await world.state()).listed).to.equal(1);
  });

  it('that is asked for twice at once is one', async () => {
    const world = await ErasureWorld.fresh();
    const erasures = world.process();
    await Promise.all([world.erase(erasures), world.erase(erasures)]);
    expect(await world.state()).to.deep.equal(done);
  });
});
