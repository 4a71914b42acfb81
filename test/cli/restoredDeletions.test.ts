import { randomUUID } from 'node:crypto';
import { copyFileSync, cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Message } from '../../packages/client/src/types.js';
import { filesOf } from '../e2e/erasure/traces.js';
import { chatOf, Newcomer, say } from '../e2e/newcomer.js';
import { backUp } from '../support/backUp.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { parley, type Ran } from '../support/parley.js';
import { RawSocket } from '../support/rawSocket.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

const env = { RATE_LIMIT: 'off' };

const jsonLines = ({ out }: Ran) =>
  out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

/** Ada writes, Ben reports what she writes and a moderator decides; each of them on any server of this system. */
class Room {
  private constructor(
    readonly ada: Newcomer,
    readonly ben: Newcomer,
    private readonly mod: Newcomer,
    readonly roomId: string,
  ) {}

  static async on(server: ServerProcess): Promise<Room> {
    const [ada, ben, mod] = [await Newcomer.at(server), await Newcomer.at(server), await Newcomer.at(server)];
    const name = mod.user.username ?? '';
    expect(await parley(['role', 'moderator', name], server.settings)).to.include({ code: 0 });
    const phone = await ada.device();
    const roomId = await chatOf(phone, ben);
    await phone.close();
    return new Room(ada, ben, mod, roomId);
  }

  async #with<T>({ wsUrl }: ServerProcess, { token }: Newcomer, work: (device: RawSocket) => Promise<T>) {
    const device = await RawSocket.open(wsUrl, token);
    return work(device).finally(() => device.close());
  }

  say(server: ServerProcess, text: string): Promise<Message> {
    return this.#with(server, this.ada, (phone) => say(phone, this.roomId, text));
  }

  remove(server: ServerProcess, { messageId }: Message): Promise<unknown> {
    const { roomId } = this;
    return this.#with(server, this.ada, (phone) => phone.request('delete message', { roomId, messageId }));
  }

  /** Resolves with the report's id. */
  async report(server: ServerProcess, { messageId }: Message): Promise<string> {
    const report = { reportId: randomUUID(), roomId: this.roomId, messageIds: [messageId] };
    await this.#with(server, this.ben, (tablet) => tablet.request('report', { ...report, category: 'spam' }));
    return report.reportId;
  }

  /** The texts that a member sees. */
  texts(server: ServerProcess, who: Newcomer): Promise<(string | null)[]> {
    return this.#with(server, who, async (device) => {
      const { messages } = await device.request('fetch messages', { roomId: this.roomId });
      return messages.map(({ message }) => message);
    });
  }

  /** The texts that auditors read, beside a server or without one. */
  async audited(settings: Readonly<Record<string, string>>): Promise<(string | null)[]> {
    const ran = await parley(['audit', 'replay', '--stream', `room:${this.roomId}`], settings);
    return jsonLines(ran).flatMap(({ type, data }) => (type === 'MessageSent' ? [data.text] : []));
  }

  /** The texts around a report that moderators see; undefined if there is no such report. */
  async evidence({ url }: ServerProcess, reportId: string): Promise<(string | null)[] | undefined> {
    const { status, body } = await ask(url, `GET /admin/reports/${reportId}`, { token: this.mod.token });
    return status === 404 ? undefined : body.messages.map(({ message }: Message) => message);
  }

  async decide({ url }: ServerProcess, reportId: string): Promise<void> {
    const { token } = this.mod;
    const json = { note: 'seen' };
    const { status } = await ask(url, `POST /admin/reports/${reportId}/decision`, { token, json });
    expect(status).to.equal(204);
  }
}

const verify = async ({ settings }: ServerProcess): Promise<void> => {
  const { out, err } = await parley(['audit', 'verify'], settings);
  expect(out, err).to.include('verified: nothing is wrong');
};

