import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { chatOf, Newcomer, say } from '../e2e/newcomer.js';
import { commandEngines, hasEngine, startFresh } from '../support/engines.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import type { ServerProcess } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

for (const engine of commandEngines)
  describe(`parley audit as-of on ${engine}`, function () {
    this.timeout(120_000);
    let server: ServerProcess;
    let ada: Newcomer;
    let ben: Newcomer;
    let roomId: string;
    /** When the first message was sent, and the second. */
    let times: readonly string[];
    const asOf = (...args: string[]) => parley(['audit', 'as-of', ...args], server.settings);

    before(async function () {
      if (!(await hasEngine(engine))) return this.skip();
      server = await startFresh(engine);
      [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
      const device = await ada.device();
      await device.request('add friend', { friendId: ben.userId });
      roomId = await chatOf(device, ben);
      const first = await say(device, roomId, 'first');
      const second = await say(device, roomId, 'second');
      times = [first.sentAt, second.sentAt];
      expect((await parley(['role', 'auditor', ben.user.username ?? ''], server.settings)).code).to.equal(0);
      await device.close();
    });
    after(() => server?.stop());

    /** What the server answers an auditor. */
    async function answered(path: string): Promise<unknown> {
      const { status, body } = await ask(server.url, `GET /audit/${path}`, ben);
      expect(status).to.equal(200);
      return body;
    }

    it('prints what the server answers an auditor, whether it runs or not', async () => {
      const [first = '', second = ''] = times;
      const expected = {
        room: await answered(`rooms/${roomId}?at=${second}`),
        user: await answered(`users/${ada.userId}?at=${second}`),
        message: await answered(`rooms/${roomId}?at=1`),
      };
      expect(expected.room).to.have.nested.property('messages[1].message', 'second');
      expect(expected.user).to.have.nested.property('friends[0].userId', ben.userId);
      const told = async () => {
        const runs = [
          await asOf('room', roomId, second),
          await asOf('user', ada.userId.toUpperCase(), second),
          await asOf('room', roomId, '1'),
        ];
        const [room, user, message] = runs.map(({ code, out, err }) => {
          expect({ code, err }).to.deep.equal({ code: 0, err: '' });
          return JSON.parse(out);
        });
        return { room, user, message };
      };
      expect(await told()).to.deep.equal(expected);
      await server.stop();
      expect(await told()).to.deep.equal(expected);
      const early = JSON.parse((await asOf('room', roomId, first)).out);
      expect(early.messages[0].message).to.equal('first');
    });

    it('prints the present where no time is given', async () => {
      const [, second = ''] = times;
      const [room, user] = [await asOf('room', roomId), await asOf('user', ada.userId)];
      expect(JSON.parse(room.out)).to.deep.equal(JSON.parse((await asOf('room', roomId, second)).out));
      const friends = JSON.parse(user.out).friends.map(({ userId }: { userId: string }) => userId);
      expect(friends).to.deep.equal([ben.userId]);
      const exact = await asOf('room', roomId, second.replace('Z', '999999Z'));
      expect(JSON.parse(exact.out)).to.deep.equal(JSON.parse(room.out));
    });

    it('prints one line for a room, message or user that did not exist', async () => {
      const [time = ''] = times;
      const none = { code: 1, out: '' };
      expect(await asOf('room', randomUUID(), time)).to.include({
        ...none,
        err: 'parley: the room did not exist then\n',
      });
      expect(await asOf('room', roomId, '2020-01-01T00:00:00Z')).to.include(none);
      expect(await asOf('room', roomId, '99')).to.include({
        ...none,
        err: 'parley: the room has no message with this number\n',
      });
      expect(await asOf('user', randomUUID(), time)).to.include({
        ...none,
        err: 'parley: the user did not exist then\n',
      });
    });

    it('takes the name of a user too, whatever its case', async () => {
      const [, second = ''] = times;
      const byId = await asOf('user', ada.userId, second);
      const name = ada.user.username ?? '';
      expect(await asOf('user', name.toUpperCase(), second)).to.deep.equal(byId);
      const nobody = { code: 1, out: '', err: 'parley: no user is called nobody\n' };
      expect(await asOf('user', 'nobody', second)).to.include(nobody);
    });

    it('explains invalid arguments', async () => {
      const [time = ''] = times;
      for (const [args, hint] of [
        [['room', 'the-room', time], 'must be a UUID'],
        [['room', roomId, 'yesterday'], '2026-01-31T12:00:00Z'],
        [['user', ada.userId, '1'], '2026-01-31T12:00:00Z'],
        [['friend', ada.userId, time], "unknown command 'friend'"],
        [['room'], "missing required argument 'id'"],
        [['room', roomId, '2026-01-31T12:00:00.1234567890Z'], 'nine decimals'],
      ] as const) {
        const ran = await asOf(...args);
        expect(ran, args.join(' ')).to.include({ code: 2, out: '' });
        expect(ran.err)
          .to.include(hint)
          .and.match(/^error: [^\n]+\n$/);
      }
    });
  });

describe('parley audit as-of', () => {
  it('creates nothing if there is no log', async () => {
    const ran = await parley(['audit', 'as-of', 'room', randomUUID(), '2026-01-31T12:00:00Z'], {
      DATA_DIR: tempDir(),
    });
    expect(ran).to.include({ code: 1, out: '' });
    expect(ran.err).to.match(/^parley: .*\n$/);
  });
});
