import { randomUUID } from 'node:crypto';
import { expect } from 'chai';
import { type AdministrationParts, UserAdministration } from '../../src/http/administration.js';
import { FakeVault } from '../support/fakeVault.js';

const userId = randomUUID();
const HOUR_MS = 3_600_000;

/** What is decided about one user, who is suspended if `suspended` says so. */
function setUp(user: { suspended?: true }) {
  const vault = new FakeVault();
  const announced: string[] = [];
  const administration = new UserAdministration({
    vault,
    queries: { users: async () => new Map([[userId, { userId, ...user }]]) },
    commands: { execute: async () => ({ changed: false, moment: { partition: 0, size: 1 } }) },
    announceEnds: async (ids: readonly string[]) => void announced.push(...ids),
  } as unknown as AdministrationParts); // What the decisions use.
  const signIn = async (at: Date) => (await vault.sessions.create(userId, at, 24 * HOUR_MS)).session.id;
  const open = async () => (await administration.sessionsOf(userId)).map(({ id }) => id);
  return { administration, announced, signIn, open };
}

describe('the end of a user’s sessions', () => {
  const now = Date.now();
  const decidedAt = new Date(now - HOUR_MS);

  it('that was cut off is made up for: of those of then, and not of those made since', async () => {
    const { administration, announced, signIn, open } = setUp({});
    const before = await signIn(new Date(now - 2 * HOUR_MS));
    const after = await signIn(new Date(now));
    for (let times = 0; times < 2; times++) {
      await administration.endSessionsBefore(userId, decidedAt.toISOString());
      expect(await open()).to.deep.equal([after]);
      expect(announced).to.deep.equal([before]);
    }
  });

  it('is that of all while the user is suspended, whatever the clocks of nodes say', async () => {
    const { administration, announced, signIn, open } = setUp({ suspended: true });
    const ids = [await signIn(new Date(now - 2 * HOUR_MS)), await signIn(new Date(now))];
    await administration.endSessionsBefore(userId, decidedAt.toISOString());
    expect([await open(), announced]).to.deep.equal([[], ids]);
  });

  it('does not come from a suspension that was carried out and ended before', async () => {
    const { administration, announced, signIn, open } = setUp({});
    const id = await signIn(new Date(now));
    expect(await administration.suspend('system', userId, 'spam', decidedAt.toISOString())).to.equal(false);
    expect([await open(), announced]).to.deep.equal([[id], []]);
  });
});
