import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { MongoClient } from 'mongodb';
import { openSqliteLog } from '../../src/log/embeddedLog.js';
import type { EventLog } from '../../src/log/log.js';
import { openMongoLog } from '../../src/log/mongoLog.js';
import { COMMITS } from '../../src/log/mongoLogMeta.js';
import type { LogStore } from '../conformance/eventLog.js';
import { freshDatabase } from '../support/mongo.js';
import { type DeafProxy, deafProxy } from './deafProxy.js';

/** A new directory, empty except for the later `log.db`. */
export async function sqliteStore(): Promise<LogStore & { readonly file: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'parley-log-'));
  const file = join(dir, 'log.db');
  const opened: EventLog[] = [];
  return {
    file,
    async open(partitions) {
      const log = await openSqliteLog({ file, ...(partitions === undefined ? {} : { partitions }) });
      opened.push(log);
      return log;
    },
    async remove(partition, position) {
      const db = new DatabaseSync(file, { timeout: 5000 });
      db.prepare(`DELETE FROM commits_${partition} WHERE position = ?`).run(position);
      db.close();
    },
    async discard() {
      await Promise.all(opened.map((log) => log.close()));
      await rm(dir, { recursive: true });
    },
  };
}

/** A new database behind a network that can fail. */
export interface MongoStore extends LogStore {
  readonly proxy: DeafProxy;
  /** Returns the keys of a collection's indexes. */
  indexes(collection: string): Promise<unknown[]>;
}

export async function mongoStore(): Promise<MongoStore> {
  const direct = await freshDatabase();
  const url = new URL(direct);
  const proxy = await deafProxy({ host: url.hostname, port: Number(url.port) });
  url.host = `127.0.0.1:${proxy.port}`;
  // Otherwise the driver would bypass the proxy and use the server's own address.
  url.searchParams.set('directConnection', 'true');
  const opened: EventLog[] = [];
  return {
    proxy,
    async indexes(collection) {
      const client = new MongoClient(direct);
      const indexes = await client.db().collection(collection).indexes();
      await client.close();
      return indexes.map(({ key }) => key);
    },
    async open(partitions) {
      const log = await openMongoLog({ url: url.href, ...(partitions === undefined ? {} : { partitions }) });
      opened.push(log);
      return log;
    },
    async remove(partition, position) {
      const client = new MongoClient(direct);
      const commits = client.db().collection<{ _id: object }>(COMMITS);
      await commits.deleteOne({ _id: { p: partition, n: position } });
      await client.close();
    },
    loseNextAnswer: () => proxy.loseAnswerTo('insert'),
    async discard() {
      await Promise.all(opened.map((log) => log.close()));
      await proxy.goDown();
    },
  };
}
