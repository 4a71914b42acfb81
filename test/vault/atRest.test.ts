import { randomBytes, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { type OpenVault, openVault } from '../../src/vault/openVault.js';
import { rejection } from '../support/rejection.js';
import { tempDir } from '../support/tempDir.js';

/** Returns the bytes of all files of the data directory. */
async function bytesOf(dataDir: string): Promise<Buffer> {
  const names = await readdir(dataDir);
  return Buffer.concat(await Promise.all(names.map((name) => readFile(join(dataDir, name)))));
}

describe('the embedded vault at rest', () => {
  const name = 'Ada.Lovelace-1815';
  const masterKey = randomBytes(32);
  let dataDir: string;
  let vault: OpenVault;
  beforeEach(async () => {
    dataDir = tempDir();
    vault = await openVault({ engine: { kind: 'sqlite', dataDir }, masterKey });
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

  describe('of texts that were destroyed', () => {
    const owner = randomUUID();
    const rooms = Array.from({ length: 12 }, () => ({ owner, roomId: randomUUID() }));

    /** The beginnings of sealed rows. Without them the rest of a row opens with nothing. */
    function salts(): Buffer[] {
      const db = new DatabaseSync(join(dataDir, 'vault.db'), { readOnly: true });
      try {
        const rows = db.prepare('SELECT roots AS sealed FROM keys UNION ALL SELECT sealed FROM rooms').all();
        return (rows as { sealed: Uint8Array }[]).map(({ sealed }) => Buffer.from(sealed.subarray(0, 32)));
      } finally {
        db.close();
      }
    }

    /** The salts of which any 15 bytes in a row are left. */
    async function leftOf(old: readonly Buffer[]): Promise<Buffer[]> {
      const bytes = await bytesOf(dataDir);
      return old.filter((salt) => [0, 8, 16, 24].some((at) => bytes.includes(salt.subarray(at, at + 8))));
    }

    it('contains no replaced row, whose keys opened them', async () => {
      await vault.keys.create(owner);
      for (let seq = 1; seq <= 15; seq++)
        for (const room of rooms) {
          const before = salts();
          expect(await leftOf(before)).to.deep.equal(before);
          await vault.keys.destroyTexts(room, [seq * 7]);
          const now = new Set(salts().map(String));
          const replaced = before.filter((salt) => !now.has(String(salt)));
          // Only the first destruction in a room replaces the person's row.
          expect(replaced).to.have.length(1);
          expect(await leftOf(replaced)).to.deep.equal([]);
        }
      const all = salts();
      await vault.keys.destroy(owner);
      expect(await leftOf(all)).to.deep.equal([]);
    });

    it('is cleared by the next call if a reader kept the write-ahead log from being emptied', async () => {
      await vault.keys.create(owner);
      const [room, other] = rooms as [(typeof rooms)[number], (typeof rooms)[number]]; // There are twelve.
      for (const each of [room, other]) await vault.keys.destroyTexts(each, [1]);
      const before = salts();
      const reader = new DatabaseSync(join(dataDir, 'vault.db'), { readOnly: true });
      reader.exec('BEGIN');
      reader.prepare('SELECT count(*) FROM keys').get();
      expect(await rejection(vault.keys.destroyTexts(room, [2]))).to.have.property(
        'name',
        'VaultUnavailable',
      );
      const now = new Set(salts().map(String));
      const replaced = before.filter((salt) => !now.has(String(salt)));
      expect(await leftOf(replaced), 'the row was replaced, and is still there').to.deep.equal(replaced);
      reader.exec('COMMIT');
      reader.close();
      await vault.close();
      vault = await openVault({ engine: { kind: 'sqlite', dataDir }, masterKey });
      await vault.keys.destroyTexts(room, [2]);
      expect(await leftOf(replaced)).to.deep.equal([]);
    });
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
