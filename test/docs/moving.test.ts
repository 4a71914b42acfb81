import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chatOf, Newcomer, say } from '../e2e/newcomer.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { commandLine, serverProgram } from '../support/program.js';
import { tempDir } from '../support/tempDir.js';
import { allBlocks } from './blocks.js';

describe('The commands of docs/moving.md', function () {
  this.timeout(180_000);
  const root = tempDir();
  const blocks = allBlocks().filter(({ file, info }) => file === 'docs/moving.md' && info === 'sh');
  let mongo: string;

  /** Settings and programs of the small server, in a directory. */
  const prelude = `
settings() { echo "DATA_DIR=${root}/var/lib/parley"; cat ${root}/etc/parley.env; }
# A server on MongoDB may count as running for 10 s after its stop.
parley() {
  until env -i PATH="$PATH" BCRYPT_COST=4 $(settings) node '${commandLine}' "$@" 2>${root}/refusal; do
    grep -q 'server runs on this database' ${root}/refusal || { cat ${root}/refusal >&2; return 1; }
    sleep 0.5
  done
}
systemctl() {
  case "$*" in
    'start parley')
      : >${root}/log
      env -i PATH="$PATH" BCRYPT_COST=4 PORT=0 $(settings) node '${serverProgram}' >${root}/log 2>&1 &
      echo $! >${root}/pid
      until grep -q 'listening on' ${root}/log; do kill -0 "$(cat ${root}/pid)"; sleep 0.05; done ;;
    'stop parley')
      kill "$(cat ${root}/pid)"
      while kill -0 "$(cat ${root}/pid)" 2>/dev/null; do sleep 0.05; done ;;
    'start parley-backup.service') parley backup ${root}/var/backups/parley/one ;;
    *) echo "systemctl $*" ;;
  esac
}
`;

  function run(code: string): string {
    const located = code
      .replaceAll(/(?<![\w.])\/(etc|var)\//g, `${root}/$1/`)
      .replaceAll('mongodb://127.0.0.1:27017/parley', mongo)
      .replaceAll(' -o parley -g parley', '');
    const { status, stdout, stderr } = spawnSync(
      'bash',
      ['--norc', '-euo', 'pipefail', '-c', prelude + located],
      { cwd: root, env: { PATH: process.env.PATH }, encoding: 'utf8' },
    );
    expect(status, stdout + stderr + readFileSync(join(root, 'log'), 'utf8')).to.equal(0);
    return stdout;
  }

  /** Where the server listens now. */
  const place = {
    get url() {
      const [, address] = /listening on (http:[^"]+)/.exec(readFileSync(join(root, 'log'), 'utf8')) ?? [];
      return address ?? '';
    },
    get wsUrl() {
      return `${this.url.replace('http', 'ws')}/ws`;
    },
  };

  before('a small server runs', async function () {
    if ((await mongoUrl()) === undefined) return this.skip();
    mongo = await freshDatabase();
    for (const dir of ['etc', 'var/lib/parley', 'var/backups/parley'])
      mkdirSync(join(root, dir), { recursive: true });
    writeFileSync(join(root, 'etc/parley.env'), 'TRUST_PROXY=1\n');
    writeFileSync(join(root, 'log'), '');
    run('systemctl start parley');
  });
  after(() => {
    try {
      process.kill(Number(readFileSync(join(root, 'pid'), 'utf8')));
    } catch {
      // It has ended, or was never started.
    }
  });

  it('move a server to MongoDB and back, and nobody has to sign in again', async () => {
    const [ada, ben] = [await Newcomer.at(place), await Newcomer.at(place)];
    const phone = await ada.device();
    const roomId = await chatOf(phone, ben);
    await say(phone, roomId, 'before');
    await phone.close();
    const [move = '', start = '', remove = '', key = '', back = '', ...others] = blocks.map(
      ({ code }) => code,
    );
    expect(others).to.deep.equal([]);
    // The variable of the first block is used by the second.
    const there = run(move + start);
    expect(there)
      .to.match(/\nnext: MONGO_URL=/)
      .and.include('verified: nothing is wrong');
    run(remove);
    expect(run(key)).to.match(/^\S{43}=\n$/);
    const tablet = await ada.device();
    await say(tablet, roomId, 'on MongoDB');
    await tablet.close();
    expect(run(back)).to.include('verified: nothing is wrong');
    expect(readdirSync(join(root, 'var/lib/parley'))).to.include.members(['log.db', 'vault.db', 'read.db']);
    const again = await ada.device();
    const { messages } = await again.request('fetch messages', { roomId });
    await again.close();
    expect(messages.map(({ message }) => message)).to.deep.equal(['before', 'on MongoDB']);
  });
});
