import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { remoteOperator } from '../../src/app/controlSocket.js';
import { controlSocketOf } from '../../src/app/operator.js';
import { chatOf, Newcomer, say } from '../e2e/newcomer.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { runs } from '../support/lanes.js';
import { parley } from '../support/parley.js';
import { RawSocket } from '../support/rawSocket.js';
import { rejection } from '../support/rejection.js';
import { DidNotStart, type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

const MOMENTS = runs(3);
const IN_FLIGHT = 20;
const PARTS = ['backup.json', 'log.db', 'vault.db'];
const builtCli = fileURLToPath(new URL('../../src/cli/bin.js', import.meta.url));

/** A new data directory with the master key of this system, as an operator would make it. */
function directoryWithKeyOf(dataDir: string): string {
  const dir = tempDir();
  copyFileSync(join(dataDir, 'master.key'), join(dir, 'master.key'));
  return dir;
}

/** All files below a directory, with their bytes. */
const contentsOf = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir, { recursive: true, withFileTypes: true }).map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, entry.isFile() ? createHash('sha256').update(readFileSync(path)).digest('hex') : 'other'];
    }),
  );

const deleteOn = ({ dataDir }: ServerProcess, roomId: string, messageId: string) =>
  remoteOperator(controlSocketOf(dataDir)).deleteMessage({ roomId, messageId });

/** All texts of a room, by `seq`. */
async function textsOf(device: RawSocket, roomId: string): Promise<Map<number, string | null>> {
  const texts = new Map<number, string | null>();
  for (let after = 0; ; ) {
    const page = await device.request('fetch messages', { roomId, after, limit: 200 });
    for (const { seq, message } of page.messages) {
      texts.set(seq, message);
      after = seq;
    }
    if (!page.hasMore) return texts;
  }
}

/** Says one message after the other, `IN_FLIGHT` at a time, and deletes every tenth, until it is stopped. */
class Load {
  /** By `seq` what was said, once the answer has come. */
  readonly said = new Map<number, string>();
  readonly deleted = new Set<number>();
  readonly #running: Promise<unknown>;
  #isStopped = false;

