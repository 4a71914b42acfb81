import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { smallLog } from '../audit/smallLog.js';
import { eventually } from '../support/eventually.js';
import { commandLine } from '../support/program.js';
import { tempDir } from '../support/tempDir.js';

describe('An interrupted check', function () {
  this.timeout(120_000);
  const DATA_DIR = tempDir();
  let masterKey: Buffer;
  before(async () => {
    ({ masterKey } = await smallLog({ kind: 'sqlite', dataDir: DATA_DIR }, { messages: 500 }));
  });

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    it(`by ${signal} leaves no files behind without --state`, async () => {
      const TMPDIR = tempDir();
      const left = () => readdirSync(TMPDIR).filter((name) => name.startsWith('parley-verify-'));
      const interrupt = async (): Promise<number | null> => {
        const child = spawn(process.execPath, [commandLine, 'audit', 'verify'], {
          env: { PATH: process.env.PATH, DATA_DIR, TMPDIR, MASTER_KEY: masterKey.toString('base64') },
          stdio: 'ignore',
        });
        const ended = once(child, 'close');
        await eventually('it is at work', () => left().length > 0 || child.exitCode !== null);
        child.kill(signal);
        return (await ended)[0];
      };
      let ran = await interrupt();
      // It was at its end before it was looked at.
      while (ran === 0) ran = await interrupt();
      expect(ran).to.equal(code);
      expect(left()).to.deep.equal([]);
    });
});
