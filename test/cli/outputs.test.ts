import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { Rest } from '../../packages/client/src/rest.js';
import { logFileOf } from '../../src/projections/store/engine.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import { signUp } from '../support/people.js';
import { commandLine } from '../support/program.js';
import { RawSocket } from '../support/rawSocket.js';
import { startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

/** The largest file that a limited command can write, in KiB. The log's own files are not written. */
const LIMIT_KIB = 48;

interface Failed {
  readonly code: number | null;
  readonly err: string;
}

describe('A command that cannot write what it was asked for', function () {
  this.timeout(180_000);
  let env: Record<string, string>;
  let userId: string;
  let roomId: string;
  let messageId: string;
  let reportId: string;
  let keyId: string;
  before(async function () {
    // Only there is a disk that is always full.
    if (process.platform !== 'linux') return this.skip();
    const server = await startServer({ engine: 'sqlite', env: { RATE_LIMIT: 'off' } });
    env = { DATA_DIR: server.dataDir };
    const [ann, bob] = [await signUp(server, 'ann'), await signUp(server, 'bob')];
    await signUp(server, 'cid');
    userId = ann.user.userId;
    const { token } = await new Rest(server.url).signIn(ann.username, ann.password);
    const device = await RawSocket.open(server.wsUrl, token);
    const { room } = await device.request('init chat', { friendId: bob.user.userId });
    roomId = room.roomId;
    messageId = crypto.randomUUID();
    await device.request('send message', { roomId, messageId, message: 'first' });
    reportId = crypto.randomUUID();
    await device.request('report', { reportId, userId: bob.user.userId, category: 'spam' });
    for (let n = 0; n < 200; n++)
      await device.request('send message', {
        roomId,
        messageId: crypto.randomUUID(),
        message: `${n}`.repeat(100),
      });
    await parley(['role', 'auditor', 'ann'], env);
    await parley(['key', 'add', 'shop', '--scopes', 'rooms'], env);
    keyId = JSON.parse((await parley(['key', 'list'], env)).out).keyId;
    // Asked for, it is signed.
    expect((await ask(server.url, 'GET /audit/log/0/checkpoint', { token })).status).to.equal(200);
    device.socket.terminate();
    await server.stop();
  });

  /** Runs a command whose standard output, or error, goes there. */
  async function run(
    args: readonly string[],
    { stdout = 'pipe', limit }: { readonly stdout?: number | 'pipe'; readonly limit?: number } = {},
  ): Promise<Failed> {
    const limited = limit === undefined ? '' : `ulimit -f ${limit}; `;
    const child = spawn('bash', ['-c', `${limited}exec "$0" "$@"`, process.execPath, commandLine, ...args], {
      env: { PATH: process.env.PATH, BCRYPT_COST: '4', ...env },
      stdio: ['ignore', stdout, 'pipe'],
    });
    child.stdout?.resume();
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const [code, err] = await Promise.all([ended, child.stderr ? text(child.stderr) : '']);
    return { code, err };
  }

  const oneLine = /^parley: [^\n]+\n$/;

  /** Every command with arguments that make it print or write; undefined: tests of its own. */
  const verbs: Record<string, (() => readonly string[]) | undefined> = {
    serve: undefined,
    role: () => ['auditor', 'bob'],
    'user list': () => [],
    'user suspend': () => ['bob', '--reason', 'spam'],
    'user restore': () => ['bob', '--reason', 'a mistake'],
    'user reset-password': () => ['bob'],
    'user erase': () => ['cid'],
    'user sessions': () => ['ann'],
    'message delete': () => [roomId, messageId],
    'report list': () => [],
    'report show': () => [reportId],
    'report decide': () => [reportId, '--note', 'seen', '--suspend'],
    'subscription list': undefined,
    rebuild: () => ['users'],
    backup: () => [join(tempDir(), 'backup')],
    restore: undefined,
    move: undefined,
    'audit verify': () => [],
    'audit check-log': () => [],
    'audit replay': () => [],
    'audit as-of room': () => [roomId],
    'audit as-of user': () => [userId],
    'audit export': () => [join(tempDir(), 'bundle')],
    'audit accept': undefined,
    'audit key rotate': () => [],
    'key add': () => ['shop', '--scopes', 'users'],
    'key list': () => [],
    'key revoke': () => [keyId],
  };

  /** The commands that the help lists. A group is known by a command of it in `verbs`. */
  async function listVerbs(path: readonly string[] = []): Promise<string[]> {
    const { out } = await parley([...path, '--help']);
    const [, listed = ''] = /\nCommands:\n(.*?)(\n\n|$)/s.exec(out) ?? [];
    const names = [...listed.matchAll(/^ {2}([a-z-]+)/gm)]
      .map(([, name = '']) => name)
      .filter((n) => n !== 'help');
    const below = names.map(async (name) => {
      const verb = [...path, name].join(' ');
      const isGroup = Object.keys(verbs).some((other) => other.startsWith(`${verb} `));
      return isGroup ? await listVerbs([...path, name]) : [verb];
    });
    return (await Promise.all(below)).flat();
  }

  it('is each command of the help', async () => {
    expect((await listVerbs()).sort()).to.deep.equal(Object.keys(verbs).sort());
  });

  for (const [verb, args] of Object.entries(verbs))
    if (args)
      it(`says so in one line while the disk of standard output is full: ${verb}`, async () => {
        const { code, err } = await run([...verb.split(' '), ...args()], {
          stdout: openSync('/dev/full', 'w'),
        });
        expect(err).to.match(oneLine).and.contain('ENOSPC');
        expect(code).to.equal(1);
      });

  /** The commands that write to a path, with that path. */
  const writers: Record<string, (path: string) => readonly string[]> = {
    'audit replay --out': (path) => ['audit', 'replay', '--out', path],
    'audit export': (path) => ['audit', 'export', path],
    'audit verify --state': (path) => ['audit', 'verify', '--state', path],
    backup: (path) => ['backup', path],
    'backup --erasures': (path) => ['backup', '--erasures', path],
  };

  for (const [name, command] of Object.entries(writers)) {
    it(`says so in one line, and leaves nothing: ${name} below a file`, async () => {
      const folder = tempDir();
      writeFileSync(join(folder, 'file'), 'mine');
      const { code, err } = await run(command(join(folder, 'file', 'out')));
      expect(err).to.match(oneLine);
      expect(code).to.equal(1);
      expect(readdirSync(folder)).to.deep.equal(['file']);
    });

    // The other two write too little.
    if (!['audit verify --state', 'backup --erasures'].includes(name))
      it(`says so in one line, and leaves nothing: ${name} on a disk that becomes full`, async () => {
        const folder = tempDir();
        const path = join(folder, 'out');
        const { code, err } = await run(command(path), { limit: LIMIT_KIB });
        // SQLite has words of its own for it.
        expect(err)
          .to.match(oneLine)
          .and.match(/EFBIG|disk/);
        expect(code).to.equal(1);
        expect(readdirSync(folder)).to.deep.equal([]);
        expect(await run(command(path))).to.deep.equal({ code: 0, err: '' });
        expect(readdirSync(folder)).to.deep.equal(['out']);
      });
  }

  it('says so in one line: a replay into a folder that is missing, which is not made', async () => {
    const folder = tempDir();
    const { code, err } = await run(['audit', 'replay', '--out', join(folder, 'missing', 'out')]);
    expect(err).to.match(oneLine).and.contain('ENOENT');
    expect(code).to.equal(1);
    expect(readdirSync(folder)).to.deep.equal([]);
  });

  it('says so in one line: a replay into a device that is full, which stays', async () => {
    const { code, err } = await run(['audit', 'replay', '--out', '/dev/full']);
    expect(err).to.match(oneLine).and.contain('ENOSPC');
    expect(code).to.equal(1);
    expect(statSync('/dev/full').isCharacterDevice()).to.equal(true);
  });

  it('leaves what was there: a file of an earlier replay, an empty folder, and one that is not empty', async () => {
    const folder = tempDir();
    const file = join(folder, 'file');
    writeFileSync(file, 'of yesterday');
    expect((await run(['audit', 'replay', '--out', file], { limit: LIMIT_KIB })).code).to.equal(1);
    expect(readFileSync(file, 'utf8')).to.equal('of yesterday');
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    expect((await run(['audit', 'export', empty], { limit: LIMIT_KIB })).code).to.equal(1);
    expect(readdirSync(empty)).to.deep.equal([]);
    const full = join(folder, 'full');
    mkdirSync(full);
    writeFileSync(join(full, 'mine'), '');
    expect((await run(['audit', 'export', full])).err)
      .to.match(oneLine)
      .and.contain('is not empty');
    expect(readdirSync(full)).to.deep.equal(['mine']);
    expect(readdirSync(folder).sort()).to.deep.equal(['empty', 'file', 'full']);
  });

  it('ends with 1, although its reader has gone: a check that finds something wrong', async () => {
    const db = new DatabaseSync(logFileOf(env.DATA_DIR ?? ''));
    db.exec('DELETE FROM commits_0 WHERE position = 5');
    db.close();
    for (const verb of ['verify', 'check-log']) {
      // A pipe that nobody reads.
      const child = spawn(process.execPath, [commandLine, 'audit', verb], {
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      child.stdout?.destroy();
      expect(await new Promise((resolve) => child.once('close', resolve)), verb).to.equal(1);
    }
  });

  it('makes no file: a replay of a log that is missing', async () => {
    const out = join(tempDir(), 'out');
    env = { ...env, DATA_DIR: tempDir() };
    expect((await run(['audit', 'replay', '--out', out])).code).to.equal(1);
    expect(existsSync(out)).to.equal(false);
  });
});
