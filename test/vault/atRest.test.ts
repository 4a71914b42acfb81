import { randomBytes, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { type OpenVault, openVault } from '../../src/vault/openVault.js';
import { tempDir } from '../support/tempDir.js';

/** Returns the bytes of all files of the data directory. */
async function bytesOf(dataDir: string): Promise<Buffer> {
  const names = await readdir(dataDir);
  return Buffer.concat(await Promise.all(names.map((name) => readFile(join(dataDir, name)))));
}

describe('the embedded vault at rest', () => {
  const name = 'Ada.Lovelace-1815';
  let dataDir: string;
  let vault: OpenVault;
  beforeEach(async () => {
    dataDir = tempDir();
    vault = await openVault({ engine: { kind: 'sqlite', dataDir }, masterKey: randomBytes(32) });
  });
  afterEach(() => vault.close());

  it('contains no name, password hash, token or key in plain text', async () => {
    const userId = randomUUID();
    await vault.keys.create(userId);
    const passwordHash = '$2b$12$abcdefghijklmnopqrstuu';
    const claim = { userId, username: name, backgroundColor: '#000000', passwordHash, registered: false };
    await vault.credentials.claim(name, claim);
    const { token } = await vault.sessions.create(userId, new Date(), 1000);
    const key = await vault.keys.getKey(userId);
    const bytes = await bytesOf(dataDir);
    const secrets = [name, name.toLowerCase(), passwordHash, token, key, Buffer.from(key).toString('base64')];
    for (const secret of secrets) expect(bytes.includes(secret)).to.equal(false);
    expect(bytes.includes(userId), 'the files were read').to.equal(true);
  });

  it('contains nothing of a destroyed key or an erased claim, even in the write-ahead log', async () => {
    const userId = randomUUID();
    await vault.keys.create(userId);
    const wrapped = await wrappedKey(userId);
    expect((await bytesOf(dataDir)).includes(wrapped)).to.equal(true);
    await vault.keys.destroy(userId);
    expect((await bytesOf(dataDir)).includes(wrapped)).to.equal(false);
  });

  async function wrappedKey(owner: string): Promise<Buffer> {
    const db = new DatabaseSync(join(dataDir, 'vault.db'), { readOnly: true });
    try {
      const row = db.prepare('SELECT own FROM keys WHERE owner = ?').get(owner) as { own: Uint8Array };
      return Buffer.from(row.own);
    } finally {
      db.close();
    }
  }
});
