import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { commandEngines, hasEngine, startFresh } from '../support/engines.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import { newDevice, signUp } from '../support/people.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

for (const engine of commandEngines)
  describe(`The operator's commands on ${engine}`, () => {
    let server: ServerProcess;
    let env: Record<string, string>;
    before(async function () {
      if (!(await hasEngine(engine))) return this.skip();
      server = await startFresh(engine);
      env = { DATA_DIR: server.dataDir, ...server.env };
    });
    after(() => server?.stop());

    it('give a role and take it away, with and without a server', async () => {
      const ann = await signUp(server, 'ann');
      expect(await parley(['role', 'auditor', 'ANN'], env)).to.include({
        code: 0,
        out: 'ANN is an auditor now\n',
      });
      expect((await parley(['role', 'auditor', 'ann'], env)).out).to.equal('ann is already an auditor\n');
      await server.stop();
      expect(await parley(['role', 'auditor', 'ann', '--remove'], env)).to.include({
        ...{ code: 0, err: '', out: 'ann is no longer an auditor\n' },
      });
      await server.start();
      const again = await parley(['role', 'auditor', 'ann', '--remove'], env);
      expect(again.out).to.equal('ann is not an auditor\n');
      for (const [role, noun] of [
        ['moderator', 'a moderator'],
        ['admin', 'an admin'],
      ] as const)
        expect((await parley(['role', role, 'ann'], env)).out).to.equal(`ann is ${noun} now\n`);
      (await newDevice(server, ann)).close();
    });

    it('list, suspend, restore, reset and erase users, with and without a server', async () => {
      const [zoe, yan] = [await signUp(server, 'zoe'), await signUp(server, 'yan')];
      const user = (...args: string[]) => parley(['user', ...args], env);
      const signIn = (password = zoe.password) =>
        ask(server.url, 'POST /user/signin', { json: { username: 'zoe', password } });
      const device = await newDevice(server, zoe);
      expect((await user('sessions', 'zoe')).out).to.match(/^signed in \S+, open until \S+\n$/);
      const { out: listed } = await user('list', 'ZOE');
      expect(listed.split('\t').slice(0, 3)).to.deep.equal(['zoe', zoe.user.userId, zoe.user.createdAt]);
      expect(listed).to.match(/\t1 session\t-\n$/);
      expect((await user('list')).out.split('\n')).to.have.length.above(2);
      expect((await user('suspend', 'ZOE', '--reason', 'spam')).out).to.equal('ZOE is suspended now\n');
      expect((await user('suspend', 'zoe', '--reason', 'spam')).out).to.equal('zoe is already suspended\n');
      expect((await user('list', 'zoe')).out).to.match(/\t0 sessions\tsuspended\n$/);
      expect((await signIn()).body).to.include({ code: 'forbidden', reason: 'suspended' });
      await server.stop();
      expect(await user('restore', 'zoe', '--reason', 'a mistake')).to.deep.equal({
        ...{ code: 0, err: '', out: 'zoe is no longer suspended\n' },
      });
      const { out: issued } = await user('reset-password', 'zoe');
      await server.start();
      expect((await user('restore', 'zoe', '--reason', 'x')).out).to.equal('zoe is not suspended\n');
      expect((await signIn()).status).to.equal(200);
      const [code] = issued.split(' ');
      const json = { username: 'zoe', code, newPassword: 'another mild evening' };
      expect((await ask(server.url, 'POST /user/password-reset', { json })).status).to.equal(204);
      expect((await signIn()).status).to.equal(401);
      expect((await signIn(json.newPassword)).status).to.equal(200);
      expect((await user('sessions', 'zoe', '--end')).out).to.match(/^signed in \S+, ended now\n$/);
      expect((await user('sessions', 'zoe')).out).to.equal('zoe has no open session\n');
      // Who holds a role is for the command line alone.
      expect(await parley(['role', 'admin', 'yan'], env)).to.include({ code: 0 });
      expect((await user('suspend', 'yan', '--reason', 'left')).out).to.equal('yan is suspended now\n');
      expect((await user('erase', 'yan')).out).to.equal('yan is erased\n');
      expect((await user('list')).out).to.match(new RegExp(`^-\\t${yan.user.userId}\\t.*\\terased$`, 'm'));
      device.close();
      for (const verb of ['suspend', 'restore', 'reset-password', 'erase', 'sessions']) {
        const reason = verb === 'suspend' || verb === 'restore' ? ['--reason', 'x'] : [];
        expect(await user(verb, 'yan', ...reason), verb).to.deep.equal({
          ...{ code: 1, out: '', err: 'parley: no user is called yan\n' },
        });
      }
      expect(await user('suspend', 'zoe')).to.include({ code: 2, out: '' });
      expect(await user('suspend', 'zoe', '--reason', ' ')).to.include({ code: 2, out: '' });
    });

    it('add, list and revoke server keys, with and without a server', async () => {
      const key = (...args: string[]) => parley(['key', ...args], env);
      const added = await key('add', 'the shop', '--scopes', 'events,users');
      expect(added).to.include({ code: 0, err: '' });
      expect(added.out).to.match(/^prk_[\w-]{43}\n$/);
      const list = async () =>
        (await key('list')).out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line));
      const [{ keyId, createdAt, ...first }] = await list();
      expect(first).to.deep.equal({ name: 'the shop', scopes: ['users', 'events'] });
      expect((await key('revoke', keyId)).out).to.equal(`key ${keyId} is revoked\n`);
      await server.stop();
      expect((await key('revoke', keyId)).out).to.equal(`key ${keyId} was revoked before\n`);
      expect(await key('add', 'other', '--scopes', 'rooms')).to.include({ code: 0, err: '' });
      await server.start();
      expect((await list()).map(({ name, revokedAt }) => [name, revokedAt !== undefined])).to.deep.equal([
        ['the shop', true],
        ['other', false],
      ]);
      expect(createdAt).to.match(/^\d{4}-/);
      const unknown = crypto.randomUUID();
      expect(await key('revoke', unknown)).to.deep.equal({
        ...{ code: 1, out: '', err: `parley: there is no key ${unknown}\n` },
      });
      for (const scopes of ['', 'all', 'users,', 'users,all', 'USERS'])
        expect(await key('add', 'x', '--scopes', scopes), scopes).to.include({ code: 2, out: '' });
      expect(await key('add', 'x')).to.include({ code: 2, out: '' });
    });

    it('exit with 2 for a role that does not exist', async () => {
      expect(await parley(['role', 'owner', 'ann'], env)).to.include({ code: 2, out: '' });
    });

    it('print one line for a user who does not exist', async () => {
      const ran = await parley(['role', 'auditor', 'nobody'], env);
      expect(ran).to.deep.equal({ code: 1, out: '', err: 'parley: no user is called nobody\n' });
    });
  });

