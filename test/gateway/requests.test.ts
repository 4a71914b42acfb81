import { expect } from 'chai';
import fc from 'fast-check';
import { forbidden, notFound, outcomeUnknown, overloaded, VaultUnavailable } from '../../src/base/errors.js';
import { UserLimits } from '../../src/base/rateLimits.js';
import type { Connection } from '../../src/gateway/connection.js';
import type { Session } from '../../src/vault/vault.js';
import { runs } from '../support/lanes.js';
import { type FakeClient, requestText, sessionOf, turn } from './fakeClient.js';
import { GatewayWorld } from './gatewayWorld.js';

const roomId = '00000000-0000-4000-8000-00000000000a';

describe('requests', () => {
  let world: GatewayWorld;
  let connection: Connection;
  let client: FakeClient;
  beforeEach(async () => {
    world = new GatewayWorld();
    const { token } = await world.signUp('ann');
    ({ connection, client } = await world.connectLive(token));
    world.outcomes.length = 0;
  });
  afterEach(() => world.close());

  /** Why a request is refused. */
  async function refusal(event: string, data: unknown = {}) {
    client.writes.length = 0;
    connection.receive(requestText(event, data, 'r'));
    await turn();
    expect(client.received).to.have.length(1);
    expect(client.received[0]).to.include({ id: 'r', event });
    return client.received[0]?.error;
  }

  it('are served for the user of the session, with data as the contract has it', async () => {
    const served: unknown[] = [];
    world.serve = async (event, from, me, data) => {
      served.push([event, from === connection, me, data]);
      return { roomId };
    };
    connection.receive(requestText('leave room', { roomId: roomId.toUpperCase() }, 'x'));
    await turn();
    expect(served).deep.equal([['leave room', true, 'ann', { roomId }]]);
    expect(client.received).deep.equal([{ id: 'x', event: 'leave room', data: { roomId } }]);
    expect(world.outcomes).deep.equal(['leave room: ok']);
  });

  it('are answered as each is done, whatever was sent before it', async () => {
    const ends = new Map<unknown, () => void>();
    world.serve = async (event) => {
      await new Promise<void>((resolve) => ends.set(event, resolve));
      return { done: event };
    };
    for (const [id, event] of ['active app', 'notify online', 'background app'].entries())
      connection.receive(requestText(event, {}, id));
    for (const event of ['background app', 'active app', 'notify online']) {
      ends.get(event)?.();
      await turn();
    }
    expect(client.received.map(({ id }) => id)).deep.equal([2, 0, 1]);
  });

  it('whose event there is none are a bad_request', async () => {
    for (const event of ['no such event', 'constructor', 'toString', '__proto__', ''])
      expect(await refusal(event), event).to.deep.include({
        code: 'bad_request',
        fields: [{ path: 'event', message: 'is not an event of this protocol' }],
      });
    expect(new Set(world.outcomes)).deep.equal(new Set(['other: bad_request']));
  });

  it('whose event is nearly one are told its name', async () => {
    for (const [event, meant] of [
      ['send mesage', 'send message'],
      ['sendMessage', 'send message'],
      ['edit_message', 'edit message'],
    ] as const)
      expect(await refusal(event), event).to.include({
        message: `there is no such event: did you mean "${meant}"?`,
      });
  });

  it('with an unknown field, or data that is none, are a bad_request and not served', async () => {
    let served = 0;
    world.serve = async () => served++;
    for (const data of [{ roomId, more: 1 }, {}, [], 7, null, { roomId: 'no id' }])
      expect(await refusal('leave room', data)).to.include({ code: 'bad_request' });
    expect(served).equal(0);
  });

  it('are refused with at most 20 fields and 16 KiB, and with at most 1 KiB more than they had', async () => {
    const names = fc.uniqueArray(fc.string({ unit: 'binary', maxLength: 40 }), { maxLength: 300 });
    const longName = fc.string({ unit: 'binary', minLength: 1000, maxLength: 30_000 });
    const keys = fc.oneof(names, fc.tuple(longName), fc.constant('many'));
    const many = Array.from({ length: 16_872 }, (_, i) => `${i}`);
    const event = fc.oneof(fc.constant('leave room'), fc.constant('fetch messages'), longName);
    await fc.assert(
      fc.asyncProperty(event, keys, async (event, drawn) => {
        const names = drawn === 'many' ? many : drawn;
        const text = requestText(event, Object.fromEntries([...names].map((key) => [key, 1])), 'r');
        client.writes.length = 0;
        connection.receive(text);
        await turn();
        const [told] = client.received;
        const answer = Buffer.byteLength(JSON.stringify(told));
        expect(told).to.include({ id: 'r' });
        expect(told?.error).to.include({ code: 'bad_request' });
        expect(told?.error?.fields).to.have.length.of.at.most(20);
        expect(answer).to.be.at.most(16 * 1024);
        expect(answer).to.be.at.most(Buffer.byteLength(text) + 1024);
      }),
      { numRuns: runs(100) },
    );
  });

  it('are refused with the first 20 of the fields that are wrong, and with how many more there are', async () => {
    const wrong = Array.from({ length: 30 }, (_, i) => `wrong field number ${i} `.repeat(10));
    const told = await refusal('active app', Object.fromEntries(wrong.map((name) => [name, 1])));
    expect(told?.fields?.map(({ path }) => path)).to.deep.equal(wrong.slice(0, 20));
    expect(told?.message).to.match(
      /^wrong field number 0 .* is not a field of this request \(and 29 more\)$/,
    );
  });

  it('are refused with the code that is thrown', async () => {
    const errors = [
      [forbidden('not yours'), 'forbidden'],
      [notFound('no such room'), 'not_found'],
      [overloaded('behind', 250.5), 'overloaded'],
      [outcomeUnknown('it may have happened', undefined), 'unknown'],
    ] as const;
    for (const [error, code] of errors) {
      world.serve = () => Promise.reject(error);
      const told = await refusal('active app');
      expect(told).to.include({ code, message: error.message });
      expect(told?.retryAfterMs).equal({ overloaded: 251, unknown: 1000 }[code as string]);
    }
    expect(world.outcomes).deep.equal(errors.map(([, code]) => `active app: ${code}`));
  });

  it('are overloaded while a store is away', async () => {
    world.serve = () => Promise.reject(new VaultUnavailable('away'));
    expect(await refusal('active app')).to.include({ code: 'overloaded', retryAfterMs: 1000 });
  });

  it('that fail here are internal: the log has the incident and the cause, the client no more than the incident', async () => {
    world.serve = () => Promise.reject(new TypeError('a secret'));
    const error = await refusal('active app');
    expect(error).to.include({ code: 'internal' });
    expect(JSON.stringify(error)).not.include('secret');
    const [logged] = world.logged.filter(({ msg }) => msg === 'a request failed');
    expect(logged?.incident).to.be.a('string').and.equal(error?.incident);
    expect(JSON.stringify(logged)).include('a secret');
    connection.receive(requestText('active app', {}, 'next'));
    expect(client.closed, 'the connection goes on').equal(undefined);
  });
});

