import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { createVault, type OpenVault, openSqliteVaultStore, openVault } from '../../src/vault/openVault.js';
import type { VaultStore } from '../../src/vault/vaultStore.js';
import { type OpenAgain, vaultConformance, vaultPromises } from '../conformance/vault.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { rejection } from '../support/rejection.js';
import { tempDir } from '../support/tempDir.js';
import { MANY_PLACES } from './manyPlaces.js';

const masterKey = randomBytes(32);

describe('the vault on SQLite', () => {
  vaultConformance(async () => {
    const dataDir = tempDir();
    return () => openVault({ engine: { kind: 'sqlite', dataDir }, masterKey });
  });

  it('syncs no place of a subscription that is stored soon, and each other one', function () {
    if (spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']).status !== 0) {
      if (process.env.CI === 'true') throw new Error('CI needs strace');
      console.warn('left out: the syncs of the vault, as strace is not permitted or not there');
      return this.skip();
    }
    const syncsOf = (isSoon: boolean): number => {
      const trace = join(tempDir(), 'trace');
      const args = [fileURLToPath(new URL('./manyPlaces.js', import.meta.url)), tempDir(), String(isSoon)];
      const strace = ['-f', '-o', trace, '-e', 'trace=fsync,fdatasync', process.execPath, ...args];
      const { status, stderr } = spawnSync('strace', strace, { encoding: 'utf8' });
      expect(status, stderr).to.equal(0);
      return readFileSync(trace, 'utf8').match(/(?:fsync|fdatasync)\(/g)?.length ?? 0;
    };
    expect(syncsOf(false) - syncsOf(true)).to.be.within(MANY_PLACES - 5, MANY_PLACES + 5);
  });
});

describe('the vault on MongoDB', () => {
  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
  });
  vaultConformance(async () => {
    const url = await freshDatabase();
    return () => openVault({ engine: { kind: 'mongodb', url }, masterKey });
  });

  it('is unavailable if no server answers', async () => {
    const url = 'mongodb://127.0.0.1:1/parley';
    const error = await rejection(openVault({ engine: { kind: 'mongodb', url }, masterKey }));
    expect(error).to.have.property('name', 'VaultUnavailable');
    expect(error.cause).to.be.instanceOf(Error);
  });
});

interface Defect {
  /** The promise whose check must fail. */
  readonly promise: string;
  readonly inStore?: (store: VaultStore) => Partial<VaultStore>;
  readonly inVault?: (vault: OpenVault) => OpenVault;
}