  constructor(server: ServerProcess, device: RawSocket, roomId: string) {
    let next = 0;
    const talk = async () => {
      while (!this.#isStopped) {
        const number = ++next;
        const { seq, messageId } = await say(device, roomId, `message ${number}`);
        this.said.set(seq, `message ${number}`);
        if (number % 10 !== 0) continue;
        await deleteOn(server, roomId, messageId);
        this.deleted.add(seq);
      }
    };
    this.#running = Promise.all(Array.from({ length: IN_FLIGHT }, talk));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }
}

describe('parley backup of a running system, put back by parley restore <dir>', function () {
  this.timeout(300_000);
  /** What had been answered when each back-up began. */
  const backups: { dir: string; said: Map<number, string>; deleted: Set<number> }[] = [];
  const list = join(tempDir(), 'erasures');
  let server: ServerProcess;
  let [ada, ben, eve]: Newcomer[] = [];
  let roomId: string;
  let load: Load;
  let cursor: string;
  const people = () => {
    if (!ada || !ben || !eve) throw new Error('nobody has signed up');
    return { ada, ben, eve };
  };

  before('back-ups are made while messages are sent and deleted; then somebody is erased', async () => {
    server = await startServer({ engine: 'sqlite', env: { PARTITIONS: '2', RATE_LIMIT: 'off' } });
    [ada, ben, eve] = [await Newcomer.at(server), await Newcomer.at(server), await Newcomer.at(server)];
    const { ada: me } = people();
    expect(await parley(['role', 'auditor', me.user.username ?? ''], server.settings)).to.include({
      code: 0,
    });
    const device = await me.device();
    roomId = await chatOf(device, people().ben);
    await say(device, await chatOf(device, people().eve), 'to somebody who will be erased');
    load = new Load(server, device, roomId);
    for (let moment = 1; moment <= MOMENTS; moment++) {
      await eventually('more is deleted', () => load.deleted.size >= moment * 3);
      const dir = join(tempDir(), 'new', 'back-up');
      const [said, deleted] = [new Map(load.said), new Set(load.deleted)];
      const { code, out, err } = await parley(['backup', dir], server.settings);
      expect({ code, err }).to.deep.equal({ code: 0, err: '' });
      expect(out).to.match(
        /^\d+ events until \d{4}-\S+Z are in .*\nthe master key is not in it: .*\nnext: .*\n$/,
      );
      expect(readdirSync(dir)).to.have.members(PARTS);
      backups.push({ dir, said, deleted });
    }
    const told = load.deleted.size;
    await eventually('more is deleted than any back-up has', () => load.deleted.size >= told + 3);
    await load.stop();
    cursor = device.cursor;
    const erased = await ask(server.url, `DELETE /user/${people().eve.userId}`, {
      token: people().eve.token,
      json: { password: people().eve.password },
    });
    expect(erased.status).to.equal(204);
    const { code, out, err } = await parley(['backup', '--erasures', list], server.settings);
    expect({ code, out, err }).to.deep.equal({
      code: 0,
      out: `1 erased users and ${load.deleted.size} deleted messages are listed in ${list}\n`,
      err: '',
    });
    await device.close();
  });
  after(() => server?.kill());

  /** Restores a back-up, and starts a server on it. */
  async function restored(dir: string, ...options: string[]) {
    const dataDir = directoryWithKeyOf(server.dataDir);
    const before = contentsOf(dir);
    const ran = await parley(['restore', dir, ...options], { DATA_DIR: dataDir });
    expect({ code: ran.code, err: ran.err }).to.deep.equal({ code: 0, err: '' });
    expect(contentsOf(dir), 'the back-up is left as it is').to.deep.equal(before);
    const other = await startServer({ engine: 'sqlite', dataDir, env: { RATE_LIMIT: 'off' } });
    return { other, out: ran.out };
  }

  it('has ids only in its list of erasures', () => {
    const lines = readFileSync(list, 'utf8').trim().split('\n');
    expect(lines).to.have.length(2 + load.deleted.size);
    for (const line of lines.slice(1))
      expect(Object.keys(JSON.parse(line)).join()).to.be.oneOf(['userId', 'roomId,messageId']);
    expect(readdirSync(join(list, '..'))).to.deep.equal(['erasures']);
  });

  it('serves all that was acknowledged before it began, and nothing that was deleted or erased since', async () => {
    for (const { dir, said } of backups) {
      const { other, out } = await restored(dir, '--erasures', list);
      expect(out).to.match(
        /\n1 of 1 users and \d+ of \d+ messages of the list are erased and deleted again;/,
      );
      const { ada: me, eve: gone } = people();
      const device = await RawSocket.open(other.wsUrl, me.token);
      const texts = await textsOf(device, roomId);
      for (const [seq, text] of said)
        expect(texts.get(seq), `message ${seq} of ${said.size}`).to.equal(
          load.deleted.has(seq) ? null : text,
        );
      for (const [seq, text] of texts)
        expect(text).to.equal(load.deleted.has(seq) ? null : load.said.get(seq));
      const { user } = (await ask(other.url, `GET /user/${gone.userId}`, { token: me.token })).body;
      expect(user).to.include({ username: null, erased: true });
      const { seq } = await say(device, roomId, 'said in the new history');
      expect(seq).to.equal(texts.size + 1);
      expect((await textsOf(device, roomId)).get(seq)).to.equal('said in the new history');
      await device.close();
      await other.stop();
      const replayed = await parley(['audit', 'replay', '--type', 'MessageSent'], other.settings);
      for (const line of replayed.out.trim().split('\n')) {
        const { data } = JSON.parse(line);
        if (data.roomId === roomId && load.deleted.has(data.seq)) expect(data.text).to.equal(null);
      }
      const verified = await parley(['audit', 'verify'], other.settings);
      expect({ code: verified.code, err: verified.err }).to.deep.equal({ code: 0, err: '' });
      expect(verified.out).to.match(/\nverified: nothing is wrong\n$/);
    }
  });

  it('refuses a cursor from before', async () => {
    const { other } = await restored(backups.at(-1)?.dir ?? '', '--erasures', list);
    const device = await RawSocket.connect(other.wsUrl);
    const refused = await device.refusal('identity', { token: people().ada.token, cursor });
    expect(refused.code).to.equal('bad_request');
    await device.close();
    await other.stop();
  });

  it('says so when no list is given; what was deleted before it began stays deleted all the same', async () => {
    const [first] = backups;
    const { other, out } = await restored(first?.dir ?? '');
    expect(out).to.match(/^no list of erasures was given: .* can be read again$/m);
    const device = await RawSocket.open(other.wsUrl, people().ada.token);
    const texts = await textsOf(device, roomId);
    for (const seq of first?.deleted ?? []) expect(texts.get(seq)).to.equal(null);
    const later = [...load.deleted].filter((seq) => texts.get(seq) === load.said.get(seq));
    await device.close();
    await other.kill();
    const again = await restored(first?.dir ?? '', '--erasures', list);
    await again.other.kill();
    expect(again.out).to.match(new RegExp(`\\n1 of 1 users and ${later.length} of `));
  });
});
