import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import type { Store } from '../../packages/client/src/store/storeTypes.js';
import { beginHistory } from '../../src/app/restore.js';
import { readConfig } from '../../src/base/settings.js';
import { logFileOf } from '../../src/projections/store/engine.js';
import { openStore, toShow } from '../client/store/people.js';
import { say } from '../e2e/newcomer.js';
import { backUp } from '../support/backUp.js';
import { commandEngines, hasEngine, startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import { type Person, signUp } from '../support/people.js';
import { RawSocket } from '../support/rawSocket.js';
import { rejection } from '../support/rejection.js';
import type { ServerProcess } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

/** Said after the restore: more than was lost, so that the log is longer than it was. */
const SAID_INSTEAD = Array.from({ length: 20 }, (_, i) => `said instead ${i}`);
const CRASH = new Error('the process ended here');

for (const engine of commandEngines)
  describe(`parley restore --here on ${engine}, on a log that lost what was said last`, function () {
    this.timeout(180_000);
    let server: ServerProcess;
    let ada: Person;
    let ben: Person;
    let token: string;
    let roomId: string;
    let store: Store;
    /** What clients and auditors hold from before. */
    let held: { cursor: string; revision: string; next: string };
    /** Their events are in no backup. */
    let late: Person;
    /** Their erasure is in no backup. */
    let eve: Person;
    const run = (...args: string[]) => parley(args, server.settings);
    const restore = () => run('restore', '--here');
    const signIn = async ({ username, password }: Person): Promise<string> =>
      (await ask(server.url, 'POST /user/signin', { json: { username, password } })).body.token;
    const open = (cursor?: string) => RawSocket.open(server.wsUrl, token, cursor);
    const texts = async () => {
      const device = await open();
      const { messages } = await device.request('fetch messages', { roomId });
      await device.close();
      return messages.map(({ seq, message }) => [seq, message]);
    };
    const events = async (query: string) => ask(server.url, `GET /audit/events?${query}`, { token });

    before('a message is said, deleted with its key, and then lost with its deletion', async function () {
      if (!(await hasEngine(engine))) return this.skip();
      server = await startFresh(engine, { env: { PARTITIONS: '2', RATE_LIMIT: 'off' } });
      [ada, ben, eve] = [
        await signUp(server, 'ada'),
        await signUp(server, 'ben'),
        await signUp(server, 'eve'),
      ];
      expect(await run('role', 'auditor', 'ada')).to.include({ code: 0 });
      token = await signIn(ada);
      const device = await open();
      roomId = (await device.request('init chat', { friendId: ben.user.userId })).room.roomId;
      await say(device, roomId, 'kept');
      await device.request('init chat', { friendId: eve.user.userId });
      const doomed = await say(device, roomId, 'kept, but without its deletion');
      store = await openStore(server, ben, { url: () => server.url });
      await server.stop();
      const copy = await backUp(server);

      await server.start();
      token = await signIn(ada);
      const phone = await open();
      const lost = await say(phone, roomId, 'lost');
      const deleted = await say(phone, roomId, 'deleted and lost');
      await toShow(store.openRoom(roomId), [
        'kept',
        'kept, but without its deletion',
        'lost',
        'deleted and lost',
      ]);
      for (const { messageId } of [doomed, lost, deleted])
        expect(await run('message', 'delete', roomId, messageId)).to.include({ code: 0 });
      const { revision } = await phone.request('read messages', { roomId });
      const { next } = (await events('limit=1')).body;
      late = await signUp(server, 'late');
      const erased = await ask(server.url, `DELETE /user/${eve.user.userId}`, {
        token: await signIn(eve),
        json: { password: eve.password },
      });
      expect(erased.status).to.equal(204);
      held = { cursor: phone.cursor, revision, next };
      await server.stop();
      await copy.restore('log');
    });
    after(async () => {
      store?.close();
      await server?.stop();
    });

    it('does not run beside a server', async () => {
      const running = await startFresh(engine);
      const dataDir = engine === 'sqlite' ? running.dataDir : tempDir();
      const { code, out, err } = await parley(['restore', '--here'], {
        ...running.settings,
        DATA_DIR: dataDir,
      });
      await running.stop();
      expect({ code, out }).to.deep.equal({ code: 1, out: '' });
      expect(err).to.match(/^parley: (.* in use by another process|1 server runs on this database; .*)\n$/);
    });

    it('is finished by the next run after a crash at each step, and harmless when repeated', async () => {
      const config = readConfig({ ...server.settings });
      for (const last of ['read models deleted', 'generation begun', 'history begun'])
        expect(
          await rejection(
            beginHistory(config, ({ kind }) => {
              if (kind === last) throw CRASH;
            }),
          ),
        ).to.equal(CRASH);
      for (let times = 0; times < 2; times++) {
        const { code, out, err } = await restore();
        expect({ code, err }).to.deep.equal({ code: 0, err: '' });
        expect(out).to.match(
          /^(DATA_DIR \(\/.*\)|the database of MONGO_URL): the read models are deleted;.*\ngeneration \d+ .*\nhistory [0-9a-f-]{36} began;/,
        );
        expect(out).to.match(/\nthe log records the new history as HistoryBegun; start the servers\n$/);
        const accepted = out.match(/^partition \d lacked events that were signed/gm) ?? [];
        expect(accepted.length > 0, 'only the first run finds it shortened').to.equal(times === 0);
        const repeated = /^2 erasures and deletions that the log had lost are recorded again$/m;
        expect(repeated.test(out), 'and what it lost').to.equal(times === 0);
      }
      await server.start();
      expect(server.log).to.include('the log was restored: this is the first start on a new history');
      await server.restart();
      expect(server.log).not.to.include('the log was restored');
      token = await signIn(ada);
      const { events: found } = (await events('type=HistoryBegun')).body;
      const { stream } = found[0];
      expect(stream).to.match(/^policy:[0-9a-f-]{36}$/);
      expect((await events(`stream=${stream}`)).body.events).to.deep.equal(found);
      expect(
        found.map(({ actor, data }: { actor: string; data: { generation: number } }) => [
          actor,
          data.generation,
        ]),
      ).to.deep.equal([
        ['system', 3],
        ['system', 4],
      ]);
    });

    it('lets a message take the place of one whose key was destroyed, and opens it', async () => {
      const device = await open();
      for (const text of SAID_INSTEAD) await say(device, roomId, text);
      await device.close();
      const expected = [[1, 'kept'], [2, null], ...SAID_INSTEAD.map((text, i) => [i + 3, text])];
      expect(await texts()).to.deep.equal(expected);
      await server.restart();
      token = await signIn(ada);
      expect(await texts(), 'without what the process remembers').to.deep.equal(expected);
    });

    it('lets a store of ours begin anew by itself', async () => {
      await toShow(store.openRoom(roomId), ['kept', '(erased)', ...SAID_INSTEAD]);
    });

    it('makes what is held from before a bad_request, although the log is longer than before', async () => {
      const device = await RawSocket.connect(server.wsUrl);
      const codes = [
        (await device.refusal('identity', { token, cursor: held.cursor })).code,
        (await device.request('identity', { token })) && 'granted without',
        (await device.refusal('fetch messages', { roomId, revision: held.revision })).code,
        (await events(`limit=1&from=${held.next}`)).body.code,
      ];
      expect(codes).to.deep.equal(['bad_request', 'granted without', 'bad_request', 'bad_request']);
      await device.close();
    });

    it('records again who was erased and what was deleted', async () => {
      const { user } = (await ask(server.url, `GET /user/${eve.user.userId}`, { token })).body;
      expect(user).to.include({ username: null, erased: true });
      const device = await open();
      const { messages } = await device.request('fetch messages', { roomId });
      await device.close();
      expect(messages[1]?.deleted).to.deep.equal({ by: 'system' });
      for (const type of ['UserErased', 'MemberErased'])
        expect((await events(`type=${type}`)).body.events, type).to.have.length(1);
    });

    it('lets people back in whose sign-up was lost', async () => {
      const again = await RawSocket.open(server.wsUrl, await signIn(late));
      await again.close();
    });

    it('destroys what is deleted from then on', async () => {
      const device = await open();
      const { messages } = await device.request('fetch messages', { roomId });
      await device.close();
      const [, , again] = messages;
      expect(await run('message', 'delete', roomId, again?.messageId ?? '')).to.include({ code: 0 });
      const { out } = await run('audit', 'replay', '--type', 'MessageSent');
      const shown = out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).data);
      const gone = shown.filter(({ text }) => text === null).map(({ seq }) => seq);
      expect(gone, 'the one whose deletion was lost too').to.deep.equal([2, 3]);
      expect(shown).to.have.length(SAID_INSTEAD.length + 2);
    });

    it('leaves a log that verifies, and heads that are signed', async () => {
      await eventually('it is ready', async () => (await ask(server.url, 'GET /ready')).status === 200);
      await server.stop();
      const { code, out, err } = await run('audit', 'verify');
      expect({ code, err }).to.deep.equal({ code: 0, err: '' });
      expect(out).to.match(/\nverified: nothing is wrong\n$/);
    });
  });

