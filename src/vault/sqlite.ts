import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { connect } from '../threads/rpc.js';
import type { SqliteVault } from './sqliteWorker.js';
import type { VaultStore } from './store.js';

/** The embedded engine: `vault.db` in the data directory, a file of its own, handled in a thread of its own. */
export function sqliteVaultStore(dataDir: string): VaultStore {
  const worker = new Worker(new URL('./sqliteWorker.js', import.meta.url), {
    workerData: { path: join(dataDir, 'vault.db') },
  });
  const remote = connect<SqliteVault>(worker);
  return {
    settle: remote.settle,
    insertKey: remote.insertKey,
    keys: remote.keys,
    destroyKey: remote.destroyKey,
    insertClaim: remote.insertClaim,
    claim: remote.claim,
    markRegistered: remote.markRegistered,
    replaceClaim: remote.replaceClaim,
    eraseClaim: remote.eraseClaim,
    insertErasure: remote.insertErasure,
    erasures: remote.erasures,
    removeErasure: remote.removeErasure,
    insertSigningKey: remote.insertSigningKey,
    signingKeys: remote.signingKeys,
    heads: remote.heads,
    head: remote.head,
    replaceHead: remote.replaceHead,
    keepHead: remote.keepHead,
    insertSession: remote.insertSession,
    session: remote.session,
    endSession: remote.endSession,
    endSessions: remote.endSessions,
    endedLately: remote.endedLately,
    sessions: remote.sessions,
    async close() {
      await remote.close();
      await worker.terminate();
    },
  };
}
