import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Rest } from '../../packages/client/src/rest.js';
import { allBlocks } from '../docs/blocks.js';
import { talk } from '../e2e/newcomer.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/freePort.js';
import { tempDir } from '../support/tempDir.js';
import { repository } from './dockerfile.js';
import { Program } from './program.js';

const units = join(repository, 'deploy/systemd');
const version: string = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')).version;

/** What a unit says of one key, in its order. */
const valuesOf = (unit: string, key: string): string[] =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);

/** The environment that systemd gives the program of a unit. */
function environmentOf(unit: string): Record<string, string> {
  const given = valuesOf(unit, 'Environment').flatMap((line) => line.split(' '));
  const files = valuesOf(unit, 'EnvironmentFile').map((path) => path.replace(/^-/, ''));
  const lines = files.flatMap((path) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []));
  return Object.fromEntries(
    [...given, ...lines].filter((line) => line.includes('=')).map((line) => line.split(/=(.*)/s).slice(0, 2)),
  );
}

/** What npm needs of this process, without what the npm that runs the tests says of this project, and the tests' stores. */
const environmentOfNpm = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        !/^(?:npm_(?:config_(?:ignore_scripts|include|omit|local_prefix|prefix)|lifecycle.*|package.*)|NODE_ENV|MONGO_URL|NATS_URL)$/.test(
          name,
        ),
    ),
  );

/** A machine in a directory: the commands of docs/small-server.md run in it, and change nothing outside. */
class SmallServer {
  readonly #root = tempDir();
  readonly #metricsPort: number;
  #server: Program | undefined;
  url = '';

