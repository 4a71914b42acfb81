import { expect } from 'chai';
import fc from 'fast-check';
import pino from 'pino';
import { notFound } from '../../src/base/errors.js';
import { createMemoryDevices } from '../../src/cluster/nodes.js';
import { Presence } from '../../src/gateway/presence.js';
import { virtualTime } from '../support/virtualTime.js';

const GRACE = 10_000;

function setUp() {
  const time = virtualTime();
  const written: { online: boolean; at: number; lastSeen?: number }[] = [];
  let failing = 0;
  const presence = new Presence({
    write: async (_, lastSeen) => {
      if (failing-- > 0) throw new Error('the log is away');
      // As the decider: what changes nothing writes nothing.
      if ((written.at(-1)?.online ?? false) === (lastSeen === undefined))
        return { partition: 0, size: written.length };
      written.push({
        online: lastSeen === undefined,
        at: time.now(),
        ...(lastSeen ? { lastSeen: lastSeen.getTime() } : {}),
      });
      return { partition: 0, size: written.length };
    },
    devices: createMemoryDevices('here'),
    graceMs: GRACE,
    clock: time,
    logger: pino({ level: 'silent' }),
  });
  return { time, written, presence, failNext: (n: number) => (failing = n) };
}

describe('presence', () => {
  it('says nothing more of one who has been erased, and does not try', async () => {
    const time = virtualTime();
    let tries = 0;
    const presence = new Presence({
      write: async () => {
        tries++;
        throw notFound('this user has been erased');
      },
      devices: createMemoryDevices('here'),
      ...{ graceMs: GRACE, clock: time },
      logger: pino({ level: 'silent' }),
    });
    await presence.setActive('ann', 1);
    presence.loseConnection('ann', 1, 'phone');
    presence.endSession('phone');
    await time.advance(60_000);
    expect(tries).equal(1);
  });

  it('is online while at least one device is active', async () => {
    const { time, written, presence } = setUp();
    await presence.setActive('ann', 1);
    await presence.setActive('ann', 2);
    await time.advance(5000);
    await presence.setInBackground('ann', 1);
    await time.advance(5000);
    expect(written).deep.equal([{ online: true, at: 0 }]);
    await presence.setInBackground('ann', 2);
    expect(written).deep.equal([
      { online: true, at: 0 },
      { online: false, at: 10_000, lastSeen: 10_000 },
    ]);
  });

  it('counts a lost connection as active for the grace time, and was last seen when it was lost', async () => {
    const { time, written, presence } = setUp();
    await presence.setActive('ann', 1);
    await time.advance(3000);
    presence.loseConnection('ann', 1, 'phone');
    await time.advance(GRACE - 1);
    expect(written).length(1);
    await time.advance(1);
    expect(written[1]).deep.equal({ online: false, at: 3000 + GRACE, lastSeen: 3000 });
  });

  it('writes nothing for a reconnect within the grace time', async () => {
    const { time, written, presence } = setUp();
    await presence.setActive('ann', 1);
    await time.advance(3000);
    presence.loseConnection('ann', 1, 'phone');
    await time.advance(GRACE - 1);
    await presence.setActive('ann', 2);
    await time.advance(60_000);
    expect(written).length(1);
  });

  it('writes the first toggle at once, and later ones within 2 s as one at their end, if the state then differs', async () => {
    const { time, written, presence } = setUp();
    await presence.setActive('ann', 1);
    await time.advance(5000);
    await presence.setInBackground('ann', 1);
    await presence.setActive('ann', 1);
    await presence.setInBackground('ann', 1);
    await presence.setActive('ann', 1);
    expect(written.map(({ at }) => at)).deep.equal([0, 5000]);
    await time.advance(2000);
    expect(written.slice(2)).deep.equal([{ online: true, at: 7000 }]);
  });

  it('ends at once when a user signs out', async () => {
    const { time, written, presence } = setUp();
    await presence.setActive('ann', 1);
    await time.advance(100);
    presence.signOut('ann', 1);
    await time.advance(0);
    expect(written[1]).deep.equal({ online: false, at: 100, lastSeen: 100 });
  });

  it('goes offline at once when all lost devices have signed out', async () => {
    const { time, written, presence } = setUp();
    for (const device of [1, 2]) void presence.setActive('ann', device);
    await time.advance(3000);
    for (const device of [1, 2]) presence.loseConnection('ann', device, `sign-in ${device}`);
    await time.advance(100);
    presence.endSession('sign-in 1');
    presence.endSession('of somebody else');
    await time.advance(100);
    expect(written).length(1);
    presence.endSession('sign-in 2');
    await time.advance(0);
    expect(written[1]).deep.equal({ online: false, at: 3200, lastSeen: 3200 });
  });

  it('counts a lost device for the grace time, though another device signs out', async () => {
    const { time, written, presence } = setUp();
    for (const device of [1, 2]) void presence.setActive('ann', device);
    presence.loseConnection('ann', 1, 'sign-in 1');
    await time.advance(3000);
    presence.signOut('ann', 2);
    presence.endSession('sign-in 2');
    await time.advance(GRACE - 3001);
    expect(written).length(1);
    await time.advance(1);
    expect(written[1]).deep.equal({ online: false, at: GRACE, lastSeen: 3000 });
  });

  it('tries a write that failed again until the log agrees', async () => {
    const { time, written, presence, failNext } = setUp();
    failNext(3);
    await presence.setActive('ann', 1);
    expect(written).deep.equal([]);
    await time.advance(10_000);
    expect(written.map(({ online }) => online)).deep.equal([true]);
  });

  it('finally agrees with the devices, after any steps', async () => {
    const step = fc.tuple(
      fc.constantFrom('setActive', 'setInBackground', 'loseConnection', 'signOut', 'fail'),
      fc.nat({ max: 2 }),
      fc.nat({ max: 4000 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const { time, written, presence, failNext } = setUp();
        const active = new Set<number>();
        for (const [kind, device, pause] of steps) {
          if (kind === 'fail') failNext(2);
          else {
            void presence[kind]('ann', device, `sign-in ${device}`);
            if (kind === 'setActive') active.add(device);
            else active.delete(device);
          }
          await time.advance(pause);
        }
        await time.advance(60_000);
        expect(written.at(-1)?.online ?? false).equal(active.size > 0);
        for (const [i, { online }] of written.entries()) expect(online).equal(i % 2 === 0);
      }),
    );
  });
});
