import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { type Db, type Document, type IndexDescriptionInfo, MongoClient } from 'mongodb';
import type { Engine } from '../../src/projections/store/engine.js';
import { tempDir } from '../support/tempDir.js';

/** A copy of everything that a system that is not running has stored. */
export interface StoredCopy {
  /** Makes the store what it was. */
  restore(): Promise<void>;
}

const FILES = ['log.db', 'read.db', 'vault.db'] as const;

/** Copies a store. */
export async function copyStore(engine: Engine): Promise<StoredCopy> {
  return engine.kind === 'sqlite' ? copyFiles(engine.dataDir) : copyDatabases(engine.url);
}

function copyFiles(dataDir: string): StoredCopy {
  const copies = tempDir();
  mkdirSync(copies, { recursive: true });
  for (const file of FILES) {
    const db = new DatabaseSync(join(dataDir, file));
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    db.close();
    copyFileSync(join(dataDir, file), join(copies, file));
  }
  return {
    async restore() {
      for (const name of readdirSync(dataDir)) if (/\.db/.test(name)) rmSync(join(dataDir, name));
      for (const file of FILES)
        if (existsSync(join(copies, file))) copyFileSync(join(copies, file), join(dataDir, file));
    },
  };
}

interface CollectionCopy {
  readonly documents: readonly Document[];
  readonly indexes: readonly IndexDescriptionInfo[];
}

async function copyDatabases(url: string): Promise<StoredCopy> {
  const names = ['', '_vault'];
  const copies = await withMongo(url, (client) =>
    Promise.all(names.map((suffix) => readDatabase(client.db(`${client.db().databaseName}${suffix}`)))),
  );
  return {
    restore: () =>
      withMongo(url, async (client) => {
        for (const [i, suffix] of names.entries())
          await writeDatabase(client.db(`${client.db().databaseName}${suffix}`), copies[i] ?? new Map());
      }),
  };
}

/** Runs with a client of its own. */
export async function withMongo<T>(url: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = new MongoClient(url);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

async function readDatabase(db: Db): Promise<Map<string, CollectionCopy>> {
  const copies = new Map<string, CollectionCopy>();
  for (const { name } of await db.listCollections({ type: 'collection' }).toArray()) {
    if (name.startsWith('system.')) continue;
    const collection = db.collection(name);
    const [documents, indexes] = await Promise.all([collection.find().toArray(), collection.indexes()]);
    copies.set(name, { documents, indexes: indexes.filter(({ name: index }) => index !== '_id_') });
  }
  return copies;
}

async function writeDatabase(db: Db, copies: ReadonlyMap<string, CollectionCopy>): Promise<void> {
  for (const { name } of await db.listCollections().toArray())
    if (!name.startsWith('system.') && !copies.has(name)) await db.collection(name).drop();
  const now = await readDatabase(db);
  for (const [name, copy] of copies) {
    if (JSON.stringify(now.get(name)) === JSON.stringify(copy)) continue;
    const collection = db.collection(name);
    if (now.has(name)) await collection.drop();
    if (copy.documents.length > 0) await collection.insertMany([...copy.documents]);
    for (const { key, v: _, ...options } of copy.indexes) await collection.createIndex(key, options);
  }
}
