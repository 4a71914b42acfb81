import { expect } from 'chai';
import fc from 'fast-check';
import { runs } from '../support/lanes.js';
import { GRACE, PresenceWorld } from './presenceWorld.js';

const users = ['ann', 'bob'];

describe('presence across nodes', () => {
  it('is online while some node has an active device', async () => {
    const world = new PresenceWorld(2);
    const [a, b] = world.members;
    void a?.presence.setActive('ann', 1);
    void b?.presence.setActive('ann', 2);
    await world.time.advance(5000);
    void a?.presence.setInBackground('ann', 1);
    await world.time.advance(5000);
    expect(world.events.map(({ online }) => online)).deep.equal([true]);
    const last = world.time.now();
    void b?.presence.setInBackground('ann', 2);
    await world.time.advance(5000);
    expect(world.events.slice(1)).to.have.length(1);
    expect(world.events[1]).to.include({ online: false, lastSeen: last });
  });

  it('goes offline within 30 s of the death of the node, last seen at its last beat', async () => {
    const world = new PresenceWorld(2);
    const [a] = world.members;
    void a?.presence.setActive('ann', 1);
    await world.time.advance(60_000);
    if (a) world.crash(a);
    await world.time.advance(30_000);
    expect(world.events.map(({ online }) => online)).deep.equal([true, false]);
    expect(world.events[1]?.lastSeen).within(60_000 - 2500, 60_000);
    await world.time.advance(30_000);
    expect([...world.rows]).deep.equal([]);
    expect(world.forgotten).deep.equal(['n0']);
  });

  it('is nothing that anybody is told of, when they come back on another node within the grace time', async () => {
    const world = new PresenceWorld(2);
    const [a, b] = world.members;
    void a?.presence.setActive('ann', 1);
    await world.time.advance(60_000);
    if (a) world.crash(a);
    await world.time.advance(GRACE);
    void b?.presence.setActive('ann', 2);
    await world.time.advance(120_000);
    expect(world.events.map(({ online }) => online)).deep.equal([true]);
  });

  it('waits for a grace time after the whole system has started', async () => {
    const world = new PresenceWorld(1);
    void world.members[0]?.presence.setActive('ann', 1);
    await world.time.advance(5000);
    for (const member of world.members) world.crash(member);
    await world.time.advance(3_600_000);
    world.start();
    await world.time.advance(GRACE - 1);
    expect(world.isOnline('ann')).equal(true);
    await world.time.advance(5000);
    expect(world.isOnline('ann')).equal(false);
    expect(world.events[1]?.lastSeen).within(2500, 5000);
  });

  it('comes back to whom a node took offline while it was thought dead', async () => {
    const world = new PresenceWorld(2);
    const [a] = world.members;
    void a?.presence.setActive('ann', 1);
    if (a) a.isSilent = true;
    await world.time.advance(60_000);
    if (a) a.isSilent = false;
    await world.time.advance(10_000);
    expect(world.isOnline('ann')).equal(true);
    expect([...world.rows]).deep.equal(['ann/n0']);
  });

  it('is in the end what the devices are, whatever was lost and whoever died', async () => {
    const step = fc.record({
      kind: fc.constantFrom(
        'setActive',
        'setActive',
        'setInBackground',
        'loseConnection',
        'signOut',
        'mishap',
        'silence',
        'crash',
      ),
      node: fc.nat({ max: 3 }),
      user: fc.constantFrom(...users),
      device: fc.nat({ max: 1 }),
      mishap: fc.constantFrom('before' as const, 'after' as const),
      pause: fc.oneof(fc.nat({ max: 30 }), fc.nat({ max: 4000 }), fc.nat({ max: 40_000 })),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const world = new PresenceWorld(3);
        for (const { kind, node, user, device, mishap, pause } of steps) {
          const alive = world.members.filter(({ isAlive }) => isAlive);
          const member = alive[node % alive.length] ?? world.start();
          const name = `${member.name}/${user}/${device}`;
          if (kind === 'mishap') world.mishaps.push(mishap, mishap);
          else if (kind === 'silence') member.isSilent = !member.isSilent;
          else if (kind === 'crash') {
            world.crash(member);
            if (alive.length === 1) world.start();
          } else {
            if (kind === 'setActive') world.active.add(name);
            else world.active.delete(name);
            void member.presence[kind](user, name, name);
          }
          await world.time.advance(pause);
        }
        world.mishaps.length = 0;
        for (const member of world.members) member.isSilent = false;
        // A dead node's rows, and then what nobody had a row of: the sweep.
        await world.time.advance(400_000);
        for (const user of users) {
          const devices = [...world.active].filter((name) => name.split('/')[1] === user);
          expect(world.isOnline(user), `${user} is online`).equal(devices.length > 0);
        }
        // What a node wrote while the others had forgotten it, and then died, stays, and counts for nothing.
        const alive = world.members.filter(({ isAlive }) => isAlive).map(({ name }) => name);
        const rows = [...world.rows].filter((row) => alive.some((name) => row.endsWith(`/${name}`)));
        const active = [...world.active].map((name) => name.split('/').slice(0, 2).reverse().join('/'));
        expect(rows).to.have.members([...new Set(active)]);
      }),
      { numRuns: runs(300) },
    );
  });
});