describe('the vault’s conformance suite detects', () => {
  const defects: Record<string, Defect> = {
    'a claim given twice': {
      promise: 'a name is claimed once, whatever its case and however many try',
      inStore: (store) => ({
        insertClaim: async (id, sealed) => (await store.insertClaim(id, sealed)) || true,
      }),
    },
    'an erased name given again': {
      promise: 'an erased claim keeps the name and nothing else',
      inStore: () => ({ eraseClaim: async () => undefined }),
    },
    'a tombstone read as no key': {
      promise: 'a destroyed key reads as destroyed, at once here and for every new process',
      inStore: (store) => ({
        findKeys: async (owners) => (await store.findKeys(owners)).filter(({ own }) => own !== null),
      }),
    },
    'a tombstone left for existing keys only': {
      promise: 'a destroyed key is never created again',
      inStore: (store) => ({
        async destroyKey(owner) {
          if ((await store.findKeys([owner])).length > 0) await store.destroyKey(owner);
        },
      }),
    },
    'an unknown key read as an erasure': {
      promise: 'an unknown user is an outage, not an erasure',
      inStore: (store) => ({
        async findKeys(owners) {
          const rows = await store.findKeys(owners);
          const known = new Set(rows.map(({ owner }) => owner));
          const rest = owners.filter((owner) => !known.has(owner));
          return [...rows, ...rest.map((owner) => ({ owner, own: null }))];
        },
      }),
    },
    'an outage read as an erasure': {
      promise: 'a vault that does not answer is an outage in every call',
      inVault: (vault) => ({
        ...vault,
        keys: { ...vault.keys, getKey: (owner) => vault.keys.getKey(owner).catch(() => 'destroyed') },
      }),
    },
    'a text that stays in the person’s row and in no other': {
      promise:
        'a destroyed text has no key, at once here and for every new process, and all others have theirs',
      inStore: () => ({ replaceRoom: async () => true, replaceRoots: async () => true }),
    },
    'rows of rooms that overwrite each other': {
      promise:
        'a destroyed text has no key, at once here and for every new process, and all others have theirs',
      inStore: (store) => ({
        findRooms: async (rooms) =>
          (await store.findRooms(rooms)).map((row, i) => ({ ...row, version: row.version + i + 1 })),
      }),
    },
    'a generation that begins twice': {
      promise: 'texts are sealed in the newest generation, for a writer of before it too',
      inStore: () => ({ raiseNumber: async () => true }),
    },
    'progress that shrinks': {
      promise: 'the progress of destructions only grows, for each partition by itself',
      inStore: (store) => {
        const numbers = new Map<string, number>();
        return {
          findNumber: async (name) => numbers.get(name) ?? (await store.findNumber(name)),
          async raiseNumber(name, to) {
            numbers.set(name, to);
            return true;
          },
        };
      },
    },
    'progress that a new generation keeps': {
      promise:
        'the progress of destructions begins anew with a generation, as the restored log may be shorter',
      inVault: (vault) => {
        const highest = new Map<number, number>();
        return {
          ...vault,
          keys: {
            ...vault.keys,
            destructionProgress: async (partition) => highest.get(partition) ?? 0,
            async saveDestructionProgress(partition, size) {
              highest.set(partition, Math.max(size, highest.get(partition) ?? 0));
            },
          },
        };
      },
    },
    'a text of an unknown writer read as erased': {
      promise: 'an erased writer’s keys of texts read as destroyed, an unknown writer’s are an outage',
      inStore: (store) => ({
        async findPeople(owners) {
          const rows = await store.findPeople(owners);
          const known = new Set(rows.map(({ owner }) => owner));
          const rest = owners.filter((owner) => !known.has(owner));
          return [...rows, ...rest.map((owner) => ({ owner, version: 1, own: null, roots: null }))];
        },
      }),
    },
    'a session found after its end': {
      promise: 'a revoked session is not found, at once here and in every new process',
      inStore: () => ({ endSession: async () => undefined }),
    },
    'a password changed by two at once': {
      promise: 'a password changes only from its present hash, once',
      inStore: (store) => ({
        replaceClaim: async (id, from, to) => (await store.replaceClaim(id, from, to)) || true,
      }),
    },
    'two heads at once': {
      promise: 'one of several concurrent signers of a partition wins',
      inStore: (store) => ({ replaceHead: async (from, to) => (await store.replaceHead(from, to)) || true }),
    },
    'a head that is not kept': {
      promise: 'the newest head of each partition is kept, and only grows',
      inStore: () => ({ replaceHead: async () => true }),
    },
    'a head replaced by a caller with an outdated one': {
      promise: 'a head is replaced by another, smaller or not, but not by a caller with an outdated one',
      inStore: (store) => ({
        async replaceHead(from, to) {
          const now = await store.findHead(to.partition);
          return store.replaceHead(from && (now?.note ?? null), to);
        },
      }),
    },
    'a signing key that is lost': {
      promise: 'signing keys are the same for every process, the newest first, without loss',
      inStore: (store) => ({
        listSigningKeys: async () => (await store.listSigningKeys()).slice(0, 1),
      }),
    },
    'a subscription changed by two at once': {
      promise: 'a subscription is made once, and changed by who has read its present version',
      inStore: (store) => ({
        replaceSubscription: async (row) => (await store.replaceSubscription(row)) || true,
      }),
    },
    'a place of a subscription moved by who has read an old one': {
      promise: 'the place of a subscription is moved by who has read the present one, or by order',
      inStore: (store) => ({
        async replaceDelivery(row) {
          await store.putDelivery(row);
          return true;
        },
      }),
    },
    'sessions that outlive an end of all': {
      promise: 'all sessions of a user are revoked but one, and nobody else’s',
      inStore: () => ({ endSessions: async () => [] }),
    },
  };
  for (const [name, { promise, inStore, inVault }] of Object.entries(defects)) {
    it(name, async () => {
      const dataDir = tempDir();
      const stores: VaultStore[] = [];
      const open: OpenAgain = async () => {
        const store = openSqliteVaultStore(dataDir);
        stores.push(store);
        const vault = await createVault({ ...store, ...inStore?.(store) }, masterKey);
        return inVault ? inVault(vault) : vault;
      };
      const check = vaultPromises[promise];
      if (!check) throw new Error(`the suite has no promise “${promise}”`);
      try {
        expect(await rejection(check(open))).to.be.instanceOf(Error);
      } finally {
        await Promise.allSettled(stores.map((store) => store.close()));
      }
    });
  }
});