describe('the connections of a node', () => {
  let world: GatewayWorld;
  beforeEach(() => {
    world = new GatewayWorld();
  });
  afterEach(() => world.close());

  it('close with 4401 when their session ends, in the middle of requests too, and no others do', async () => {
    const { token, session } = await world.signUp('ann');
    const other = await world.sessions.create('ann', new Date(), 1e9);
    const one = await world.connectLive(token);
    const two = await world.connectLive(token);
    const elsewhere = await world.connectLive(other.token);
    const atTheDoor = world.connect(session);
    let finish = () => {};
    world.serve = () => new Promise((resolve) => (finish = () => resolve({})));
    one.connection.receive(requestText('send message', { roomId: '' }, 1));
    one.connection.receive(requestText('active app', {}, 2));
    await turn();
    await world.sessions.revoke(session.id);
    finish();
    await turn();
    for (const { client } of [one, two, atTheDoor])
      expect(client.closed).deep.equal({ code: 4401, reason: 'signed out' });
    expect(
      one.client.received.map(({ id }) => id),
      'what was done is not answered',
    ).deep.equal([1]);
    expect(elsewhere.client.closed).equal(undefined);
    expect(world.host.closings).to.have.length(3);
  });

  it('end presence at once when the session ends, of a lost connection too', async () => {
    const { token, session } = await world.signUp('ann');
    const lost = await world.connectLive(token);
    const open = await world.connectLive(token);
    world.connections.remove(lost.connection);
    await world.sessions.revoke(session.id);
    await turn();
    expect(world.presenceWritten).deep.equal(['ann online', 'ann offline']);
    world.connections.remove(open.connection);
    await world.host.time.advance(60_000);
    expect(world.presenceWritten).deep.equal(['ann online', 'ann offline']);
  });

  it('are gone from their user when the socket is, and count as active for the grace time', async () => {
    const { token } = await world.signUp('ann');
    const { connection } = await world.connectLive(token);
    expect(world.connections.count).equal(1);
    world.connections.remove(connection);
    expect([world.connections.count, world.hub.connectionsOf('ann')]).deep.equal([0, []]);
    await world.host.time.advance(9999);
    expect(world.presenceWritten).deep.equal(['ann online']);
    await world.host.time.advance(1);
    expect(world.presenceWritten).deep.equal(['ann online', 'ann offline']);
  });

  it('are checked every 500 ms', async () => {
    await world.host.time.advance(250);
    const { client } = world.connect();
    await world.host.time.advance(10_249);
    expect(client.closed).equal(undefined);
    await world.host.time.advance(1);
    expect(client.closed?.code).equal(4401);
    expect(client.isTerminated).equal(false);
    await world.host.time.advance(5500);
    expect(client.isTerminated).equal(true);
  });

  describe('with limits', () => {
    const outcomesOf = ({ received }: FakeClient) => received.map(({ error }) => error?.code ?? 'ok');
    const ask = (connection: Connection) => connection.receive(requestText('active app'));
    beforeEach(() => {
      world.close();
      world = new GatewayWorld(new UserLimits({ rate: 1, burst: 3 }));
    });

    it('share the requests of their user, and no others', async () => {
      const [ann, bob] = [await world.signUp('ann'), await world.signUp('bob')];
      const one = await world.connectLive(ann.token);
      const two = await world.connectLive(ann.token);
      const other = await world.connectLive(bob.token);
      for (const { connection } of [one, two, one, two, other]) ask(connection);
      await turn();
      expect(outcomesOf(one.client)).deep.equal(['ok', 'ok']);
      expect(outcomesOf(two.client)).have.members(['ok', 'rate_limited']);
      expect(outcomesOf(other.client)).deep.equal(['ok']);
      for (const { connection } of [one, two]) world.connections.remove(connection);
      const again = await world.connectLive(ann.token);
      ask(again.connection);
      await turn();
      expect(outcomesOf(again.client), 'who comes back has no more').deep.equal(['rate_limited']);
      await world.host.time.advance(1000);
      ask(again.connection);
      await turn();
      expect(outcomesOf(again.client)).deep.equal(['rate_limited', 'ok']);
    });

    it('are at most 100 of a user: the next one is closed with 1008 when it identifies', async () => {
      const { token } = await world.signUp('ann');
      const other = await world.signUp('bob');
      const open = [];
      for (let n = 0; n < 100; n++) open.push(await world.connectLive(token));
      const next = world.connect();
      next.connection.receive(requestText('identity', { token }));
      await turn();
      expect(next.client.closed).deep.equal({ code: 1008, reason: 'too many connections of this user' });
      expect(next.client.received).deep.equal([]);
      expect(world.hub.connectionsOf('ann')).to.have.length(100);
      await world.connectLive(other.token);
      world.connections.remove(open[0]?.connection ?? expect.fail('it is open'));
      await world.connectLive(token);
    });

    it('are any number without a limit', async () => {
      world.close();
      world = new GatewayWorld();
      const { token } = await world.signUp('ann');
      for (let n = 0; n < 101; n++) await world.connectLive(token);
    });
  });

  describe('whose session expires', () => {
    const LIFE_MS = 3_600_000;
    let client: FakeClient;
    let token: string;
    let session: Session;
    const expired = { code: 4401, reason: 'the sign-in has ended' };
    beforeEach(async () => {
      ({ token, session } = await world.signUp('ann', LIFE_MS));
      ({ client } = await world.connectLive(token));
    });

    it('are closed with 4401 within a second, live or replaying', async () => {
      world.gates.replay.close();
      const replaying = world.connect();
      const cursor = world.cursors.live([0, 0]);
      replaying.connection.receive(requestText('identity', { token, cursor }));
      await turn();
      await world.host.time.advance(LIFE_MS - 1);
      expect([client.closed, replaying.client.closed]).deep.equal([undefined, undefined]);
      await world.host.time.advance(1000);
      expect([client.closed, replaying.client.closed]).deep.equal([expired, expired]);
      world.gates.replay.open();
    });

    it('are not closed by a step of the wall clock, forwards or back', async () => {
      const { time } = world.host;
      time.stepWall(2 * LIFE_MS);
      await time.advance(LIFE_MS / 2);
      expect(client.closed).equal(undefined);
      time.stepWall(-3 * LIFE_MS);
      await time.advance(LIFE_MS);
      expect(client.closed, 'its token is still good').equal(undefined);
      time.stepWall(LIFE_MS);
      await time.advance(1000);
      expect(client.closed).deep.equal(expired);
    });

    it('are not closed while the vault says that it ends later, or nothing', async () => {
      const { time } = world.host;
      const { findById } = world.sessions;
      const asked: string[] = [];
      world.sessions.findById = async (id) => {
        asked.push(id);
        if (asked.length === 1) throw new VaultUnavailable('away');
        return { ...session, expiresAt: new Date(time.wallNow().getTime() + LIFE_MS).toISOString() };
      };
      await time.advance(LIFE_MS + 2000);
      expect([asked, client.closed]).deep.equal([[session.id, session.id], undefined]);
      world.sessions.findById = findById;
      await time.advance(LIFE_MS + 2000);
      expect(client.closed).deep.equal(expired);
    });
  });

  it('are asked again after a stall of the server, and none is cut off for it', async () => {
    const { token } = await world.signUp('ann');
    const { client } = await world.connectLive(token);
    const { client: unknown } = world.connect();
    await world.host.time.advance(8000);
    world.host.time.stall(3_600_000);
    await world.host.time.advance(1000);
    expect([unknown.closed, client.pings], 'the stall does not count').deep.equal([undefined, 0]);
    await world.host.time.advance(1000);
    expect(unknown.closed?.code).equal(4401);
    await world.host.time.advance(20_000);
    expect(client.pings).equal(1);
    world.host.time.stall(3_600_000);
    await world.host.time.advance(500);
    expect([client.pings, client.isTerminated]).deep.equal([2, false]);
    await world.host.time.advance(29_000);
    expect(client.isTerminated).equal(false);
    await world.host.time.advance(1500);
    expect(client.isTerminated).equal(true);
  });

  it('tell how much they wait to be read together', async () => {
    const { token } = await world.signUp('ann');
    for (const bytes of [1000, 2000]) {
      const { connection, client } = await world.connectLive(token);
      client.isReading = false;
      connection.push(Buffer.alloc(bytes));
    }
    expect(world.connections.waitingBytes).equal(3000);
  });

  describe('at a stop', () => {
    it('read no more, answer what they have begun, and close with 1012', async () => {
      const { token } = await world.signUp('ann');
      const { connection, client } = await world.connectLive(token);
      let finish = () => {};
      world.serve = () => new Promise((resolve) => (finish = () => resolve({})));
      connection.receive(requestText('active app', {}, 1));
      let isStopped = false;
      void world.connections.stop().then(() => {
        isStopped = true;
      });
      expect([world.connections.isStopping, client.isPaused]).deep.equal([true, true]);
      await world.host.time.advance(4000);
      expect([client.closed, client.received]).deep.equal([undefined, []]);
      finish();
      await world.host.time.advance(10);
      expect(client.received.map(({ id }) => id)).deep.equal([1]);
      expect(client.closed).deep.equal({ code: 1012, reason: 'the server restarts' });
      world.connections.remove(connection);
      await world.host.time.advance(10);
      expect([isStopped, client.isTerminated]).deep.equal([true, false]);
    });

    it('wait 5 s for an answer and 2 s for a close frame, and no longer', async () => {
      const { token } = await world.signUp('ann');
      const { connection, client } = await world.connectLive(token);
      world.serve = () => new Promise(() => {});
      connection.receive(requestText('active app', {}, 1));
      let isStopped = false;
      void world.connections.stop().then(() => {
        isStopped = true;
      });
      await world.host.time.advance(4990);
      expect(client.closed).equal(undefined);
      await world.host.time.advance(20);
      expect(client.closed?.code).equal(1012);
      await world.host.time.advance(1980);
      expect([isStopped, client.isTerminated]).deep.equal([false, false]);
      await world.host.time.advance(30);
      expect([isStopped, client.isTerminated]).deep.equal([true, true]);
    });

    it('close those too who have not identified', async () => {
      const { client } = world.connect(sessionOf('ann'));
      void world.connections.stop();
      await world.host.time.advance(0);
      expect(client.closed?.code).equal(1012);
    });
  });
});
