import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { createKeyStore } from '../../src/vault/keyStore.js';
import { openSqliteVaultStore } from '../../src/vault/openVault.js';
import { createSessionStore } from '../../src/vault/sessionStore.js';
import type { VaultStore } from '../../src/vault/vaultStore.js';
import { tempDir } from '../support/tempDir.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');

/** Creates a gate that holds answers until it is opened. */
function gate(): { wait: Promise<void>; open: () => void } {
  let open = () => {};
  const wait = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { wait, open };
}

describe('a read of the vault that is overtaken by a write', () => {
  let store: VaultStore;
  beforeEach(() => {
    store = openSqliteVaultStore(tempDir());
  });
  afterEach(() => store.close());

  it('does not bring a destroyed key back', async () => {
    const wrapping = randomBytes(32);
    const owner = randomUUID();
    const { wait, open } = gate();
    const made = createKeyStore(store, wrapping);
    await made.create(owner);
    const slow = createKeyStore(
      {
        ...store,
        async findKeys(owners) {
          const rows = await store.findKeys(owners);
          await wait;
          return rows;
        },
      },
      wrapping,
    );
    const reading = slow.getKey(owner);
    await slow.destroy(owner);
    open();
    await reading;
    expect(slow.getCached(owner)).to.equal('destroyed');
    expect(await slow.getKey(owner)).to.equal('destroyed');
    made.close();
    slow.close();
  });

  it('does not find a revoked session', async () => {
    const { wait, open } = gate();
    const sessions = createSessionStore({
      ...store,
      async findSession(id) {
        const row = await store.findSession(id);
        await wait;
        return row;
      },
    });
    const { token, session } = await sessions.create(randomUUID(), NOW, 1000);
    const finding = sessions.find(token, NOW);
    await sessions.revoke(session.id);
    open();
    expect(await finding).to.equal(undefined);
    expect(await sessions.find(token, NOW)).to.equal(undefined);
    sessions.close();
  });
});
