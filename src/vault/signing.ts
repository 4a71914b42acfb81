import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { VaultUnavailable } from '../errors.js';
import { open, seal } from './cipher.js';
import type { SigningKeyRow, VaultStore } from './store.js';
import type { DataKey, SigningKeys } from './vault.js';

type Listed = Awaited<ReturnType<SigningKeys['list']>>;

const contextOf = (number: number): string => `signing key ${number}`;

/** Signing keys, each sealed by a key of the master's and bound to its number. */
export function signingKeys(
  store: Pick<VaultStore, 'insertSigningKey' | 'signingKeys'>,
  sealing: DataKey,
): SigningKeys {
  function openKey({ number, sealed }: SigningKeyRow): KeyObject {
    try {
      const key = Buffer.from(open(sealing, sealed, contextOf(number)), 'base64');
      return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
    } catch (cause) {
      throw new VaultUnavailable(`signing key ${number} does not open`, { cause });
    }
  }

  /** Who comes second with a number has done nothing, and what the first has made is as good. */
  async function make(number: number): Promise<void> {
    const key = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' });
    await store.insertSigningKey({
      number,
      sealed: seal(sealing, key.toString('base64'), contextOf(number)),
    });
  }

  const rows = async () => (await store.signingKeys()).sort((a, b) => b.number - a.number);

  return {
    async list(): Promise<Listed> {
      if ((await store.signingKeys()).length === 0) await make(1);
      const [newest, ...older] = (await rows()).map(openKey);
      if (!newest) throw new VaultUnavailable('a signing key was stored, but is not there');
      return [newest, ...older];
    },
    async rotate() {
      const [newest] = await rows();
      await make((newest?.number ?? 0) + 1);
    },
  };
}
