import { randomBytes } from 'node:crypto';
import { openPasswords } from '../../src/vault/credentials.js';
import { openVault, type VaultOptions } from '../../src/vault/openVault.js';
import { type HttpTarget, startHttp } from '../support/http.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { tempDir } from '../support/tempDir.js';
import { restContract } from './contract.js';

async function overVault(engine: VaultOptions['engine']): Promise<HttpTarget> {
  const vault = await openVault({ engine, masterKey: randomBytes(32) });
  const passwords = openPasswords({ cost: 4, pepper: randomBytes(32) });
  const target = await startHttp(() => ({ vault, passwords }));
  const close = async (): Promise<void> => {
    await target.close();
    await passwords.close();
    await vault.close();
  };
  return { ...target, close };
}

describe('REST over in-memory parts', () => restContract(() => startHttp()));

describe('REST over the vault on SQLite', () =>
  restContract(() => overVault({ kind: 'sqlite', dataDir: tempDir() })));

describe('REST over the vault on MongoDB', () => {
  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
  });
  restContract(async () => overVault({ kind: 'mongodb', url: await freshDatabase() }));
});
