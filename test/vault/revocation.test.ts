import { randomBytes, randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { openSqliteVaultStore, openVault } from '../../src/vault/openVault.js';
import { createSessionStore } from '../../src/vault/sessionStore.js';
import type { VaultStore } from '../../src/vault/vaultStore.js';
import { eventually } from '../support/eventually.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { tempDir } from '../support/tempDir.js';

const HOUR = 3_600_000;
const now = () => new Date();

describe('a session that another process has revoked', () => {
  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
  });

  it('is reported here once, without a notification; an earlier revoked one is not reported', async () => {
    const engine = { kind: 'mongodb', url: await freshDatabase() } as const;
    const masterKey = randomBytes(32);
    const [here, there] = [await openVault({ engine, masterKey }), await openVault({ engine, masterKey })];
    const told: string[] = [];
    here.sessions.onRevoked((id) => told.push(id));
    const userId = randomUUID();
    const made = await Promise.all([1, 2, 3].map(() => here.sessions.create(userId, now(), HOUR)));
    const [first, ...others] = made.map(({ session }) => session.id);
    for (const { token } of made)
      expect(await here.sessions.find(token, now())).to.have.property('userId', userId);
    await there.sessions.revoke(first ?? '');
    await eventually('the first is told of', () => told.includes(first ?? ''));
    await there.sessions.revokeAll(userId);
    await eventually('all are told of', () => told.length >= 3);
    expect(told.slice(1)).to.have.members(others);
    for (const { token } of made) expect(await here.sessions.find(token, now())).to.equal(undefined);
    // By the next poll, each one has been found again.
    const { session } = await here.sessions.create(userId, now(), HOUR);
    await there.sessions.revoke(session.id);
    await eventually('another is told of', () => told.includes(session.id));
    expect(told).to.have.length(4);
    await here.close();
    await there.close();
  });
});

describe('the session cache', () => {
  let store: VaultStore;
  beforeEach(() => {
    store = openSqliteVaultStore(tempDir());
  });
  afterEach(() => store.close());

  /** Creates sessions over a shared vault. `look` returns the sessions that a poll finds. */
  async function shared(look: (lastMs: number) => Promise<string[] | undefined>) {
    let reads = 0;
    let looks = 0;
    const sessions = createSessionStore({
      ...store,
      findSession(id) {
        reads++;
        return store.findSession(id);
      },
      listRecentlyEnded(lastMs) {
        looks++;
        return look(lastMs);
      },
    });
    const { token, session } = await sessions.create(randomUUID(), now(), HOUR);
    await eventually('it has looked', () => looks > 0);
    /** Returns true if the session was found without asking the vault. */
    const isRemembered = async () => {
      const before = reads;
      expect(await sessions.find(token, now())).to.deep.equal(session);
      return reads === before;
    };
    return { sessions, isRemembered, looks: () => looks };
  }

  it('is always trusted in a vault of one process, which is polled once', async () => {
    const { sessions, isRemembered, looks } = await shared(async () => undefined);
    await isRemembered();
    expect([await isRemembered(), looks()]).to.deep.equal([true, 1]);
    sessions.close();
  });

  it('is trusted only while revocations can be polled', async () => {
    let look = async (): Promise<string[]> => [];
    const { sessions, isRemembered } = await shared(() => look());
    await eventually('it is remembered', isRemembered);
    look = async () => {
      throw new Error('the vault is away');
    };
    await eventually('it is not trusted any more', async () => !(await isRemembered()));
    expect(await isRemembered()).to.equal(false);
    look = async () => [];
    await eventually('it is trusted again', isRemembered);
    sessions.close();
  });

  it('is checked against all revocations since the last successful poll', async () => {
    const outage = 2000;
    let ended: string[] = [];
    let isAway = false;
    const reaches: number[] = [];
    const { sessions } = await shared(async (lastMs) => {
      if (isAway) throw new Error('the vault is away');
      reaches.push(lastMs);
      return ended;
    });
    const { session } = await sessions.create(randomUUID(), now(), HOUR);
    const told: string[] = [];
    sessions.onRevoked((id) => told.push(id));
    isAway = true;
    const began = performance.now();
    await eventually('it was away for long', () => performance.now() - began > outage);
    ended = [session.id];
    const usual = reaches[0] ?? 0;
    reaches.length = 0;
    isAway = false;
    await eventually('it is told of', () => told.length > 0);
    expect(reaches[0]).to.be.above(usual + outage);
    sessions.close();
  });

  it('is not trusted while a poll does not end', async () => {
    let look = async (): Promise<string[]> => [];
    const { sessions, isRemembered } = await shared(() => look());
    await eventually('it is remembered', isRemembered);
    look = () => new Promise(() => {});
    await eventually('it is not trusted any more', async () => !(await isRemembered()));
    expect(await isRemembered()).to.equal(false);
    sessions.close();
  });
});
