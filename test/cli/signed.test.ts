import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Rest } from '../../packages/client/src/rest.js';
import { commandEngines, hasEngine, startFresh } from '../support/engines.js';
import { ask } from '../support/http.js';
import { parley } from '../support/parley.js';
import { signUp } from '../support/people.js';
import type { ServerProcess } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

for (const engine of commandEngines)
  describe(`A signed log on ${engine}`, () => {
    let server: ServerProcess;
    let env: Record<string, string>;
    const kept = tempDir();
    const bundle = (name: string) => join(kept, name);
    before(async function () {
      if (!(await hasEngine(engine))) return this.skip();
      server = await startFresh(engine, { env: { PARTITIONS: '1' } });
      env = { DATA_DIR: server.dataDir, ...server.env };
      const ann = await signUp(server, 'ann');
      await parley(['role', 'auditor', 'ann'], env);
      const { token } = await new Rest(server.url).signIn(ann.username, ann.password);
      // Asked for, it is signed.
      const { status } = await ask(server.url, 'GET /audit/log/0/checkpoint', { token });
      expect(status).to.equal(200);
    });
    after(() => server?.stop());

    it('is exported, and verified without a database and settings', async () => {
      const ran = await parley(['audit', 'export', bundle('first')], env);
      expect(ran).to.include({ code: 0, err: '' });
      expect(ran.out).to.match(/: \d+ events of 1 partition\n$/);
      const { code, out } = await parley(['audit', 'verify', '--bundle', bundle('first')]);
      expect(code).to.equal(0);
      expect(out).to.match(/verified: nothing is wrong\n$/);
    });

    it('extends its older heads, whichever key signed them', async () => {
      await signUp(server, 'bob');
      const { code, out } = await parley(['audit', 'key', 'rotate'], env);
      expect(code).to.equal(0);
      const [newest, ...older] = out.trimEnd().split('\n');
      expect([newest, ...older]).to.have.length(2);
      const key = readFileSync(join(bundle('first'), 'key'), 'utf8');
      expect(older.join('\n')).to.equal(key.trimEnd());
      await server.stop();
      const since = join(bundle('first'), '0', 'checkpoint');
      const whole = await parley(['audit', 'verify', '--since', since], env);
      expect(whole).to.include({ code: 0, err: '' });
      await server.start();
    });

    it('does not verify with another key', async () => {
      const other = join(kept, 'other');
      writeFileSync(other, 'parley/0+00000000+AAAA\n');
      const ran = await parley(['audit', 'verify', '--bundle', bundle('first'), '--key', other]);
      expect(ran.code).to.equal(1);
      expect(ran.err).to.match(/^wrong: not a verifier key/);
    });

    it('is not exported into a directory that is not empty', async () => {
      const ran = await parley(['audit', 'export', bundle('first')], env);
      expect(ran).to.include({ code: 1, out: '' });
      expect(ran.err).to.match(/^parley: .* is not empty\n$/);
    });

    it('is accepted by the partition, if that exists', async () => {
      expect(await parley(['audit', 'accept', '0'], env)).to.include({ code: 0, err: '' });
      const ran = await parley(['audit', 'accept', '7'], env);
      expect(ran).to.deep.equal({
        code: 1,
        out: '',
        err: 'parley: there is no partition 7: the log has 1, numbered from 0\n',
      });
    });
  });