describe('The control socket', () => {
  const env = (dataDir: string) => ({ DATA_DIR: dataDir });

  it('is for its owner only, and is removed with the server', async () => {
    const server = await startServer({ engine: 'sqlite' });
    const path = join(server.dataDir, 'control.sock');
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    await server.stop();
    expect(existsSync(path)).to.equal(false);
  });

  it('of a killed server does not count as a server, and is replaced by the next one', async () => {
    const server = await startServer({ engine: 'sqlite' });
    await server.kill();
    expect(existsSync(join(server.dataDir, 'control.sock'))).to.equal(true);
    expect(await parley(['rebuild', 'users'], env(server.dataDir))).to.include({ code: 0, err: '' });
    await server.start();
    expect(await parley(['rebuild', 'users'], env(server.dataDir))).to.include({ code: 0, err: '' });
    await server.stop();
  });

  it('with too long a path stops the start with one line', async () => {
    const dataDir = join(tempDir(), 'long'.repeat(20));
    const failed = await startServer({ engine: 'sqlite', dataDir }).catch((error: unknown) => error);
    expect(failed)
      .to.have.property('log')
      .that.matches(/DATA_DIR: choose a shorter path/);
  });
});

describe('The command line', () => {
  it('creates no log', async () => {
    const dataDir = tempDir();
    const ran = await parley(['rebuild', 'users'], { DATA_DIR: dataDir });
    expect(ran).to.include({ code: 1, out: '' });
    expect(ran.err).to.match(/^parley: .*\n$/);
    expect(existsSync(join(dataDir, 'log.db'))).to.equal(false);
  });

  it('exits with 2 on an unknown argument, and lists the known ones', async () => {
    const ran = await parley(['rebuild', 'everything']);
    expect(ran).to.include({ code: 2, out: '' });
    expect(ran.err).to.include('messages');
    expect(await parley(['dance'])).to.include({ code: 2, out: '' });
  });

  it('names an invalid setting', async () => {
    const ran = await parley(['rebuild', 'users'], { PORT: 'many' });
    expect(ran).to.deep.equal({
      ...{ code: 1, out: '' },
      err: 'parley: PORT: must be a whole number from 0 to 65535\n',
    });
  });

  it('lists every command in its help', async () => {
    const { code, out } = await parley(['--help']);
    expect(code).to.equal(0);
    for (const verb of ['serve', 'role', 'rebuild']) expect(out).to.match(new RegExp(`^ *${verb}\\b`, 'm'));
  });
});
