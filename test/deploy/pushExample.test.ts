import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { eventually } from '../support/eventually.js';
import { HostServer } from '../support/hostServer.js';
import { RawSocket } from '../support/rawSocket.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { repository } from './dockerfile.js';
import { Program } from './program.js';

/** Long enough that a message is sent while a lost connection is not noticed. */
const PRESENCE_GRACE = '1s';

describe('The example of push notifications', function () {
  this.timeout(120_000);
  const roomId = randomUUID();
  let server: ServerProcess;
  let host: HostServer;
  let program: Program;

  before(async () => {
    server = await startServer({ engine: 'sqlite', env: { PRESENCE_GRACE, LOG_LEVEL: 'debug' } });
    host = await HostServer.of(server, 'users,rooms,messages,events');
    for (const id of ['ann', 'bob', 'cy']) await make(`PUT /server/users/ext:${id}`, { displayName: id });
    const members = ['ann', 'bob', 'cy'].map((id) => ({ id: `ext:${id}` }));
    await make(`PUT /server/rooms/${roomId}`, { name: 'Friends', members });
  });
  after(async () => {
    await program?.stop();
    await server?.stop();
  });

  async function make(what: string, json?: unknown) {
    const { status, body, text } = await host.ask(what, json);
    expect(status, text).to.be.within(200, 204);
    return body;
  }

  const say = (id: string, message: string) =>
    make(`PUT /server/rooms/${roomId}/messages/${randomUUID()}`, { senderId: `ext:${id}`, message });

  async function device(id: string): Promise<RawSocket> {
    const { token } = await make(`POST /server/users/ext:${id}/tokens`, {});
    return RawSocket.open(server.wsUrl, token);
  }

  const recorded = async (type: string): Promise<number> => (await host.allEvents(`&types=${type}`)).length;

  /** What the program has told, in order. */
  const told = (): string[] =>
    Array.from(program.said.matchAll(/^(to .*) \(.*\)$/gm), ([, line = '']) => line);

  async function seeTold(...lines: string[]): Promise<void> {
    await eventually(`${lines} are told`, () => told().length >= lines.length);
    expect(told().sort()).to.deep.equal(lines.sort());
  }

  it('tells members who are away, and only them', async () => {
    program = new Program([process.execPath, join(repository, 'examples/push/push.mjs')], {
      PARLEY_URL: server.url,
      PARLEY_KEY: host.key,
    });
    const lines: string[] = [];
    const expectNext = async (...next: string[]) => {
      lines.push(...next);
      await seeTold(...lines);
    };
    await say('ann', 'one');
    await expectNext('to bob: one', 'to cy: one');

    const laptop = await device('bob');
    await eventually('bob is online', async () => (await recorded('UserWentOnline')) === 1);
    await say('ann', 'bob is here');
    await expectNext('to cy: bob is here');

    // The connection is lost: the next message is told when Parley notices that.
    await laptop.close();
    await eventually('its end is noticed', () => server.log.includes('a connection ended'));
    await say('ann', 'bob has just left');
    await expectNext('to cy: bob has just left', 'to bob: bob has just left');

    const phone = await device('cy');
    const mutedUntil = new Date(Date.now() + 3_600_000).toISOString();
    await phone.request('change chat', { roomId, mutedUntil });
    await phone.close();
    await eventually('cy is away', async () => (await recorded('UserWentOffline')) === 2);
    await say('ann', 'cy hears nothing');
    await expectNext('to bob: cy hears nothing');

    await make('PUT /server/users/ext:bob/blocks/ext:ann');
    await say('ann', 'heard by nobody');
    await say('cy', 'two');
    await expectNext('to ann: two', 'to bob: two');

    await make(`DELETE /server/rooms/${roomId}/members/ext:bob`);
    await say('cy', 'three');
    await expectNext('to ann: three');
  });
});
