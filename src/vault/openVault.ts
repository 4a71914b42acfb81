import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { DatabaseSync } from '@photostructure/sqlite';
import { VaultUnavailable } from '../base/errors.js';
import { connectThread } from '../base/workerThreads.js';
import { createCredentialStore, createErasureStore } from './credentials.js';
import { open, seal } from './dataKeys.js';
import { createHostLinkStore, type HostLinkStore } from './hostLinks.js';
import { createKeyStore } from './keyStore.js';
import { checkMasterKey, deriveKeys, MASTER_KEY_CHECK, requireSameKey } from './masterKey.js';
import { createServerKeyStore, type ServerKeyStore } from './serverKeys.js';
import { createSessionStore } from './sessionStore.js';
import { SubscriptionStore } from './subscriptionStore.js';
import type { CachedKeys, DataKey, HeadStore, KeyInspector, SigningKeys, Vault } from './vault.js';
import type { HeadTable, HoldTable, SigningKeyRow, SigningKeyTable, VaultStore } from './vaultStore.js';
import type { SqliteVault } from './vaultWorker.js';

export interface VaultOptions {
  /** `dataDir` must exist. The MongoDB database is that of the URL, with `_vault` appended to its name. */
  readonly engine:
    | { readonly kind: 'sqlite'; readonly dataDir: string }
    | { readonly kind: 'mongodb'; readonly url: string };
  readonly masterKey: Buffer;
  /** Logs a failure that is retried. */
  readonly report?: (message: string, error: unknown) => void;
}

export interface OpenVault extends Vault {
  readonly keys: CachedKeys;
  readonly heads: HeadStore;
  readonly signing: SigningKeys;
  readonly inspector: KeyInspector;
  readonly holds: HoldTable;
  readonly subscriptions: SubscriptionStore;
  readonly serverKeys: ServerKeyStore;
  readonly hostLinks: HostLinkStore;
}

/**
 * Opens the vault. Rejects with `MasterKeyError` for the wrong master key, otherwise with `VaultUnavailable`.
 */
