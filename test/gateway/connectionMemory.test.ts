import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import pino from 'pino';
import { WebSocket } from 'ws';
import { Origins } from '../../src/base/origins.js';
import { UserLimits } from '../../src/base/rateLimits.js';
import { WebSocketServer } from '../../src/gateway/webSocketServer.js';
import { eventually } from '../support/eventually.js';
import { requestText, turn } from './fakeClient.js';
import { GatewayWorld } from './gatewayWorld.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void; // The flag makes this a function.

const COUNT = 20;
const users = Array.from({ length: COUNT }, (_, i) => `user${i}`);

/** How many of these objects are still held by something. */
async function countHeld(refs: readonly WeakRef<object>[]): Promise<number> {
  await turn();
  collectGarbage();
  return refs.filter((ref) => ref.deref() !== undefined).length;
}

const allLetGo = (refs: readonly WeakRef<object>[]) =>
  eventually('nothing holds them', async () => (await countHeld(refs)) === 0);

describe('the memory of connections', () => {
  let world: GatewayWorld;
  beforeEach(() => {
    world = new GatewayWorld(new UserLimits({ rate: 50, burst: 200 }));
  });
  afterEach(() => world.close());

  /** A connection of the user that comes, is busy and goes. */
  async function comeAndGo(user: string): Promise<WeakRef<object>> {
    const { token } = await world.signUp(user);
    const { connection } = await world.connectLive(token);
    connection.receive('no request');
    connection.leaveRoom('room');
    connection.receive(requestText('active app'));
    await turn();
    world.connections.remove(connection);
    return new WeakRef(connection);
  }

  it('is given back when they have gone: no list holds one, and presence forgets who is offline', async () => {
    const refs = [];
    for (const user of users) refs.push(await comeAndGo(user));
    expect([world.connections.count, world.hub.userCount]).deep.equal([0, 0]);
    expect(world.presence.userCount, 'within the grace time').equal(COUNT);
    await world.host.time.advance(20_000);
    expect(world.presence.userCount).equal(0);
    expect(world.presenceWritten.filter((line) => line.endsWith('offline'))).to.have.length(COUNT);
    await allLetGo(refs);
  });

  describe('over TCP', () => {
    let server: Server;
    const requests: WeakRef<object>[] = [];
    const clients: WebSocket[] = [];

    beforeEach(async () => {
      const webSockets = new WebSocketServer({
        sessions: world.sessions,
        connections: world.connections,
        answerRequest: (connection, request) => world.host.serve(connection, request),
        rules: { origins: new Origins({ TRUST_PROXY: 0 }), rateLimit: { rate: 50, burst: 200 } },
        logger: pino({ level: 'silent' }),
      });
      server = createServer().on('upgrade', (request, socket, head) => {
        requests.push(new WeakRef(request));
        void webSockets.upgrade(request, socket, head);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    });
    afterEach(() => {
      for (const client of clients.splice(0)) client.terminate();
      requests.length = 0;
      server.close();
    });

    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

    /** Connects each user, half of them with the token at the upgrade, and identifies. */
    async function connectAll(): Promise<void> {
      const { port } = server.address() as AddressInfo; // It listens on TCP.
      for (const [i, user] of users.entries()) {
        const { token } = await world.signUp(user);
        const isBearer = i % 2 === 0;
        const headers = isBearer ? { authorization: `Bearer ${token}` } : {};
        const client = new WebSocket(`ws://127.0.0.1:${port}`, { headers });
        clients.push(client);
        await once(client, 'open');
        client.send(requestText('identity', isBearer ? {} : { token }));
        await once(client, 'message');
      }
    }

    it('is without a timer and without the request of the upgrade for each', async () => {
      const before = timers();
      await connectAll();
      expect([world.connections.count, world.hub.userCount]).deep.equal([COUNT, COUNT]);
      expect(timers() - before).lessThan(COUNT / 2);
      await allLetGo(requests);
    });

    it('is given back when they have closed', async () => {
      await connectAll();
      const refs = users.flatMap((user) => world.hub.connectionsOf(user).map((each) => new WeakRef(each)));
      expect(refs).to.have.length(COUNT);
      for (const client of clients) client.close();
      await eventually('the connections are gone', () => world.connections.count === 0);
      await allLetGo(refs);
      expect(world.hub.userCount).equal(0);
    });
  });
});
