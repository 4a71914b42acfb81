import { createHash, randomBytes } from 'node:crypto';
import type { KeyScope } from '../domain/hostKeys.js';
import type { KeyId } from '../domain/ids.js';
import type { ServerKeyRow, ServerKeyTable } from './vaultStore.js';

/** A server key without its secret. */
export interface ServerKey {
  readonly id: KeyId;
  readonly name: string;
  readonly scopes: readonly KeyScope[];
  /** ISO 8601. */
  readonly createdAt: string;
  /** When it was revoked. */
  readonly revokedAt?: string;
}

/** Server keys of the host application. */
export interface ServerKeyStore {
  /** Stores a new key and returns its secret, which nobody can read again. Durable once resolved. */
  create(key: Omit<ServerKey, 'revokedAt'>): Promise<string>;
  /**
   * The valid key of this secret. Read from the store at each call: a revoked key is refused from then on, whichever
   * process revoked it.
   */
  find(secret: string): Promise<ServerKey | undefined>;
  /** All keys in the order of their creation, revoked ones too. */
  list(): Promise<ServerKey[]>;
  /** May be repeated. Durable once resolved. */
  revoke(id: KeyId, now: Date): Promise<void>;
}

const PREFIX = 'prk_';
/** 256 bits in base64url. */
const SECRET = /^prk_[\w-]{43}$/;
const SECRET_BYTES = 32;

// Looking a key up by its hash leaves no comparison whose duration could leak it.
const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

function keyOf({ hash: _, revokedAt, scopes, ...row }: ServerKeyRow): ServerKey {
  // Only scopes were stored.
  const key = { ...row, scopes: scopes as readonly KeyScope[] };
  return revokedAt === null ? key : { ...key, revokedAt };
}

/** Server keys over the vault's rows. */
export function createServerKeyStore(store: ServerKeyTable): ServerKeyStore {
  return {
    async create(key) {
      const secret = PREFIX + randomBytes(SECRET_BYTES).toString('base64url');
      const row = { ...key, hash: hashOf(secret), revokedAt: null };
      if (!(await store.insertServerKey(row))) throw new Error(`server key ${key.id} exists already`);
      return secret;
    },
    async find(secret) {
      if (!SECRET.test(secret)) return undefined;
      const row = await store.findServerKey(hashOf(secret));
      return row && row.revokedAt === null ? keyOf(row) : undefined;
    },
    list: async () => (await store.listServerKeys()).map(keyOf),
    revoke: (id, now) => store.revokeServerKey(id, now.toISOString()),
  };
}
