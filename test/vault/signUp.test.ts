import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { Accounts } from '../../src/http/accounts.js';
import type { PasswordTurn } from '../../src/http/auth.js';
import type { Queries } from '../../src/projections/queries.js';
import { openPasswords } from '../../src/vault/credentials.js';
import { openVault } from '../../src/vault/openVault.js';
import type { Passwords, Vault } from '../../src/vault/vault.js';
import { failAfter } from '../support/failingVault.js';
import { FakeCore } from '../support/fakeCore.js';
import { rejection } from '../support/rejection.js';
import { tempDir } from '../support/tempDir.js';

/** More vault calls than a sign-up makes. */
const MOST_CALLS = 10;
const NAME = 'Ada';
/** No limit. */
const turn: PasswordTurn = (_, work) => work();
const PASSWORD = 'the analytical engine';

describe('a sign-up that is interrupted between any two steps of the vault', () => {
  const masterKey = randomBytes(32);
  let passwords: Passwords;
  before(() => {
    passwords = openPasswords({ cost: 4, pepper: randomBytes(32) });
  });
  after(() => passwords.close());

  function accountsOver(vault: Vault, core: FakeCore): Accounts {
    return new Accounts({
      vault,
      passwords,
      commands: core.commands,
      // Accounts use only queries that the fake has.
      queries: core.queries as Queries,
      sessionRules: {
        lifetimeMs: 60_000,
        announceEnds: async () => {},
        present: async () => undefined,
        signUp: 'open',
      },
    });
  }

  for (const reaches of [false, true]) {
    it(`leaves nothing, or what a sign-in finishes; the last call ${reaches ? 'takes' : 'takes no'} effect`, async () => {
      const outcomes = new Set<string>();
      for (let calls = 0; calls < MOST_CALLS; calls++) outcomes.add(await cutOffAfter(calls, reaches));
      expect([...outcomes]).to.have.members(['nothing', 'finished by signing in', 'not cut off']);
    });
  }

  async function cutOffAfter(calls: number, reaches: boolean): Promise<string> {
    const dataDir = tempDir();
    const core = new FakeCore();
    const open = () => openVault({ engine: { kind: 'sqlite', dataDir }, masterKey });
    const first = await open();
    const signUp = accountsOver(failAfter(first, calls, reaches), core).signUp(NAME, PASSWORD, turn);
    const done = await signUp.then(
      () => true,
      () => false,
    );
    await first.close();

    // Another process, which knows only stored data.
    const vault = await open();
    try {
      const accounts = accountsOver(vault, core);
      const claimed = (await vault.credentials.find(NAME)) !== undefined;
      if (claimed)
        expect(await rejection(accounts.signUp(NAME, PASSWORD, turn))).to.have.property('code', 'conflict');
      else await accounts.signUp(NAME, PASSWORD, turn);
      const { user, token } = await accounts.signIn(NAME, PASSWORD, turn);
      expect(user.username).to.equal(NAME);
      expect(await vault.keys.getKey(user.userId)).to.be.instanceOf(Buffer);
      expect(await vault.credentials.find(NAME)).to.include({ registered: true, userId: user.userId });
      expect(await vault.sessions.find(token, new Date())).to.include({ userId: user.userId });
      if (done) return 'not cut off';
      return claimed ? 'finished by signing in' : 'nothing';
    } finally {
      await vault.close();
    }
  }
});