  private constructor(metricsPort: number) {
    this.#metricsPort = metricsPort;
    for (const path of [
      ...['opt', 'etc/systemd/system', 'etc/caddy', 'var/lib/parley', 'var/backups'],
      ...['usr/local/bin', 'bin'],
    ])
      mkdirSync(join(this.#root, path), { recursive: true });
    // The command asks whether it is root, and becomes the user of the service.
    this.#program('bin/id', 'echo 0');
    this.#program('bin/runuser', 'shift 3; exec "$@"');
  }

  #program(path: string, script: string): void {
    writeFileSync(this.at(path), `#!/bin/sh\n${script}\n`);
    chmodSync(this.at(path), 0o755);
  }

  /** Gives a script of the package the paths of this machine. */
  locate(path: string): void {
    writeFileSync(this.at(path), this.#located(readFileSync(this.at(path), 'utf8')));
  }

  static async make(): Promise<SmallServer> {
    return new SmallServer(await freePort());
  }

  /** A path of this machine as one of the real one. */
  at(path: string): string {
    return join(this.#root, path);
  }

  /** A text with paths of this machine as one with those of the real one. */
  #located(text: string): string {
    return (
      text
        .replaceAll(/(?<![\w.])\/(opt|etc|var|usr\/local)\//g, `${this.#root}/$1/`)
        .replaceAll('9464', String(this.#metricsPort))
        // Afterwards: the port in it may have those digits.
        .replaceAll('http://127.0.0.1:3000', this.url)
        .replaceAll(' -o parley -g parley', '')
    );
  }

  /** Runs the commands of a block. What it would do to the system is only noted; the service of a backup runs. */
  run(code: string): string {
    const backup = valuesOf(this.unit('parley-backup.service'), 'ExecStart')[0] ?? 'false';
    const settings = Object.entries(environmentOf(this.unit('parley-backup.service')));
    const prelude = `
apt-get() { :; }
useradd() { :; }
systemctl() {
  if [ "$*" = "start parley-backup.service" ]; then env ${settings.map((pair) => pair.join('=')).join(' ')} ${backup}
  else echo "systemctl $*"; fi
}
`;
    const env: NodeJS.ProcessEnv = { ...environmentOfNpm(), npm_config_prefer_offline: 'true' };
    env.PATH = [this.at('bin'), this.at('usr/local/bin'), env.PATH].join(':');
    const { status, stdout, stderr } = spawnSync(
      'bash',
      ['--norc', '-euo', 'pipefail', '-c', prelude + this.#located(code)],
      { cwd: this.#root, env, encoding: 'utf8' },
    );
    expect(status, stdout + stderr).to.equal(0);
    return stdout;
  }

  /** An installed unit, with the paths of this machine; empty if there is none yet. */
  unit(name: string): string {
    const path = this.at(`etc/systemd/system/${name}`);
    return existsSync(path) ? this.#located(readFileSync(path, 'utf8')) : '';
  }

  /** Starts what the unit says, in its environment. */
  async start(): Promise<void> {
    await this.#server?.stop();
    const unit = this.unit('parley.service');
    const [program = '', ...args] = (valuesOf(unit, 'ExecStart')[0] ?? '').split(' ');
    const port = await freePort();
    const server = new Program([program, ...args], { ...environmentOf(unit), PORT: String(port) });
    this.#server = server;
    await eventually('the server listens', () => server.said.includes('listening on'));
    this.url = `http://127.0.0.1:${port}`;
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }
}

describe('An installation from the package', function () {
  this.timeout(300_000);
  const blocks = allBlocks().filter(({ file, info }) => file === 'docs/small-server.md' && info === 'sh');
  const blockWith = (text: string): string => {
    const found = blocks.filter(({ code }) => code.includes(text));
    expect(found, text).to.have.length(1);
    return found[0]?.code ?? '';
  };
  let machine: SmallServer;
  before('pack', async () => {
    machine = await SmallServer.make();
    const { status, stderr } = spawnSync('npm', ['pack', '--pack-destination', machine.at('/')], {
      cwd: repository,
      env: environmentOfNpm(),
      encoding: 'utf8',
    });
    expect(status, stderr).to.equal(0);
    cpSync(machine.at(`parley-${version}.tgz`), machine.at('parley-0.2.0.tgz'));
  });
  after(() => machine?.stop());

  it('follows docs/small-server.md: it is installed, serves, is backed up and updated', async () => {
    expect(machine.run(blockWith('useradd'))).to.include(
      'systemctl enable --now parley.service parley-backup.timer',
    );
    expect(readdirSync(machine.at('opt/parley/node_modules'))).to.not.include('pino-pretty');
    await machine.start();
    for (const path of ['/', '/audit', '/docs', '/ready'])
      expect((await fetch(machine.url + path)).status, path).to.equal(200);
    expect((await fetch(`${machine.url}/metrics`)).status).to.equal(404);
    await talk({ url: machine.url, wsUrl: `${machine.url.replace('http', 'ws')}/ws` });
    expect(machine.run(blockWith(':9464/ready'))).to.include('"ready"');

    machine.run(blockWith('caddy.service.d'));
    expect(readFileSync(machine.at('etc/caddy/Caddyfile'), 'utf8')).to.include('reverse_proxy');
    expect(Buffer.from(machine.run(blockWith('cat /var/lib/parley/master.key')), 'base64')).to.have.length(
      32,
    );
    expect(machine.run(blockWith('\nls /var/backups/parley\n'))).to.match(/\n\d{8}T\d{6}Z\nerasures\n$/);

    machine.run(blockWith('version=0.2.0'));
    await machine.start();
    expect((await fetch(`${machine.url}/ready`)).status).to.equal(200);
  });

  it('follows docs/small-server.md: its users are managed, and its data is restored from the backup', async () => {
    machine.locate('opt/parley/deploy/parley.sh');
    const rest = new Rest(machine.url);
    for (const name of ['ann', 'bob']) await rest.signUp(name, `correct horse ${name}`);
    const said = machine.run(blockWith('parley role admin ann'));
    expect(said)
      .to.match(/^bob\t/m)
      .and.to.include('ann is an admin now')
      .and.to.match(/sets a new password once/);
    machine.run(blockWith('/user/password-reset'));
    const { token, user: bob } = await rest.signIn('bob', 'correct horse 5');

    machine.run(blockWith('\nls /var/backups/parley\n'));
    cpSync(machine.at('var/lib/parley/master.key'), machine.at('master.key'));
    await machine.stop();
    expect(machine.run(blockWith('parley.check'))).to.match(/verified: nothing is wrong\n$/);
    expect(existsSync(machine.at('var/lib/parley.check'))).to.equal(false);
    const [restore = '', verify = ''] = blockWith('/var/lib/parley.old').split(
      /(?<=systemctl start parley\n)/,
    );
    expect(machine.run(restore)).to.include('are put back into');
    await machine.start();
    expect(machine.run(verify)).to.match(/verified: nothing is wrong\n$/);
    const { user } = await new Rest(machine.url).user(token, bob.userId);
    expect(user.username).to.equal('bob');
  });

  it('has a command that reads settings as systemd does, and is for root alone', () => {
    const mongo = 'mongodb://a,b/parley?replicaSet=rs0&tls=true';
    const file = machine.at('etc/parley.env');
    const before = readFileSync(file, 'utf8');
    writeFileSync(file, `# a comment\n\nMONGO_URL=${mongo}\nLOG_ORIGIN="two words"`);
    const bin = machine.at('opt/parley/dist/server/lib/bin.js');
    const kept = readFileSync(bin, 'utf8');
    writeFileSync(bin, '#!/bin/sh\necho "$MONGO_URL|$LOG_ORIGIN|$DATA_DIR|$*"\n');
    expect(machine.run('parley user list')).to.equal(
      `${mongo}|two words|${machine.at('var/lib/parley')}|user list\n`,
    );
    // The caller's word has precedence, and a directory is not taken for the service's database.
    writeFileSync(file, 'LOG_ORIGIN=one\nLOG_ORIGIN=two\nLOG_LEVEL=warn\nMONGO_URL=a\nNATS_URL=b\n');
    writeFileSync(bin, '#!/bin/sh\necho "$DATA_DIR|$MONGO_URL|$NATS_URL|$LOG_ORIGIN|$LOG_LEVEL"\n');
    const usual = machine.at('var/lib/parley');
    expect(machine.run('parley audit verify')).to.equal(`${usual}|a|b|two|warn\n`);
    expect(machine.run('DATA_DIR=copy LOG_LEVEL=info parley audit verify')).to.equal('copy|||two|info\n');
    expect(machine.run('DATA_DIR=copy MONGO_URL=c parley audit verify')).to.equal('copy|c|b|two|warn\n');
    writeFileSync(bin, kept);
    writeFileSync(file, before);
    writeFileSync(machine.at('bin/id'), '#!/bin/sh\necho 1000\n');
    expect(() => machine.run('parley user list')).to.throw(
      'run this as root, such as: sudo parley user list',
    );
    rmSync(machine.at('bin/id'));
  });

  it('keeps the newest backups only, and none that was cut off', () => {
    const to = machine.at('var/backups/old');
    const [oldest, middle, newest, ...cutOff] = [1, 2, 3, 4, 5].map((day) => `2025010${day}T000000Z`);
    for (const name of [oldest, middle, newest].map(String)) {
      mkdirSync(join(to, name), { recursive: true });
      writeFileSync(join(to, name, 'backup.json'), '{}');
    }
    for (const name of cutOff) mkdirSync(join(to, name, 'unfinished'), { recursive: true });
    mkdirSync(join(to, 'mine of FritZ'));
    const { status, stdout, stderr } = spawnSync(machine.at('opt/parley/deploy/backup.sh'), [to], {
      env: { PATH: process.env.PATH, DATA_DIR: machine.at('var/lib/parley'), KEEP: '3' },
      encoding: 'utf8',
    });
    expect(status, stderr).to.equal(0);
    for (const name of cutOff)
      expect(stdout).to.include(`removed ${join(to, name)}: that backup was cut off`);
    const left = readdirSync(to).filter((name) => name.endsWith('Z'));
    expect(left).to.have.length(4).and.to.include.members([middle, newest, 'mine of FritZ']);
  });

  it('writes the list of erasures alone for a system on MongoDB', () => {
    const dir = tempDir();
    const [script, to] = [join(dir, 'deploy/backup.sh'), join(dir, 'backups')];
    cpSync(machine.at('opt/parley/deploy/backup.sh'), script);
    const bin = join(dir, 'dist/server/lib/bin.js');
    mkdirSync(join(bin, '..'), { recursive: true });
    writeFileSync(bin, '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
    const env = { PATH: process.env.PATH, MONGO_URL: 'mongodb://127.0.0.1:1/parley' };
    const { status, stdout } = spawnSync(script, [to], { env, encoding: 'utf8' });
    expect(status).to.equal(0);
    expect(stdout).to.match(/^backup --erasures .*\/backups\/erasures\nMONGO_URL is set: [^\n]+\n$/);
  });

  it('makes one backup at a time', () => {
    const to = machine.at('var/backups/locked');
    mkdirSync(join(to, '20250101T000000Z/unfinished'), { recursive: true });
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', 'flock "$1/.lock" "$0" "$1"', machine.at('opt/parley/deploy/backup.sh'), to],
      { env: { PATH: process.env.PATH, DATA_DIR: machine.at('var/lib/parley') }, encoding: 'utf8' },
    );
    expect([status, stderr]).to.deep.equal([1, `another backup into ${to} is running: wait for its end\n`]);
    expect(readdirSync(to)).to.have.members(['.lock', '20250101T000000Z']);
  });

  it('makes one also within the second of another', () => {
    const to = machine.at('var/backups/soon');
    const now = Date.now();
    const taken = [0, 1, 2].map((n) => new Date(now + n * 1000).toISOString().replace(/[-:]|\.\d+/g, ''));
    for (const name of taken) {
      mkdirSync(join(to, name), { recursive: true });
      writeFileSync(join(to, name, 'backup.json'), '{}');
    }
    const { status, stderr } = spawnSync(machine.at('opt/parley/deploy/backup.sh'), [to], {
      env: { PATH: process.env.PATH, DATA_DIR: machine.at('var/lib/parley') },
      encoding: 'utf8',
    });
    expect(status, stderr).to.equal(0);
    expect(readdirSync(to).filter((name) => name.endsWith('Z')))
      .to.have.length(4)
      .and.include.members(taken);
  });

  it('has units that systemd takes, and that leave the server few rights', function () {
    if (spawnSync('systemd-analyze', ['--version']).error) this.skip();
    const dir = tempDir();
    const installed = machine.at('opt/parley');
    const names = readdirSync(units);
    for (const name of names)
      writeFileSync(
        join(dir, name),
        readFileSync(join(units, name), 'utf8').replaceAll('/opt/parley', installed),
      );
    const analyze = (...args: string[]) =>
      spawnSync('systemd-analyze', args, {
        cwd: dir,
        encoding: 'utf8',
        env: { ...process.env, NO_COLOR: '1' },
      });
    const { status, stdout, stderr } = analyze('verify', '--man=no', ...names.map((name) => join(dir, name)));
    expect([status, stdout, stderr.replaceAll(/^.*(?:Failed to open|SO_PASSCRED).*\n/gm, '')]).to.deep.equal([
      0,
      '',
      '',
    ]);
    for (const name of names.filter((each) => each.endsWith('.service'))) {
      // 0 is no exposure and 100 is that of a program of root without limits.
      const found = analyze('security', '--offline=true', '--threshold=30', join(dir, name));
      expect(found.status, found.stdout + found.stderr).to.equal(0);
    }
  });
});