export async function openVault({ engine, masterKey, report }: VaultOptions): Promise<OpenVault> {
  const store = await openStore(engine);
  try {
    return await createVault(store, masterKey, report);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Creates the vault over an open storage engine. */
export async function createVault(
  engine: VaultStore,
  masterKey: Buffer,
  report: VaultOptions['report'] = () => {},
): Promise<OpenVault> {
  const store = guardStore(engine);
  const derived = deriveKeys(masterKey);
  await checkMasterKey(store, derived);
  const keys = createKeyStore(store, derived.wrapping);
  const sessions = createSessionStore(store, report);
  return {
    keys,
    credentials: createCredentialStore(store, derived),
    sessions,
    erasures: createErasureStore(store, derived),
    heads: createHeadStore(store),
    signing: createSigningKeys(store, derived.signing),
    inspector: keys.inspector,
    holds: store,
    subscriptions: new SubscriptionStore(store, derived.subscriptions),
    serverKeys: createServerKeyStore(store),
    hostLinks: createHostLinkStore(store, derived),
    close() {
      keys.close();
      sessions.close();
      return store.close();
    },
  };
}

/** The file of the embedded vault. */
export const vaultFileOf = (dataDir: string): string => join(dataDir, 'vault.db');

/**
 * Copies the vault in this file as it is at one moment, while a server may write to it. Nothing that was replaced or
 * destroyed is in the copy: it has no unused pages. A destruction of keys waits until the copy is made. The caller syncs
 * the file.
 */
export function copyVaultFile(from: string, to: string): void {
  const db = new DatabaseSync(from, { readOnly: true, timeout: 10_000 });
  try {
    db.prepare('VACUUM INTO ?').run(to);
  } finally {
    db.close();
  }
}

/** Throws `MasterKeyError` unless the vault in this file, which no process writes to, was made with this master key. */
export function checkVaultFile(file: string, masterKey: Buffer): void {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    const kept = db.prepare('SELECT value FROM settled WHERE name = ?').get(MASTER_KEY_CHECK);
    requireSameKey(kept?.value, deriveKeys(masterKey));
  } finally {
    db.close();
  }
}

/** Whether the database of this URL has a vault already. Throws `VaultUnavailable`. */
export async function hasVault(url: string): Promise<boolean> {
  try {
    return await (await import('./mongoVault.js')).hasMongoVault(url);
  } catch (cause) {
    throw new VaultUnavailable('the vault cannot be opened', { cause });
  }
}

async function openStore(engine: VaultOptions['engine']): Promise<VaultStore> {
  try {
    if (engine.kind === 'sqlite') return openSqliteVaultStore(engine.dataDir);
    const { openMongoVaultStore } = await import('./mongoVault.js');
    return await openMongoVaultStore(engine.url);
  } catch (cause) {
    throw new VaultUnavailable('the vault cannot be opened', { cause });
  }
}

/** Wraps the store: every failure, and every call after `close`, rejects with `VaultUnavailable`. */
function guardStore(store: VaultStore): VaultStore {
  let closed = false;
  async function call(method: string, args: unknown[]): Promise<unknown> {
    // A closed database client may reconnect when called again.
    if (closed) throw new VaultUnavailable('the vault is closed');
    closed = method === 'close';
    try {
      // The proxy below is a VaultStore, so its callers name only methods of the store, with their arguments.
      return await (store[method as keyof VaultStore] as (...args: unknown[]) => Promise<unknown>)(...args);
    } catch (cause) {
      throw new VaultUnavailable('the vault did not answer', { cause });
    }
  }
  return new Proxy(store, {
    get:
      (_, method: string) =>
      (...args: unknown[]) =>
        call(method, args),
  });
}

/** Opens the embedded engine: the file `vault.db` in the data directory, used by its own thread. */
export function openSqliteVaultStore(dataDir: string): VaultStore {
  const worker = new Worker(new URL('./vaultWorker.js', import.meta.url), {
    workerData: { path: vaultFileOf(dataDir) },
  });
  const remote = connectThread<SqliteVault>(worker);
  return {
    insertIfAbsent: remote.insertIfAbsent,
    insertKey: remote.insertKey,
    findKeys: remote.findKeys,
    destroyKey: remote.destroyKey,
    findPeople: remote.findPeople,
    replaceRoots: remote.replaceRoots,
    findRooms: remote.findRooms,
    replaceRoom: remote.replaceRoom,
    removeReplaced: remote.removeReplaced,
    findNumber: remote.findNumber,
    raiseNumber: remote.raiseNumber,
    insertHolds: remote.insertHolds,
    markHeld: remote.markHeld,
    endHolds: remote.endHolds,
    findHoldsOf: remote.findHoldsOf,
    findHoldsIn: remote.findHoldsIn,
    findDeletedHolds: remote.findDeletedHolds,
    listEndedHolds: remote.listEndedHolds,
    removeEndedHolds: remote.removeEndedHolds,
    pageHolds: remote.pageHolds,
    listSubscriptions: remote.listSubscriptions,
    insertSubscription: remote.insertSubscription,
    replaceSubscription: remote.replaceSubscription,
    removeSubscription: remote.removeSubscription,
    listDeliveries: remote.listDeliveries,
    putDelivery: remote.putDelivery,
    replaceDelivery: remote.replaceDelivery,
    replaceDeliverySoon: remote.replaceDeliverySoon,
    insertClaim: remote.insertClaim,
    findClaim: remote.findClaim,
    markRegistered: remote.markRegistered,
    replaceClaim: remote.replaceClaim,
    eraseClaim: remote.eraseClaim,
    insertErasure: remote.insertErasure,
    listErasures: remote.listErasures,
    removeErasure: remote.removeErasure,
    insertSigningKey: remote.insertSigningKey,
    listSigningKeys: remote.listSigningKeys,
    listHeads: remote.listHeads,
    findHead: remote.findHead,
    replaceHead: remote.replaceHead,
    keepAbandonedHead: remote.keepAbandonedHead,
    insertServerKey: remote.insertServerKey,
    findServerKey: remote.findServerKey,
    listServerKeys: remote.listServerKeys,
    revokeServerKey: remote.revokeServerKey,
    insertSession: remote.insertSession,
    findSession: remote.findSession,
    endSession: remote.endSession,
    endSessions: remote.endSessions,
    endIssuedTo: remote.endIssuedTo,
    endIssuedAs: remote.endIssuedAs,
    listRecentlyEnded: remote.listRecentlyEnded,
    listSessions: remote.listSessions,
    async close() {
      await remote.close();
      await worker.terminate();
    },
  };
}

type Listed = Awaited<ReturnType<SigningKeys['list']>>;

const contextOf = (number: number): string => `signing key ${number}`;

/** Signing keys, each sealed with a key derived from the master key and bound to its number. */
function createSigningKeys(store: SigningKeyTable, sealing: DataKey): SigningKeys {
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
function createHeadStore(store: HeadTable): HeadStore {
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
