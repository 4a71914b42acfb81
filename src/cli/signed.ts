import { verifierKeys } from '../audit/heads.js';
import type { Config } from '../config.js';
import type { Engine } from '../projections/engine.js';
import { openVault } from '../vault/openVault.js';
import { existing } from './existing.js';

/** A log with what was signed of it. */
interface Signed {
  readonly engine: Engine;
  /** Notes, of each partition the last one; none if nothing was signed yet. */
  readonly heads: readonly string[];
  /** Verifier keys, a line each. */
  readonly keys: readonly string[];
}

/** The log of these settings, with what its vault holds. Throws if there is no log, and what the vault throws. */
export async function signedOf(config: Config): Promise<Signed> {
  const { engine, masterKey, partitions } = await existing(config);
  const vault = await openVault({ engine, masterKey });
  try {
    const heads = await vault.heads.list();
    // Asking for keys makes the first one, which is for the server to do.
    const keys = heads.length > 0 ? await verifierKeys(vault.signing, config.LOG_ORIGIN, partitions) : [];
    return { engine, heads: heads.map(({ note }) => note), keys };
  } finally {
    await vault.close();
  }
}