describe('parley restore', () => {
  it('refuses a log that is damaged, which a new history would not mend, and changes nothing', async () => {
    const server = await startFresh('sqlite');
    await signUp(server, 'ada');
    await server.stop();
    const file = logFileOf(server.dataDir);
    const db = new DatabaseSync(file);
    const { position, leaves } = db
      .prepare('SELECT position, leaves FROM commits_0 WHERE firstOffset < size LIMIT 1')
      .get();
    const altered = Buffer.from(Buffer.from(leaves).toString().replace('user', 'usher'));
    db.prepare('UPDATE commits_0 SET leaves = ? WHERE position = ?').run(altered, position);
    db.close();
    const { code, out, err } = await parley(['restore', '--here'], server.settings);
    expect({ code, out }).to.deep.equal({ code: 1, out: '' });
    expect(err).to.match(/^parley: the log is damaged: the commit at position \d+ of partition 0 [^\n]+\n$/);
  });

  it('needs data that was put back, and leaves an empty directory empty', async () => {
    const dataDir = tempDir();
    const { code, out, err } = await parley(['restore', '--here'], { DATA_DIR: dataDir });
    expect({ code, out }).to.deep.equal({ code: 1, out: '' });
    expect(err).to.match(/^parley: DATA_DIR .* holds no log; .*\n$/);
  });

  it('asks where the data is', async () => {
    expect(await parley(['restore'])).to.include({ code: 2, out: '' });
  });
});
