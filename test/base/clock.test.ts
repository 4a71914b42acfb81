import { mock } from 'node:test';
import { expect } from 'chai';
import { afterTimeout } from '../../packages/client/src/options.js';
import { systemClock, systemTimer } from '../../src/base/clock.js';

const DAY_MS = 86_400_000;

/** A timer that is set within a step begins at the step's end, so that a step must not pass the end of a timer. */
function advance(ms: number): void {
  for (let left = ms; left > 0; left -= 2 ** 31 - 1) mock.timers.tick(Math.min(left, 2 ** 31 - 1));
}

describe('a timer of the system', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  for (const [name, start] of [
    ['systemTimer', systemTimer],
    ['systemClock', systemClock.setTimer],
    ['that of the client', (run: () => void, ms: number) => afterTimeout(ms, run)],
  ] as const)
    for (const days of [1, 24, 25, 30, 3650])
      it(`of ${days} days is called once, when they are over: ${name}`, () => {
        let calls = 0;
        start(() => calls++, days * DAY_MS);
        advance(days * DAY_MS - 1);
        expect(calls).to.equal(0);
        mock.timers.tick(1);
        expect(calls).to.equal(1);
        advance(60 * DAY_MS);
        expect(calls).to.equal(1);
      });

  it('can be canceled at any time', () => {
    let calls = 0;
    const cancel = systemTimer(() => calls++, 60 * DAY_MS);
    advance(50 * DAY_MS);
    cancel();
    advance(60 * DAY_MS);
    expect(calls).to.equal(0);
  });

  it('of 30 days is not called before one of 1 ms that was set after it: Node’s own timers', async () => {
    mock.timers.reset();
    let calls = 0;
    const cancel = systemTimer(() => calls++, 30 * DAY_MS);
    await new Promise<void>((resolve) => systemTimer(resolve, 1));
    expect(calls).to.equal(0);
    cancel();
  });
});
