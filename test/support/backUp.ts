import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import type { ServerProcess } from './server.js';
import { tempDir } from './tempDir.js';

/** What of a system is copied, and put back: the vault is kept apart. */
type Part = 'log' | 'read models';

/** A copy of log and read models, taken and put back while no server runs. */
export interface BackUp {
  /** Takes a part away, and puts in its place what it was when it was copied. */
  restore(part: Part): Promise<void>;
  remove(part: Part): Promise<void>;
}

/** Copies what the server has now. */
export async function backUp({ dataDir, env }: ServerProcess): Promise<BackUp> {
  return env.MONGO_URL === undefined ? ofFiles(dataDir) : ofDatabase(env.MONGO_URL);
}

function ofFiles(dataDir: string): BackUp {
  const copy = tempDir();
  const files = { log: /^log\.db/, 'read models': /^read\.db/ } as const;
  const named = (directory: string, part: Part) =>
    readdirSync(directory).filter((name) => files[part].test(name));
  for (const part of ['log', 'read models'] as const)
    for (const name of named(dataDir, part)) cpSync(join(dataDir, name), join(copy, name));
  const remove = async (part: Part) => {
    for (const name of named(dataDir, part)) rmSync(join(dataDir, name));
  };
  return {
    remove,
    async restore(part) {
      await remove(part);
      for (const name of named(copy, part)) cpSync(join(copy, name), join(dataDir, name));
    },
  };
}

async function ofDatabase(url: string): Promise<BackUp> {
  const collections = { log: /^commits$/, 'read models': /_v\d+$|^checkpoints$/ } as const;
  const client = new MongoClient(url);
  const on = async <T>(work: (database: ReturnType<MongoClient['db']>) => Promise<T>): Promise<T> => {
    await client.connect();
    return work(client.db()).finally(() => client.close());
  };
  const named = async (database: ReturnType<MongoClient['db']>, part: Part) =>
    (await database.listCollections().toArray())
      .map(({ name }) => name)
      .filter((name) => collections[part].test(name));
  const copy = new Map<string, object[]>();
  await on(async (database) => {
    for (const part of ['log', 'read models'] as const)
      for (const name of await named(database, part))
        copy.set(name, await database.collection(name).find().toArray());
  });
  // Emptied, not dropped: the log's indexes are made with it.
  const remove = (part: Part) =>
    on(async (database) => {
      for (const name of await named(database, part))
        await (part === 'log' ? database.collection(name).deleteMany({}) : database.collection(name).drop());
    });
  return {
    remove,
    async restore(part) {
      await remove(part);
      await on(async (database) => {
        for (const [name, documents] of copy)
          if (collections[part].test(name) && documents.length > 0)
            await database.collection(name).insertMany(documents);
      });
    },
  };
}