describe('a backup that lost deletions and what reports keep', function () {
  this.timeout(180_000);

  it('has the deletions again after parley restore with --erasures, before anything is served', async () => {
    const server = await startServer({ engine: 'sqlite', env });
    const room = await Room.on(server);
    const { ada, ben } = room;
    await room.say(server, 'kept');
    const before = await room.say(server, 'reported before');
    const behind = await room.say(server, 'reported behind');
    const plain = await room.say(server, 'deleted only');
    const first = await room.report(server, before);
    const copy = join(tempDir(), 'backup');
    expect(await parley(['backup', copy], server.settings)).to.include({ code: 0, err: '' });
    const second = await room.report(server, behind);
    for (const message of [before, behind, plain]) await room.remove(server, message);
    const list = join(tempDir(), 'erasures');
    expect(await parley(['backup', '--erasures', list], server.settings)).to.include({ code: 0, err: '' });
    await server.stop();

    const dataDir = tempDir();
    copyFileSync(join(server.dataDir, 'master.key'), join(dataDir, 'master.key'));
    const { code, out, err } = await parley(['restore', copy, '--erasures', list], { DATA_DIR: dataDir });
    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    expect(out).to.match(/^0 of 0 users and 3 of 3 messages of the list are erased and deleted again;/m);
    // No server has run on it. The first of them has its key still, for moderators alone.
    const all = ['kept', null, null, null];
    expect(await room.audited({ DATA_DIR: dataDir })).to.deep.equal(all);
    const deletions = await parley(['audit', 'replay', '--type', 'MessageDeleted'], { DATA_DIR: dataDir });
    expect(jsonLines(deletions).map(({ actor, data }) => [actor, data.messageId])).to.have.deep.members(
      [before, behind, plain].map(({ messageId }) => ['system', messageId]),
    );

    const other = await startServer({ engine: 'sqlite', dataDir, env });
    for (const who of [ada, ben]) expect(await room.texts(other, who)).to.deep.equal(all);
    expect(await room.evidence(other, first)).to.deep.equal(['kept', 'reported before', null, null]);
    expect(await room.evidence(other, second), 'a report that was lost').to.equal(undefined);
    const { textSecretsOf, tracesOf } = filesOf(dataDir);
    // Behind the row of all rooms, out of which this room was cut before.
    const [, ...secrets] = await textSecretsOf(ada.userId);
    expect(await tracesOf(secrets), 'a control').to.deep.equal(secrets);
    await room.decide(other, first);
    expect(await tracesOf(secrets)).to.deep.equal([]);
    expect(await room.evidence(other, first)).to.deep.equal(all);
    await verify(other);
    await other.stop();
  });

  it('keeps nothing for a report that the log lost, when the vault is newer', async () => {
    const server = await startServer({ engine: 'sqlite', env });
    const room = await Room.on(server);
    await room.say(server, 'kept');
    const held = await room.say(server, 'held by a lost report');
    await server.stop();
    const copy = await backUp(server);
    await server.start();
    await room.report(server, held);
    await room.remove(server, held);
    const { textSecretsOf, tracesOf } = filesOf(server.dataDir);
    const secrets = await textSecretsOf(room.ada.userId);
    await server.stop();
    await copy.restore('log');

    const { code, out, err } = await parley(['restore', '--here'], server.settings);
    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    expect(out).to.match(/^1 erasures and deletions that the log had lost are recorded again$/m);
    expect(await room.audited(server.settings)).to.deep.equal(['kept', null]);
    await server.start();
    expect(await room.texts(server, room.ben)).to.deep.equal(['kept', null]);
    // Nobody can decide it any more.
    await eventually('its key is destroyed', async () => (await tracesOf(secrets)).length === 0);
    expect(await room.texts(server, room.ben)).to.deep.equal(['kept', null]);
    await verify(server);
    await server.stop();
  });

  it('keeps again what a report keeps, and destroys what was deleted, in a vault of before both', async () => {
    const server = await startServer({ engine: 'sqlite', env });
    const room = await Room.on(server);
    const held = await room.say(server, 'held');
    const plain = await room.say(server, 'plain');
    await server.stop();
    const [vault, older] = [join(server.dataDir, 'vault.db'), join(tempDir(), 'vault.db')];
    cpSync(vault, older);
    await server.start();
    const report = await room.report(server, held);
    for (const message of [held, plain]) await room.remove(server, message);
    await server.stop();
    for (const suffix of ['', '-wal', '-shm']) rmSync(vault + suffix, { force: true });
    cpSync(older, vault);

    await server.start();
    expect(await room.texts(server, room.ben)).to.deep.equal([null, null]);
    await eventually('the keys are dealt with', async () =>
      (await room.audited(server.settings)).every((text) => text === null),
    );
    expect(await room.evidence(server, report)).to.deep.equal(['held', null]);
    await room.decide(server, report);
    expect(await room.evidence(server, report)).to.deep.equal([null, null]);
    await verify(server);
    await server.stop();
  });
});
