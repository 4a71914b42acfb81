import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { deriveKeys, loadMasterKey, MasterKeyError } from '../../src/vault/masterKey.js';
import { openVault } from '../../src/vault/openVault.js';
import { rejection } from '../support/rejection.js';
import { tempDir } from '../support/tempDir.js';

/** The keys derived from 32 bytes of 7, recorded when the derivation was fixed. */
const GOLDEN = {
  check: 'Pl+GRIONCAb54tXJiMIEaS8WHPl3ehea95JpSRtkLWU=',
  wrapping: 'CJ4LGUFUcAz20FJGMjVKB5PADc2dDO1YB90HCnbiqoA=',
};

const mayCreate = async (): Promise<boolean> => true;

describe('the master key', () => {
  it('is created once, with mode 0600 in a directory of 0700, without leftovers', async () => {
    const dataDir = join(tempDir(), 'data');
    const key = await loadMasterKey(dataDir, mayCreate);
    expect(key).to.have.length(32);
    expect(await loadMasterKey(dataDir, mayCreate)).to.deep.equal(key);
    expect((await stat(dataDir)).mode & 0o777).to.equal(0o700);
    expect((await stat(join(dataDir, 'master.key'))).mode & 0o777).to.equal(0o600);
    expect(await readdir(dataDir)).to.deep.equal(['master.key']);
    expect(await readFile(join(dataDir, 'master.key'), 'utf8')).to.equal(`${key.toString('base64')}\n`);
  });

  it('is the same for all concurrent first callers', async () => {
    const dataDir = tempDir();
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadMasterKey(dataDir, mayCreate)));
    expect(new Set(keys.map((key) => key.toString('base64')))).to.have.property('size', 1);
    expect(await readdir(dataDir)).to.deep.equal(['master.key']);
  });

  it('is refused when its file is damaged, and never replaced', async () => {
    for (const content of [
      '',
      'short',
      randomBytes(31).toString('base64'),
      `${randomBytes(32).toString('base64')}x`,
    ]) {
      const dataDir = tempDir();
      await writeFile(join(dataDir, 'master.key'), content);
      expect(await rejection(loadMasterKey(dataDir, mayCreate))).to.be.instanceOf(MasterKeyError);
      expect(await readFile(join(dataDir, 'master.key'), 'utf8')).to.equal(content);
    }
  });

  it('must be the one the vault was created with', async () => {
    const engine = { kind: 'sqlite', dataDir: tempDir() } as const;
    const masterKey = randomBytes(32);
    await (await openVault({ engine, masterKey })).close();
    const error = await rejection(openVault({ engine, masterKey: randomBytes(32) }));
    expect(error).to.be.instanceOf(MasterKeyError);
    expect(error.message).to.contain('MASTER_KEY');
    await (await openVault({ engine, masterKey })).close();
  });

  it('derives a separate key for each purpose, always the same', () => {
    const master = randomBytes(32);
    const { check, ...keys } = deriveKeys(master);
    const all = [
      check,
      ...Object.values(keys).map((key) => key.toString('base64')),
      master.toString('base64'),
    ];
    expect(new Set(all)).to.have.property('size', all.length);
    expect(deriveKeys(Buffer.from(master))).to.deep.equal({ check, ...keys });
  });

  it('never changes its derivation, which would lock existing vaults', () => {
    const { check, wrapping } = deriveKeys(Buffer.alloc(32, 7));
    expect({ check, wrapping: wrapping.toString('base64') }).to.deep.equal(GOLDEN);
  });
});
