import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { VaultUnavailable } from '../base/errors.js';
import { open, seal } from './dataKeys.js';
import type { DataKey, HeadStore, SigningKeys } from './vault.js';
import type { HeadTable, SigningKeyRow, SigningKeyTable } from './vaultStore.js';

type Listed = Awaited<ReturnType<SigningKeys['list']>>;

const contextOf = (number: number): string => `signing key ${number}`;

/** Signing keys, each sealed with a key derived from the master key and bound to its number. */
export function createSigningKeys(store: SigningKeyTable, sealing: DataKey): SigningKeys {
  function openKey({ number, sealed }: SigningKeyRow): KeyObject {
    try {
      const key = Buffer.from(open(sealing, sealed, contextOf(number)), 'base64');
      return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
    } catch (cause) {
      throw new VaultUnavailable(`signing key ${number} does not open with this master key`, { cause });
    }
  }

  /** Does nothing if another process has just stored a key of this number: that key is as good. */
  async function createKey(number: number): Promise<void> {
    const key = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' });
    await store.insertSigningKey({
      number,
      sealed: seal(sealing, key.toString('base64'), contextOf(number)),
    });
  }

  const listNewestFirst = async () => (await store.listSigningKeys()).sort((a, b) => b.number - a.number);

  return {
    async list(): Promise<Listed> {
      if ((await store.listSigningKeys()).length === 0) await createKey(1);
      const [newest, ...older] = (await listNewestFirst()).map(openKey);
      if (!newest) throw new VaultUnavailable('the signing key is missing right after it was stored');
      return [newest, ...older];
    },
    async rotate() {
      const [newest] = await listNewestFirst();
      await createKey((newest?.number ?? 0) + 1);
    },
  };
}

/** Signed heads over the vault's rows. */
export function createHeadStore(store: HeadTable): HeadStore {
  return {
    list: () => store.listHeads(),
    get: (partition) => store.findHead(partition),
    async advance(from, to) {
      if (from && (from.partition !== to.partition || from.size >= to.size))
        throw new RangeError(`a head of ${to.size} events does not extend one of ${from.size}`);
      return store.replaceHead(from?.note ?? null, to);
    },
    async replaceAbandoned(from, to) {
      // Kept before it is replaced, so that a crash in between loses nothing.
      await store.keepAbandonedHead(from);
      return store.replaceHead(from.note, to);
    },
  };
}
