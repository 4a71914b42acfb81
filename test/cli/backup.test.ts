import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { remoteOperator } from '../../src/app/controlSocket.js';
import { controlSocketOf } from '../../src/app/operator.js';
import { chatOf, Newcomer, say, talk } from '../e2e/newcomer.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { isSoak } from '../support/lanes.js';
import { parley } from '../support/parley.js';
import { commandLine } from '../support/program.js';
import { RawSocket } from '../support/rawSocket.js';
import { rejection } from '../support/rejection.js';
import { DidNotStart, type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

const MOMENTS = isSoak ? 30 : 2;
/** Every further message is restored and verified several times. */
const IN_FLIGHT = isSoak ? 20 : 4;
const PARTS = ['backup.json', 'log.db', 'vault.db'];

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

/** Flips a bit in the middle of a file. */
function flipBit(file: string): void {
  const bytes = readFileSync(file);
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 64;
  writeFileSync(file, bytes);
}

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
  /** The ids of what was said, by `seq`. */
  readonly ids = new Map<number, string>();
  readonly #running: Promise<unknown>;
  #isStopped = false;

  constructor(server: ServerProcess, device: RawSocket, roomId: string) {
    let next = 0;
    const talk = async () => {
      while (!this.#isStopped) {
        const number = ++next;
        const { seq, messageId } = await say(device, roomId, `message ${number}`);
        this.said.set(seq, `message ${number}`);
        this.ids.set(seq, messageId);
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
  /** What had been answered when each backup began. */
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

  before('backups are made while messages are sent and deleted; then somebody is erased', async () => {
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
      const dir = join(tempDir(), 'new', 'backup');
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
    await eventually('more is deleted than any backup has', () => load.deleted.size >= told + 3);
    await load.stop();
    // In every backup with its text.
    const kept = [...(backups[0]?.said.keys() ?? [])].filter((seq) => !load.deleted.has(seq)).slice(0, 3);
    expect(kept).to.have.length(3);
    for (const seq of kept) {
      await deleteOn(server, roomId, load.ids.get(seq) ?? '');
      load.deleted.add(seq);
    }
    cursor = device.cursor;
    const erased = await ask(server.url, `DELETE /user/${people().eve.userId}`, {
      token: people().eve.token,
      json: { password: people().eve.password },
    });
    expect(erased.status).to.equal(204);
    const { code, out, err } = await parley(['backup', '--erasures', list], server.settings);
    expect({ code, out, err }).to.deep.equal({
      code: 0,
      out: `${list} lists what was erased (users: 1) and deleted (messages: ${load.deleted.size})\n`,
      err: '',
    });
    await device.close();
  });
  after(() => server?.kill());

  /** Restores a backup, and starts a server on it. */
  async function restored(dir: string, ...options: string[]) {
    const dataDir = directoryWithKeyOf(server.dataDir);
    const before = contentsOf(dir);
    const ran = await parley(['restore', dir, ...options], { DATA_DIR: dataDir });
    expect({ code: ran.code, err: ran.err }).to.deep.equal({ code: 0, err: '' });
    expect(contentsOf(dir), 'the backup is left as it is').to.deep.equal(before);
    const other = await startServer({ engine: 'sqlite', dataDir, env: { RATE_LIMIT: 'off' } });
    expect(other.log).to.include('the log was restored: this is the first start on a new history');
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
        // The new message may have the place of one that was lost with the old history.
        if (data.roomId === roomId && data.seq !== seq && load.deleted.has(data.seq))
          expect(data.text).to.equal(null);
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
    expect(later.length).to.be.at.least(3);
    await device.close();
    await other.kill();
    const again = await restored(first?.dir ?? '', '--erasures', list);
    await again.other.kill();
    expect(again.out).to.match(new RegExp(`\\n1 of 1 users and ${later.length} of `));
  });
});

describe('parley backup', function () {
  this.timeout(180_000);
  let server: ServerProcess;
  before(async () => {
    server = await startServer({ engine: 'sqlite' });
    await Newcomer.at(server);
  });
  after(() => server?.kill());

  /** The only line of a command that is refused. */
  async function refusal(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
    const { code, out, err } = await parley(args, env);
    expect({ code, out }).to.deep.equal({ code: 1, out: '' });
    expect(err).to.match(/^parley: [^\n]+\n$/);
    return err;
  }

  it('is refused in one line, and leaves nothing, where it cannot be made', async () => {
    const [full, file, empty] = [tempDir(), join(tempDir(), 'file'), tempDir()];
    writeFileSync(join(full, 'other'), 'other');
    writeFileSync(file, 'a file');
    const { settings } = server;
    expect(await refusal(['backup', full], settings)).to.include('is not empty; name an empty directory');
    expect(await refusal(['backup', file], settings)).to.include('cannot be read as a directory');
    expect(await refusal(['backup', join(file, 'below')], settings)).to.include(file);
    expect(await refusal(['backup', '/proc/nowhere/new'], settings)).to.include('could not be made');
    expect(await refusal(['backup', empty], { DATA_DIR: tempDir() })).to.include('holds no embedded system');
    const MONGO_URL = 'mongodb://127.0.0.1:1/none';
    expect(await refusal(['backup', empty], { ...settings, MONGO_URL })).to.include('MONGO_URL is set');
    expect(await refusal(['backup', '--erasures', '/proc/nowhere/list'], settings)).to.include(
      'not be written',
    );
    expect(await refusal(['backup', '--erasures', full], settings)).to.include(
      'is not a file; name a new file',
    );
    expect([readdirSync(full), readdirSync(empty)]).to.deep.equal([['other'], []]);
    expect(readdirSync(join(full, '..')).filter((name) => name.startsWith(basename(full)))).to.have.length(1);
    expect(readFileSync(file, 'utf8')).to.equal('a file');
  });

  it('of erasures replaces an earlier list of this log, and nothing else', async () => {
    const [dir, { settings, dataDir }] = [tempDir(), server];
    const list = join(dir, 'list');
    for (let time = 0; time < 2; time++)
      expect((await parley(['backup', '--erasures', list], settings)).out).to.match(
        / lists what was erased /,
      );
    const foreign = readFileSync(list, 'utf8').replace(/"log":"[^"]+"/, '"log":"another"');
    const others: Record<string, string> = {
      'notes.txt': 'mine',
      'another list': foreign,
      'a list that was cut off': readFileSync(list, 'utf8').slice(0, 20),
      empty: '',
    };
    for (const [name, text] of Object.entries(others)) writeFileSync(join(dir, name), text);
    symlinkSync('notes.txt', join(dir, 'link'));
    const log = readFileSync(join(dataDir, 'log.db'));
    const key = readFileSync(join(dataDir, 'master.key'), 'utf8');
    for (const file of [
      ...[...Object.keys(others), 'link'].map((name) => join(dir, name)),
      ...[join(dataDir, 'log.db'), join(dataDir, 'master.key'), '/dev/full'],
    ])
      expect(await refusal(['backup', '--erasures', file], settings), file).to.match(/name a new (one|file)/);
    for (const [name, text] of Object.entries(others))
      expect(readFileSync(join(dir, name), 'utf8'), name).to.equal(text);
    expect(lstatSync(join(dir, 'link')).isSymbolicLink()).to.equal(true);
    expect(readFileSync(join(dataDir, 'master.key'), 'utf8')).to.equal(key);
    expect(readFileSync(join(dataDir, 'log.db')).subarray(0, 16)).to.deep.equal(log.subarray(0, 16));
    expect(lstatSync('/dev/full').isCharacterDevice()).to.equal(true);
  });

  it('is refused in the directory of the system, and does not start as a system', async () => {
    expect(await refusal(['backup', join(server.dataDir, 'copy')], server.settings)).to.include(
      'is in DATA_DIR',
    );
    const target = join(tempDir(), 'copy');
    await parley(['backup', target], server.settings);
    copyFileSync(join(server.dataDir, 'master.key'), join(target, 'master.key'));
    const before = contentsOf(target);
    const refused = await rejection(startServer({ engine: 'sqlite', dataDir: target }));
    expect(refused).to.be.instanceOf(DidNotStart);
    expect(refused.message).to.match(/is a backup; set DATA_DIR to an empty directory/);
    expect(contentsOf(target)).to.deep.equal(before);
  });

  it('removes what it has written when a part of the system cannot be copied', async () => {
    const dataDir = tempDir();
    await parley(['backup', join(dataDir, 'copy')], server.settings);
    const broken = tempDir();
    copyFileSync(join(dataDir, 'copy', 'log.db'), join(broken, 'log.db'));
    writeFileSync(join(broken, 'vault.db'), 'this is no database, and has more than a few bytes'.repeat(100));
    for (const target of [tempDir(), join(tempDir(), 'new', 'directory')]) {
      const had = existsSync(target);
      expect(await refusal(['backup', target], { DATA_DIR: broken })).to.include('file is not a database');
      expect(existsSync(target)).to.equal(had);
      if (had) expect(readdirSync(target)).to.deep.equal([]);
    }
  });

  it('looks like no backup when it was cut off', async () => {
    const target = join(tempDir(), 'copy');
    const child = spawn(process.execPath, [commandLine, 'backup', target], {
      env: { PATH: process.env.PATH, ...server.settings },
    });
    const ended = once(child, 'close');
    // An empty directory is no sign of a backup.
    await eventually('it has begun', () => existsSync(target) && readdirSync(target).length > 0);
    child.kill('SIGKILL');
    await ended;
    const dataDir = directoryWithKeyOf(server.dataDir);
    if (readdirSync(target).includes('backup.json')) return; // It was faster.
    const line = await refusal(['restore', target], { DATA_DIR: dataDir });
    expect(line).to.match(/is not a backup: backup\.json is missing or damaged/);
    expect(readdirSync(dataDir)).to.deep.equal(['master.key']);
    expect(await refusal(['backup', target], server.settings)).to.match(
      /was cut off; delete it|is not empty/,
    );
  });

  it('asks what it is to make', async () => {
    for (const args of [['backup'], ['restore'], ['restore', '--here', 'dir']])
      expect(await parley(args, server.settings), args.join(' ')).to.include({ code: 2, out: '' });
  });

  it('copies a system that was stopped, and one that was killed', async () => {
    for (const end of ['stop', 'kill'] as const) {
      const { ada, phone, roomId } = await talk(server);
      await phone.close();
      await server[end]();
      const target = join(tempDir(), end);
      const { code, err } = await parley(['backup', target], server.settings);
      expect({ code, err }).to.deep.equal({ code: 0, err: '' });
      const dataDir = directoryWithKeyOf(server.dataDir);
      expect(await parley(['restore', target], { DATA_DIR: dataDir })).to.include({ code: 0, err: '' });
      const other = await startServer({ engine: 'sqlite', dataDir });
      const device = await RawSocket.open(other.wsUrl, ada.token);
      expect([...(await textsOf(device, roomId)).values()]).to.deep.equal(['hello']);
      await device.close();
      await other.kill();
      await server.start();
    }
  });
});

describe('parley restore <dir>', function () {
  this.timeout(180_000);
  let system: string;
  let backup: string;
  const list = join(tempDir(), 'list');

  before(async () => {
    const server = await startServer({ engine: 'sqlite' });
    const { roomId, hello } = await talk(server);
    backup = join(tempDir(), 'copy');
    expect(await parley(['backup', backup], server.settings)).to.include({ code: 0 });
    await deleteOn(server, roomId, hello.messageId);
    expect(await parley(['backup', '--erasures', list], server.settings)).to.include({ code: 0 });
    await server.stop();
    system = server.dataDir;
  });

  /** A copy of the backup that was changed. */
  function altered(change: (dir: string) => void): string {
    const dir = join(tempDir(), 'altered');
    cpSync(backup, dir, { recursive: true });
    change(dir);
    return dir;
  }
  const edited = (edit: (manifest: Record<string, unknown>) => object): string =>
    altered((dir) => {
      const file = join(dir, 'backup.json');
      writeFileSync(file, JSON.stringify(edit(JSON.parse(readFileSync(file, 'utf8')))));
    });

  const withKey = () => directoryWithKeyOf(system);
  const withOtherKey = (): string => {
    const dir = tempDir();
    writeFileSync(join(dir, 'master.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`);
    return dir;
  };
  const withMore = (): string => {
    const dir = withKey();
    writeFileSync(join(dir, 'log.db'), '');
    return dir;
  };
  const listOf = (edit: (lines: string[]) => string[]): string => {
    const file = join(tempDir(), 'list');
    writeFileSync(file, `${edit(readFileSync(list, 'utf8').trim().split('\n')).join('\n')}\n`);
    return file;
  };

  interface Refused {
    readonly into?: () => string;
    readonly from?: () => string;
    readonly list?: () => string;
    readonly env?: Readonly<Record<string, string>>;
    readonly line: RegExp;
  }
  const cases: Record<string, Refused> = {
    'a directory that is not empty': { into: withMore, line: /is not empty: it has log\.db;/ },
    'a directory that has a system': { into: () => system, line: /is not empty: it has/ },
    'a missing master key': { into: tempDir, line: /master\.key is missing, and the vault needs it;/ },
    'another master key': { into: withOtherKey, line: /the vault was created with another master key;/ },
    'a directory that is no backup': { from: tempDir, line: /is not a backup: backup\.json is missing/ },
    'a directory that does not exist': { from: () => '/nowhere', line: /\/nowhere is not a backup/ },
    'a backup of a newer format': {
      from: () => edited((manifest) => ({ ...manifest, format: 2, more: true })),
      line: /is a backup of format 2, but this version reads format 1;/,
    },
    'a damaged description': {
      from: () => edited(() => ({ format: 1 })),
      line: /backup\.json is missing or damaged/,
    },
    'a log of another history': {
      from: () => edited((manifest) => ({ ...manifest, history: 'other' })),
      line: /is damaged: log\.db is not the log that backup\.json describes/,
    },
    'a log that was cut off': {
      from: () => altered((dir) => truncateSync(join(dir, 'log.db'), 4096)),
      line: /is damaged: /,
    },
    'a log with one changed bit': {
      from: () => altered((dir) => flipBit(join(dir, 'log.db'))),
      line: /is damaged: log\.db is not as it was when it was made/,
    },
    'a vault with one changed bit': {
      from: () => altered((dir) => flipBit(join(dir, 'vault.db'))),
      line: /is damaged: vault\.db is not as it was when it was made/,
    },
    'an empty vault': {
      from: () => altered((dir) => truncateSync(join(dir, 'vault.db'), 0)),
      line: /is damaged: vault\.db is not as it was when it was made/,
    },
    'a lost log': {
      from: () => altered((dir) => rmSync(join(dir, 'log.db'))),
      line: /is damaged: log\.db is missing/,
    },
    'a lost vault': {
      from: () => altered((dir) => rmSync(join(dir, 'vault.db'))),
      line: /is damaged: vault\.db is missing/,
    },
    'another number of partitions': { env: { PARTITIONS: '5' }, line: /was created with \d partitions?/ },
    'a database': {
      env: { MONGO_URL: 'mongodb://127.0.0.1:1/none' },
      line: /^parley: MONGO_URL is set: .* --here/,
    },
    'a missing list': { list: () => '/nowhere/list', line: /\/nowhere\/list cannot be read: / },
    'a list that was cut off': {
      list: () => listOf((lines) => lines.slice(0, -1)),
      line: /is cut off: it has 0 of 1 lines/,
    },
    'a list of another log': {
      list: () =>
        listOf(([head = '', ...rest]) => [head.replace(/"log":"[^"]+"/, '"log":"another"'), ...rest]),
      line: /lists the erasures of another log, another;/,
    },
    'a file that is no list': { list: () => listOf(() => ['a', 'b']), line: /is not a list of erasures/ },
  };

  for (const [name, { into, from, list: listed, env, line }] of Object.entries(cases))
    it(`refuses ${name} in one line, and leaves everything as it was`, async () => {
      const [dataDir, dir] = [into?.() ?? withKey(), from?.() ?? backup];
      const before = [contentsOf(dataDir), existsSync(dir) && contentsOf(dir)];
      const options = listed ? ['--erasures', listed()] : [];
      const { code, out, err } = await parley(['restore', dir, ...options], { DATA_DIR: dataDir, ...env });
      expect({ code, out }).to.deep.equal({ code: 1, out: '' });
      expect(err)
        .to.match(/^parley: [^\n]+\n$/)
        .and.match(line);
      expect([contentsOf(dataDir), existsSync(dir) && contentsOf(dir)]).to.deep.equal(before);
    });

  it('makes a directory that does not exist, and takes the key of MASTER_KEY', async () => {
    const dataDir = join(tempDir(), 'new');
    const MASTER_KEY = readFileSync(join(system, 'master.key'), 'utf8').trim();
    const ran = await parley(['restore', backup], { DATA_DIR: dataDir, MASTER_KEY });
    expect(ran).to.include({ code: 0, err: '' });
    expect(readdirSync(dataDir)).to.include.members(['log.db', 'vault.db']).and.not.include('master.key');
    const other = await startServer({ engine: 'sqlite', dataDir, env: { MASTER_KEY } });
    await other.stop();
  });

  it('that was cut off at any time starts no server, and is finished by the next run', async () => {
    let dataDir = '';
    await eventually('one is cut off before its end', async () => {
      dataDir = withKey();
      const child = spawn(process.execPath, [commandLine, 'restore', backup, '--erasures', list], {
        env: { PATH: process.env.PATH, DATA_DIR: dataDir },
      });
      const ended = once(child, 'close');
      const begun = join(dataDir, 'restoring', 'vault.db');
      await eventually('it has begun', () => existsSync(begun) || child.exitCode !== null);
      child.kill('SIGKILL');
      await ended;
      return existsSync(begun);
    });
    // A later moment of the same run: one file was moved.
    for (const moved of [[], ['log.db']]) {
      for (const name of moved) copyFileSync(join(backup, name), join(dataDir, name));
      const before = contentsOf(join(dataDir, 'restoring'));
      const refused = await rejection(startServer({ engine: 'sqlite', dataDir }));
      expect(refused).to.be.instanceOf(DidNotStart);
      expect(refused.message).to.match(
        /"DATA_DIR \([^)]+\) has a restore that was cut off; run parley restore/,
      );
      expect(contentsOf(join(dataDir, 'restoring'))).to.deep.equal(before);
    }
    const ran = await parley(['restore', backup, '--erasures', list], { DATA_DIR: dataDir });
    expect(ran).to.include({ code: 0, err: '' });
    expect(ran.out).to.match(/^0 of 0 users and 1 of 1 messages of the list are erased and deleted again;/m);
    expect(readdirSync(dataDir)).not.to.include('restoring');
    const other = await startServer({ engine: 'sqlite', dataDir });
    await other.stop();
  });

  it('leaves nothing when it fails after the copy', async () => {
    const dataDir = withKey();
    // Its commits are whole for a reader of their last ones only.
    const dir = altered((copy) => {
      const db = new DatabaseSync(join(copy, 'vault.db'));
      db.exec("UPDATE keys SET roots = x'00'");
      db.close();
      // As if it had been made like this.
      const file = join(copy, 'backup.json');
      const manifest = JSON.parse(readFileSync(file, 'utf8'));
      const sum = createHash('sha256').update(readFileSync(join(copy, 'vault.db')));
      manifest.sums.vault = sum.digest('hex');
      writeFileSync(file, JSON.stringify(manifest));
    });
    const { code, err } = await parley(['restore', dir, '--erasures', list], { DATA_DIR: dataDir });
    expect(code).to.equal(1);
    expect(err).to.match(/^parley: [^\n]+\n$/);
    expect(readdirSync(dataDir)).to.deep.equal(['master.key']);
  });
});
