import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { type Binary, MongoClient } from 'mongodb';
import { remoteOperator } from '../../../src/app/controlSocket.js';
import { controlSocketOf } from '../../../src/app/operator.js';
import { type Kind, type Running, startFresh } from '../../support/engines.js';
import { freshDatabase } from '../../support/mongo.js';
import { tempDir } from '../../support/tempDir.js';

/** A system whose stored bytes can all be searched. */
export interface Searchable {
  readonly server: Running;
  /**
   * Finds which words, or which sealed keys, are stored in plain text, in any file or document. Write-ahead logs and free pages are
   * included.
   */
  tracesOf(words: readonly string[]): Promise<string[]>;
  /** Rebuilds a read model, where that takes only moments. */
  rebuild?(projection: string): Promise<unknown>;
  /** The user's own key in the vault, sealed, as text in Latin-1; null once it is destroyed. */
  wrappedKey(userId: string): Promise<string | null | undefined>;
  /** The sealed rows of the vault that hold the keys of the user's texts, as text in Latin-1. */
  textSecretsOf(userId: string): Promise<string[]>;
}

/** As `wrappedKey` gives a sealed key. */
const textOf = (key: Uint8Array | null | undefined): string | null | undefined =>
  key && Buffer.from(key).toString('latin1');

/** Words as UTF-8, sealed keys as Latin-1. */
const holds = (bytes: Buffer, word: string): boolean =>
  bytes.includes(word) || bytes.includes(word, 0, 'latin1');

/** Starts a system of this kind on its own data. */
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

/** Searches an embedded system in this directory, running or not. */
export function filesOf(dataDir: string): Omit<Searchable, 'server'> {
  return {
    async tracesOf(words) {
      const found = new Set<string>();
      for (const name of readdirSync(dataDir, { recursive: true, encoding: 'utf8' })) {
        const path = join(dataDir, name);
        // Sockets and locks may appear and vanish.
        if (!/\.(db|db-wal|db-shm|json|key)$/.test(name) || !existsSync(path)) continue;
        const bytes = readFileSync(path);
        for (const word of words) if (holds(bytes, word)) found.add(word);
      }
      return [...found];
    },
    async wrappedKey(userId) {
      const db = new DatabaseSync(join(dataDir, 'vault.db'), { readOnly: true });
      try {
        const row = db.prepare('SELECT own FROM keys WHERE owner = ?').get(userId);
        return textOf((row as { own: Uint8Array | null } | undefined)?.own);
      } finally {
        db.close();
      }
    },
    async textSecretsOf(userId) {
      const db = new DatabaseSync(join(dataDir, 'vault.db'), { readOnly: true });
      try {
        const sql =
          'SELECT roots AS row FROM keys WHERE owner = ? UNION ALL SELECT sealed FROM rooms WHERE owner = ?';
        const rows = db.prepare(sql).all(userId, userId) as { row: Uint8Array | null }[];
        return rows.flatMap(({ row }) => textOf(row) ?? []);
      } finally {
        db.close();
      }
    },
  };
}

/** Searches the databases of a system on MongoDB. */
export function documentsOf(url: string): Omit<Searchable, 'server'> {
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
                if (holds(Buffer.from(bytes as unknown as Uint8Array), word)) found.add(word);
        return [...found];
      }),
    wrappedKey: (userId) =>
      withClient(async (client, [, vault]) => {
        const keys = client.db(vault).collection<{ _id: string; own: Binary | null }>('keys');
        const row = await keys.findOne({ _id: userId });
        return textOf(row && (row.own?.value() ?? null));
      }),
    textSecretsOf: (userId) =>
      withClient(async (client, [, vault]) => {
        const keys = client.db(vault).collection<{ _id: string; roots: Binary | null }>('keys');
        const rooms = client.db(vault).collection<{ owner: string; sealed: Binary }>('rooms');
        const rows = [
          (await keys.findOne({ _id: userId }))?.roots,
          ...(await rooms.find({ owner: userId }).toArray()).map(({ sealed }) => sealed),
        ];
        return rows.flatMap((row) => textOf(row?.value()) ?? []);
      }),
  };
}
