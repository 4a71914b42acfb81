import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { MongoClient } from 'mongodb';
import { remoteOperator } from '../../../src/app/controlSocket.js';
import { controlSocketOf } from '../../../src/app/operator.js';
import { type Kind, type Running, startFresh } from '../../support/engines.js';
import { freshDatabase } from '../../support/mongo.js';
import { tempDir } from '../../support/tempDir.js';

/** A system whose every stored byte can be looked through. */
export interface Searchable {
  readonly server: Running;
  /** Which of these are stored in the clear: in any file or document, write-ahead logs and free pages included. */
  tracesOf(words: readonly string[]): Promise<string[]>;
  /** Builds a read model anew, where that is a matter of moments. */
  rebuild?(projection: string): Promise<unknown>;
  /** The user's data key as the vault holds it; null once it is destroyed. */
  wrappedKey(userId: string): Promise<string | null | undefined>;
}

/** Starts a system of this kind on data of its own. */
export async function startSearchable(
  kind: Kind,
  env: Readonly<Record<string, string>>,
): Promise<Searchable> {
  if (kind !== 'sqlite') {
    const url = await freshDatabase();
    const server = await startFresh(kind, { env: { ...env, MONGO_URL: url } });
    return { server, ...documentsOf(url) };
  }
  const dataDir = tempDir();
  const server = await startFresh(kind, { dataDir, env });
  const operator = remoteOperator(controlSocketOf(dataDir));
  return { server, rebuild: (projection) => operator.rebuild({ projection }), ...filesOf(dataDir) };
}

function filesOf(dataDir: string): Omit<Searchable, 'server'> {
  return {
    async tracesOf(words) {
      const found = new Set<string>();
      for (const name of readdirSync(dataDir, { recursive: true, encoding: 'utf8' })) {
        const path = join(dataDir, name);
        // A socket or a lock may be there, or be gone by now.
        if (!/\.(db|db-wal|db-shm|json|key)$/.test(name) || !existsSync(path)) continue;
        const bytes = readFileSync(path);
        for (const word of words) if (bytes.includes(word)) found.add(word);
      }
      return [...found];
    },
    async wrappedKey(userId) {
      const db = new DatabaseSync(join(dataDir, 'vault.db'), { readOnly: true });
      try {
        const row = db.prepare('SELECT wrapped FROM keys WHERE owner = ?').get(userId);
        return (row as { wrapped: string | null } | undefined)?.wrapped;
      } finally {
        db.close();
      }
    },
  };
}

function documentsOf(url: string): Omit<Searchable, 'server'> {
  const withClient = async <T>(work: (client: MongoClient, names: string[]) => Promise<T>): Promise<T> => {
    const client = await MongoClient.connect(url);
    const name = client.db().databaseName;
    return work(client, [name, `${name}_vault`]).finally(() => client.close());
  };
  return {
    tracesOf: (words) =>
      withClient(async (client, names) => {
        const found = new Set<string>();
        for (const name of names)
          for (const collection of await client.db(name).collections())
            for await (const bytes of collection.find({}, { raw: true }))
              for (const word of words)
                if (Buffer.from(bytes as unknown as Uint8Array).includes(word)) found.add(word);
        return [...found];
      }),
    wrappedKey: (userId) =>
      withClient(async (client, [, vault]) => {
        const keys = client.db(vault).collection<{ _id: string; wrapped: string | null }>('keys');
        return (await keys.findOne({ _id: userId }))?.wrapped;
      }),
  };
}
