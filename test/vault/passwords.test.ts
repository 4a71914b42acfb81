import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { isCommonPassword } from '../../src/http/schemas.js';
import { hashesToCompare, openPasswords } from '../../src/vault/credentials.js';
import type { Passwords } from '../../src/vault/vault.js';
import { runs } from '../support/lanes.js';
import { rejection } from '../support/rejection.js';

describe('passwords', () => {
  const pepper = randomBytes(32);
  let passwords: Passwords;
  beforeEach(() => {
    passwords = openPasswords({ cost: 4, pepper, maxQueued: 3 });
  });
  afterEach(() => passwords.close());

  it('are hashed with bcrypt at the given cost, each time differently', async () => {
    const [one, two] = [await passwords.hash('correct horse'), await passwords.hash('correct horse')];
    expect(one).to.match(/^\$2b\$04\$/);
    expect(two).not.to.equal(one);
    expect(await passwords.verify('correct horse', one)).to.equal(true);
    expect(await passwords.verify('correct horse', two)).to.equal(true);
  });

  it('are compared in full, whatever characters they have', async () => {
    const base = 'p'.repeat(255);
    const different: [string, string][] = [
      [`${base}a`, `${base}b`],
      ['before\0after', 'before\0other'],
      ['with-space ', 'with-space'],
      ['Password-case', 'password-case'],
      ['caf\u00e9-au-lait', 'cafe\u0301-au-lait'],
      ['lone-\ud800', 'lone-\ud801'],
    ];
    for (const [mine, other] of different) {
      const hash = await passwords.hash(mine);
      expect(await passwords.verify(mine, hash), mine).to.equal(true);
      expect(await passwords.verify(other, hash), other).to.equal(false);
    }
  });

  it('verify against their own hash and no other’s', async () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 256 });
    await fc.assert(
      fc.asyncProperty(text, text, async (mine, other) => {
        const hash = await passwords.hash(mine);
        expect(await passwords.verify(mine, hash)).to.equal(true);
        expect(await passwords.verify(other, hash)).to.equal(other === mine);
      }),
      // Shrinking would hash thousands of times.
      { numRuns: runs(50), endOnFailure: true },
    );
  });

  it('never match for an unknown user', async () => {
    expect(await passwords.verify('', undefined)).to.equal(false);
    expect(await passwords.verify('correct horse', undefined)).to.equal(false);
  });

  it('take the same work to check for an unknown user and for every hash of at most the present cost', () => {
    const work = (hash: string | undefined, cost: number): number =>
      hashesToCompare(hash, cost).reduce((sum, each) => sum + 2 ** Number(each.split('$')[2]), 0);
    const hashOf = (cost: number) => `$2b$${String(cost).padStart(2, '0')}$${'a'.repeat(53)}`;
    for (let cost = 4; cost <= 15; cost++) {
      expect(work(undefined, cost)).to.equal(2 ** cost);
      for (let old = 4; old <= cost; old++) {
        expect(work(hashOf(old), cost), `${old} of ${cost}`).to.equal(2 ** cost);
        expect(hashesToCompare(hashOf(old), cost)[0]).to.equal(hashOf(old));
      }
    }
  });

  it('match after the cost was raised or lowered, and their hash is outdated then', async () => {
    const hash = await passwords.hash('correct horse');
    expect(passwords.isOutdated(hash)).to.equal(false);
    const later = openPasswords({ cost: 6, pepper });
    const newer = await later.hash('correct horse');
    expect([later.isOutdated(hash), passwords.isOutdated(newer)]).to.deep.equal([true, true]);
    for (const each of [later, passwords])
      for (const stored of [hash, newer]) {
        expect(await each.verify('correct horse', stored)).to.equal(true);
        // That of no password, which is compared for the time.
        expect(await each.verify('', stored)).to.equal(false);
        expect(await each.verify('other horse', stored)).to.equal(false);
      }
    await later.close();
  });

  it('cannot be checked without the pepper', async () => {
    const hash = await passwords.hash('correct horse');
    const others = openPasswords({ cost: 4, pepper: randomBytes(32) });
    expect(await others.verify('correct horse', hash)).to.equal(false);
    await others.close();
  });

  it('are refused as overloaded when too many wait, and accepted again afterwards', async () => {
    const waiting = [1, 2, 3].map(() => passwords.hash('correct horse'));
    expect(passwords.waiting).to.equal(3);
    const error = await rejection(passwords.verify('correct horse', undefined));
    expect(error).to.include({ name: 'ParleyError', code: 'overloaded' });
    expect(error).to.have.nested.property('details.retryAfterMs').that.is.at.least(1000);
    await Promise.all(waiting);
    expect(passwords.waiting).to.equal(0);
    expect(await passwords.verify('correct horse', await waiting[0])).to.equal(true);
  });

  it('are rejected if they still wait when the thread is closed', async () => {
    const waiting = passwords.hash('correct horse');
    await passwords.close();
    expect(await rejection(waiting)).to.be.instanceOf(Error);
    expect(passwords.waiting).to.equal(0);
  });
});

describe('common passwords', () => {
  it('are recognised in any case', () => {
    for (const common of ['password', '12345678', 'Password', 'QWERTYUIOP', 'iloveyou', 'football'])
      expect(isCommonPassword(common), common).to.equal(true);
  });

  it('do not include rare ones', () => {
    for (const rare of ['correct horse', 'password and more', ''])
      expect(isCommonPassword(rare), rare).to.equal(false);
  });
});
