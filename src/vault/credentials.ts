import { createHmac } from 'node:crypto';
import { VaultUnavailable } from '../errors.js';
import { open, seal } from './cipher.js';
import type { MasterKeys } from './masterKey.js';
import type { ClaimRow, VaultStore } from './store.js';
import type { Credential, CredentialStore, ErasureStore } from './vault.js';

type Secret = Omit<Credential, 'registered'>;

// Names are ASCII: lower case is all there is to normalise.
const claimIdOf = (names: Buffer, name: string): string =>
  createHmac('sha256', names).update(name.toLowerCase()).digest('hex');

/** Claims to names. The rows show no name: their ids are HMACs, what they hold is sealed and bound to the id. */
export function credentialStore(
  store: VaultStore,
  { names, claims }: Pick<MasterKeys, 'names' | 'claims'>,
): CredentialStore {
  const idOf = (name: string) => claimIdOf(names, name);
  const sealed = (id: string, secret: Secret) => seal(claims, JSON.stringify(secret), id);

  function opened(id: string, row: ClaimRow & { sealed: string }): Credential {
    try {
      // Nobody but `sealed` above can have made what opens here.
      const secret = JSON.parse(open(claims, row.sealed, id)) as Secret;
      return { ...secret, registered: row.registered };
    } catch (cause) {
      throw new VaultUnavailable(`the claim ${id} does not open`, { cause });
    }
  }

  return {
    claim(name, { registered: _, ...secret }) {
      const id = idOf(name);
      return store.insertClaim(id, sealed(id, secret));
    },
    async find(name) {
      const id = idOf(name);
      const row = await store.claim(id);
      if (row === undefined) return undefined;
      return row.sealed === null ? 'erased' : opened(id, { ...row, sealed: row.sealed });
    },
    markRegistered: (name) => store.markRegistered(idOf(name)),
    async changePassword(name, oldHash, newHash) {
      const id = idOf(name);
      const row = await store.claim(id);
      if (row === undefined || row.sealed === null) return false;
      const { registered: _, ...secret } = opened(id, { ...row, sealed: row.sealed });
      if (secret.passwordHash !== oldHash) return false;
      // Every seal is another string: comparing it is comparing the hash, and all else in the claim.
      return store.replaceClaim(id, row.sealed, sealed(id, { ...secret, passwordHash: newHash }));
    },
    erase: (name) => store.eraseClaim(idOf(name)),
  };
}

/** Erasures that have begun. Like claims, their rows show no name. */
export function erasureStore(store: VaultStore, { names }: Pick<MasterKeys, 'names'>): ErasureStore {
  return {
    async begin(userId, username) {
      const claim = claimIdOf(names, username);
      await store.insertErasure({ owner: userId, claim });
      return { userId, claim };
    },
    list: async () => (await store.erasures()).map(({ owner: userId, claim }) => ({ userId, claim })),
    eraseClaim: ({ claim }) => store.eraseClaim(claim),
    end: (userId) => store.removeErasure(userId),
  };
}
