import { expect } from 'chai';
import { pino } from 'pino';
import { Closers, Retirement, type StopSignal, StopSignals } from '../../src/app/lifecycle.js';
import { rejection } from '../support/rejection.js';

describe('closers', () => {
  it('close one after the other, last opened first, each once', async () => {
    const closed: string[] = [];
    const closers = new Closers();
    for (const name of ['lock', 'log', 'gateway'])
      closers.add(async () => {
        await new Promise((resolve) => setImmediate(resolve));
        closed.push(name);
      });
    await closers.closeAll();
    await closers.closeAll();
    expect(closed).to.deep.equal(['gateway', 'log', 'lock']);
  });

  it('leave the rest open after a failure: the lock must not be released under a log that is open', async () => {
    const closed: string[] = [];
    const failure = new Error('the disk is on fire');
    const closers = new Closers();
    closers.add(() => closed.push('lock'));
    closers.add(() => Promise.reject(failure));
    closers.add(() => closed.push('gateway'));
    expect(await rejection(closers.closeAll())).to.equal(failure);
    expect(closed).to.deep.equal(['gateway']);
  });
});

describe('a fatal error of a node', () => {
  const newer = Object.assign(new Error('unknown event type'), { name: 'UnknownEventType' });

  function retirement(): { retirement: Retirement; failures: unknown[]; logged: string[] } {
    const failures: unknown[] = [];
    const logged: string[] = [];
    const logger = pino({}, { write: (line: string) => void logged.push(line) });
    return { retirement: new Retirement(logger, (error) => failures.push(error)), failures, logged };
  }

  it('ends the process', () => {
    const { retirement: node, failures } = retirement();
    const error = new Error('a defect');
    node.enable(async () => {});
    node.onFatal(error);
    expect(failures).to.deep.equal([error]);
    expect(node.isRetired).to.equal(false);
  });

  it('makes the node hand over, once, when it is an event of a newer version', () => {
    const { retirement: node, failures, logged } = retirement();
    let handedOver = 0;
    node.enable(async () => void handedOver++);
    node.onFatal(newer);
    node.onFatal(newer);
    expect([handedOver, node.isRetired, failures.length, logged.length]).to.deep.equal([1, true, 0, 1]);
    expect(logged[0]).to.contain('upgrade this node');
  });

  it('ends the process on such an event before the node can hand over, and when handing over fails', async () => {
    const { retirement: node, failures } = retirement();
    node.onFatal(newer);
    expect(failures).to.deep.equal([newer]);
    const cause = new Error('no answer');
    node.enable(() => Promise.reject(cause));
    node.onFatal(newer);
    await new Promise((resolve) => setImmediate(resolve));
    expect(failures).to.deep.equal([newer, cause]);
  });
});

describe('signals to stop', () => {
  /** What each signal does: its name and when it comes, in ms. */
  const outcomes = (...signals: readonly (readonly [StopSignal, number])[]) => {
    let now = 0;
    const received = new StopSignals(() => now);
    return signals.map(([signal, at]) => {
      now = at;
      return received.receive(signal);
    });
  };

  it('count as one when the same comes again within 2 s; later it ends the process at once', () => {
    expect(outcomes(['SIGTERM', 100], ['SIGTERM', 100], ['SIGTERM', 2099], ['SIGTERM', 2100])).to.deep.equal([
      'stop',
      'repeat',
      'repeat',
      'exit',
    ]);
  });

  it('count as one when a closed terminal sends SIGHUP beside them', () => {
    expect(outcomes(['SIGHUP', 0], ['SIGTERM', 1], ['SIGHUP', 2])).to.deep.equal([
      'stop',
      'repeat',
      'repeat',
    ]);
  });

  it('end the process at once when another one comes', () => {
    expect(outcomes(['SIGINT', 0], ['SIGTERM', 1])).to.deep.equal(['stop', 'exit']);
  });
});
