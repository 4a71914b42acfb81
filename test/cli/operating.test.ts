import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { allEngines, hasEngine, startFresh } from '../support/engines.js';
import { parley } from '../support/parley.js';
import { newDevice, signUp } from '../support/people.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

for (const engine of allEngines)
  describe(`The operator's verbs on ${engine}`, () => {
    let server: ServerProcess;
    let env: Record<string, string>;
    before(async function () {
      if (!(await hasEngine(engine))) return this.skip();
      server = await startFresh(engine);
      env = { DATA_DIR: server.dataDir, ...server.env };
    });
    after(() => server?.stop());

    it('give a role and take it, with a server and without one', async () => {
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
      (await newDevice(server, ann)).close();
    });

    it('say in one line that there is no such user', async () => {
      const ran = await parley(['role', 'auditor', 'nobody'], env);
      expect(ran).to.deep.equal({ code: 1, out: '', err: 'parley: no user is called nobody\n' });
    });
  });

describe('The control socket', () => {
  const env = (dataDir: string) => ({ DATA_DIR: dataDir });

  it("is its owner's only, and goes with the server", async () => {
    const server = await startServer({ engine: 'sqlite' });
    const path = join(server.dataDir, 'control.sock');
    expect(statSync(path).mode & 0o777).to.equal(0o600);
    await server.stop();
    expect(existsSync(path)).to.equal(false);
  });

  it('that a killed server left is replaced by the next, and is no server meanwhile', async () => {
    const server = await startServer({ engine: 'sqlite' });
    await server.kill();
    expect(existsSync(join(server.dataDir, 'control.sock'))).to.equal(true);
    expect(await parley(['rebuild', 'users'], env(server.dataDir))).to.include({ code: 0, err: '' });
    await server.start();
    expect(await parley(['rebuild', 'users'], env(server.dataDir))).to.include({ code: 0, err: '' });
    await server.stop();
  });

  it('that no system could make for its length stops the start with one line', async () => {
    const dataDir = join(tempDir(), 'long'.repeat(20));
    const failed = await startServer({ engine: 'sqlite', dataDir }).catch((error: unknown) => error);
    expect(failed)
      .to.have.property('log')
      .that.matches(/DATA_DIR: choose a shorter path/);
  });
});

describe('The command line', () => {
  it('makes no log where there is none', async () => {
    const dataDir = tempDir();
    const ran = await parley(['rebuild', 'users'], { DATA_DIR: dataDir });
    expect(ran).to.include({ code: 1, out: '' });
    expect(ran.err).to.match(/^parley: .*\n$/);
    expect(existsSync(join(dataDir, 'log.db'))).to.equal(false);
  });

  it('ends with 2 on what it does not know, and says what it knows', async () => {
    const ran = await parley(['rebuild', 'everything']);
    expect(ran).to.include({ code: 2, out: '' });
    expect(ran.err).to.include('messages');
    expect(await parley(['dance'])).to.include({ code: 2, out: '' });
  });

  it('names a wrong setting', async () => {
    const ran = await parley(['rebuild', 'users'], { PORT: 'many' });
    expect(ran).to.deep.equal({
      ...{ code: 1, out: '' },
      err: 'parley: PORT: must be a whole number from 0 to 65535\n',
    });
  });

  it('tells of every verb', async () => {
    const { code, out } = await parley(['--help']);
    expect(code).to.equal(0);
    for (const verb of ['serve', 'role', 'rebuild']) expect(out).to.match(new RegExp(`^ *${verb}\\b`, 'm'));
  });
});
