import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  allKinds,
  hasEngine,
  type Kind,
  leftOutOnNodes,
  type Running,
  startFresh,
} from '../support/engines.js';
import { isSoak } from '../support/lanes.js';
import { type Person, type Place, signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';
import { startServer } from '../support/server.js';
import { cursors } from './contract/cursors.js';
import { traffic } from './contract/traffic.js';
import { Newcomer, say, talk } from './newcomer.js';

const setups: readonly (readonly [Kind, Readonly<Record<string, string>>])[] = [
  ['sqlite', {}],
  ['sqlite', { PARTITIONS: '3' }],
  ...allKinds.filter((kind) => kind !== 'sqlite').map((kind) => [kind, {}] as const),
];
const MANY = 130;

leftOutOnNodes('many rooms', 'a walk through them is the same on every node');
for (const [engine, env] of setups) {
  describe(`resuming beyond what a server remembers (${[engine, ...Object.values(env)].join(', ')})`, function () {
    this.timeout(120_000);
    let server: Running;
    // The suites are made before the server is there, and it moves with every start.
    const place: Place = {
      get url() {
        return server.url;
      },
      get wsUrl() {
        return server.wsUrl;
      },
    };
    const ageCursors = async (): Promise<void> => {
      await server.stop();
      await server.start();
    };
    before(async function () {
      if (!(await hasEngine(engine))) this.skip();
      server = await startFresh(engine, { env: { ...env, RATE_LIMIT: 'off' } });
    });
    after(() => server?.stop());

    // One partition is the simplest case, which the traffic covers.
    if (engine !== 'sqlite' || env.PARTITIONS) cursors(place, ageCursors);

    if (engine !== 'nodes' && (isSoak || env.PARTITIONS))
      it(`goes through ${MANY} rooms`, async () => {
        const ada = await Newcomer.at(place);
        const phone = await ada.device();
        const { cursor } = phone;
        const others: Person[] = [];
        for (let n = 0; n < MANY; n++) others.push(await signUp(place, `other-${n}`));
        const rooms = await Promise.all(
          others.map(async ({ user }) => {
            const { room } = await phone.request('init chat', { friendId: user.userId });
            await say(phone, room.roomId, `hello ${user.username}`);
            return room.roomId;
          }),
        );
        await ageCursors();
        const resumed = await ada.device(cursor);
        await resumed.push('identity');
        expect(resumed.pushed('init chat').map(({ room }) => room.roomId)).to.have.members(rooms);
        expect(resumed.pushed('send message').map(({ message }) => message.roomId)).to.have.members(rooms);
      });

    traffic(place, () => server.restart());
  });
}

describe('cursors and revisions of another log, or ahead of it', () => {
  const copy = mkdtempSync(join(tmpdir(), 'parley-copy-'));
  after(() => rmSync(copy, { recursive: true, force: true }));

  it('are a bad_request', async () => {
    const server = await startServer({ engine: 'sqlite' });
    const { ada, roomId } = await talk(server);
    await server.stop();
    cpSync(server.dataDir, copy, { recursive: true });
    await server.start();
    const phone = await ada.device();
    await say(phone, roomId, 'after the copy');
    const { revision } = await phone.request('read messages', { roomId });
    await phone.close();
    const { cursor } = await ada.device();
    await server.stop();
    const behind = await startServer({ engine: 'sqlite', dataDir: copy });
    const other = await startServer({ engine: 'sqlite' });
    for (const [place, token] of [
      [behind, ada.token],
      [other, (await Newcomer.at(other)).token],
    ] as const) {
      const socket = await RawSocket.connect(place.wsUrl);
      expect(await socket.refusal('identity', { token, cursor })).to.include({ code: 'bad_request' });
      await socket.request('identity', { token });
      for (const [event, data] of [
        ['fetch messages', { roomId, revision }],
        ['get active chats', { revision }],
      ] as const)
        expect(await socket.refusal(event, data)).to.include({ code: 'bad_request' });
      await place.stop();
    }
  });
});
