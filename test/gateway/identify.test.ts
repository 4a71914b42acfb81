import { expect } from 'chai';
import { VaultUnavailable } from '../../src/base/errors.js';
import { type FakeClient, requestText, turn } from './fakeClient.js';
import { type Gate, GatewayWorld } from './gatewayWorld.js';

describe('identifying', () => {
  let world: GatewayWorld;
  let ann: Awaited<ReturnType<GatewayWorld['signUp']>>;
  let bob: typeof ann;
  beforeEach(async () => {
    world = new GatewayWorld();
    ann = await world.signUp('ann');
    bob = await world.signUp('bob');
  });
  afterEach(() => world.close());

  const errorsOf = ({ received }: FakeClient) =>
    received.map(({ id, error }) => `${id}: ${error?.code ?? 'ok'}`);

  it('is answered with the user and the cursor of the present; then the connection is live and active', async () => {
    world.fanout.vector = [3, 5];
    world.contacts.set('ann', ['bob']);
    const { connection, client } = world.connect();
    connection.receive(requestText('identity', { token: ann.token }, 1));
    await turn();
    const cursor = world.cursors.live([3, 5]);
    expect(client.received).deep.equal([
      { id: 1, event: 'identity', data: { user: world.users.get('ann'), cursor } },
    ]);
    expect(connection.session).deep.equal(ann.session);
    expect(connection.isListeningTo('room')).equal(true);
    expect(world.hub.connectionsOf('ann')).deep.equal([connection]);
    expect([...world.hub.relations.watchersOf('bob')]).deep.equal(['ann']);
    expect(world.presenceWritten).deep.equal(['ann online']);
    expect(world.replays).deep.equal([]);
    expect(connection.seenMoments()).deep.equal([
      { partition: 0, size: 3 },
      { partition: 1, size: 5 },
    ]);
  });

  it('takes the token of the upgrade where the frame has none, and that of the frame where it has one', async () => {
    const { connection: quiet } = world.connect(ann.session);
    quiet.receive(requestText('identity'));
    const { connection: other } = world.connect(ann.session);
    other.receive(requestText('identity', { token: bob.token }));
    await turn();
    expect([quiet.session?.userId, other.session?.userId]).deep.equal(['ann', 'bob']);
  });

  it('is refused without a token, with a wrong one or an expired one, and may be tried again', async () => {
    const past = { ...ann.session, expiresAt: new Date(Date.now() - 1).toISOString() };
    const { connection, client } = world.connect(past);
    connection.receive(requestText('identity', {}, 1));
    connection.receive(requestText('identity', { token: 'wrong' }, 2));
    connection.receive(requestText('identity', { token: 7 }, 3));
    connection.receive(requestText('identity', { token: ann.token }, 4));
    await turn();
    expect(errorsOf(client)).deep.equal([
      '1: unauthenticated',
      '2: unauthenticated',
      '3: bad_request',
      '4: ok',
    ]);
    expect(connection.session?.userId).equal('ann');
  });

  it('is refused for a user who has been erased', async () => {
    world.erase('ann');
    const { connection, client } = world.connect();
    connection.receive(requestText('identity', { token: ann.token }, 1));
    await turn();
    expect(errorsOf(client)).deep.equal(['1: unauthenticated']);
    expect([world.hub.connectionsOf('ann'), world.presenceWritten]).deep.equal([[], []]);
  });

  it('is a bad_request once it has succeeded, and changes nothing', async () => {
    const { connection, client } = await world.connectLive(ann.token);
    connection.receive(requestText('identity', { token: bob.token }, 1));
    await turn();
    expect(errorsOf(client)).deep.equal(['1: bad_request']);
    expect([connection.session?.userId, connection.isListeningTo('room')]).deep.equal(['ann', true]);
    expect(world.hub.connectionsOf('bob')).deep.equal([]);
  });

  it('sent twice at once succeeds once, and joins the connection once', async () => {
    const { connection, client } = world.connect();
    for (const [id, { token }] of [ann, bob].entries())
      connection.receive(requestText('identity', { token }, id));
    await turn();
    expect(errorsOf(client)).deep.equal(['0: ok', '1: bad_request']);
    expect(world.hub.connectionsOf('ann')).deep.equal([connection]);
    expect(world.hub.connectionsOf('bob')).deep.equal([]);
  });

  it('is to come first: other requests are refused before it, and those behind it wait for its answer', async () => {
    const { connection, client } = world.connect(ann.session);
    connection.receive(requestText('active app', {}, 1));
    connection.receive(requestText('no such event', {}, 2));
    world.gates.profile.close();
    connection.receive(requestText('identity', {}, 3));
    connection.receive(requestText('active app', {}, 4));
    await turn();
    expect(errorsOf(client)).deep.equal(['1: unauthenticated', '2: unauthenticated']);
    world.gates.profile.open();
    await turn();
    expect(errorsOf(client).slice(2)).deep.equal(['3: ok', '4: ok']);
  });

  describe('with a cursor', () => {
    it('repeats it, replays what lies behind it, and is live when that has ended', async () => {
      const since = world.cursors.live([0, 0]);
      world.fanout.vector = [4, 2];
      world.gates.replay.close();
      const { connection, client } = world.connect();
      connection.receive(requestText('identity', { token: ann.token, cursor: since }, 1));
      connection.receive(requestText('active app', {}, 2));
      await turn();
      expect(client.received[0]?.data).deep.equal({ user: world.users.get('ann'), cursor: since });
      expect(errorsOf(client), 'requests do not wait for the replay').deep.equal(['1: ok', '2: ok']);
      expect(world.replays).deep.equal([{ connection, user: 'ann', since: { kind: 'live', at: [0, 0] } }]);
      expect([connection.session?.userId, connection.isListeningTo('room')]).deep.equal(['ann', false]);
      expect(connection.seenMoments()).deep.equal([]);
      world.gates.replay.open();
      await turn();
      expect(connection.isListeningTo('room')).equal(true);
    });

    it('answers queries from at least its cursor: of a walk, from its end', async () => {
      world.fanout.vector = [4, 2];
      const walk = {
        kind: 'walk',
        from: [3, 0],
        to: [4, 2],
        partition: 0,
        key: 'room:r',
        offset: 3,
      } as const;
      const { connection } = world.connect();
      connection.receive(requestText('identity', { token: ann.token, cursor: world.cursors.write(walk) }));
      await turn();
      expect(connection.seenMoments()).deep.equal([
        { partition: 0, size: 4 },
        { partition: 1, size: 2 },
      ]);
    });

    it('is refused with one that is altered or ahead of the log, and may be tried again', async () => {
      const { connection, client } = world.connect();
      const cursors = ['altered', world.cursors.live([0, 9])];
      for (const [id, cursor] of cursors.entries())
        connection.receive(requestText('identity', { token: ann.token, cursor }, id));
      await turn();
      expect(errorsOf(client)).deep.equal(['0: bad_request', '1: bad_request']);
      expect([world.hub.connectionsOf('ann'), world.replays]).deep.equal([[], []]);
      connection.receive(requestText('identity', { token: ann.token }, 2));
      await turn();
      expect(connection.isListeningTo('room')).equal(true);
    });

    it('closes with 1012 when the history cannot be read: the client comes back with its last cursor', async () => {
      world.failures.replay = new Error('the read models are away');
      const { connection, client } = world.connect();
      connection.receive(
        requestText('identity', { token: ann.token, cursor: world.cursors.live([0, 0]) }, 1),
      );
      await turn();
      expect(errorsOf(client), 'its answer is written first').deep.equal(['1: ok']);
      expect(client.closed?.code).equal(1012);
      expect(world.logged.map(({ msg }) => msg)).include('a replay was interrupted');
    });
  });

  it('is overloaded while the contacts cannot be loaded, and may be tried again', async () => {
    world.failures.contacts = new VaultUnavailable('away');
    const { connection, client } = world.connect();
    connection.receive(requestText('identity', { token: ann.token }, 1));
    await turn();
    expect(errorsOf(client)).deep.equal(['1: overloaded']);
    expect([world.hub.connectionsOf('ann'), world.presenceWritten]).deep.equal([[], []]);
    world.failures = {};
    connection.receive(requestText('identity', { token: ann.token }, 2));
    await turn();
    expect(connection.isListeningTo('room')).equal(true);
  });

  describe('leaves nothing behind', () => {
    const steps: [string, (world: GatewayWorld) => Gate][] = [
      ['the session is looked up', ({ gates }) => gates.session],
      ['the user is loaded', ({ gates }) => gates.profile],
      ['the contacts are loaded', ({ gates }) => gates.contacts],
    ];

    /** Identifies up to the gate, does that, goes on, and looks that nobody is there. */
    async function endsWith(gate: Gate, end: (connected: ReturnType<GatewayWorld['connect']>) => unknown) {
      gate.close();
      const connected = world.connect();
      connected.connection.receive(requestText('identity', { token: ann.token }));
      await turn();
      expect(gate.isWaitedFor).equal(true);
      await end(connected);
      gate.open();
      await turn();
      expect([world.hub.connectionsOf('ann'), world.presenceWritten]).deep.equal([[], []]);
      expect(connected.client.writes).deep.equal([]);
      expect([connected.connection.isClosing, connected.connection.session]).deep.equal([true, undefined]);
      return connected.client;
    }

    for (const [step, gate] of steps) {
      it(`when the client goes while ${step}`, async () => {
        await endsWith(gate(world), ({ connection }) => world.connections.remove(connection));
        expect(world.connections.count).equal(0);
      });

      it(`when the 10 s are over while ${step}`, async () => {
        const client = await endsWith(gate(world), () => world.host.time.advance(10_000));
        expect(client.closed?.code).equal(4401);
      });
    }

    for (const [step, gate] of steps.slice(1)) {
      it(`when the session ends while ${step}`, async () => {
        const client = await endsWith(gate(world), () => world.sessions.revoke(ann.session.id));
        expect(client.closed).deep.equal({ code: 4401, reason: 'signed out' });
      });
    }
  });
});
