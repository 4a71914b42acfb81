import { randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { MongoBinary, MongoMemoryReplSet } from 'mongodb-memory-server';
import { cleanUpAfterwards } from './setUp.js';

const DOWNLOAD_MS = 600_000;

let server: MongoMemoryReplSet | undefined;
let found: Promise<string | undefined> | undefined;
const made: string[] = [];

/**
 * A MongoDB server to test against: `MONGO_URL` if set, else a mongod of our own as a replica set of one
 * (downloaded once). Undefined where there is none: leave the suite out. With `CI=true` that is an error.
 */
export function mongoUrl(): Promise<string | undefined> {
  found ??= findServer();
  return found;
}

/** The URL of a database no other test uses; it, and all whose names begin with its, go after the run. */
export async function freshDatabase(): Promise<string> {
  const base = await mongoUrl();
  if (base === undefined) throw new Error('there is no MongoDB server: ask mongoUrl() first');
  const name = `parley_test_${randomBytes(6).toString('hex')}`;
  made.push(name);
  // Not a WHATWG URL: there may be several hosts.
  return base.replace(/^(mongodb(?:\+srv)?:\/\/[^/?]+)\/?[^?]*/, `$1/${name}`);
}

async function findServer(): Promise<string | undefined> {
  const given = process.env.MONGO_URL;
  if (given) {
    await ping(given);
    return given;
  }
  try {
    await MongoBinary.getPath();
  } catch (cause) {
    if (process.env.CI === 'true') throw new Error('CI needs a MongoDB server: set MONGO_URL', { cause });
    console.warn(
      'left out: the suites named MongoDB, as no mongod could be downloaded; to run them, set MONGO_URL',
    );
    return undefined;
  }
  server = await MongoMemoryReplSet.create({ replSet: { count: 1 } });
  return server.getUri();
}

async function ping(url: string): Promise<void> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 5000 });
  try {
    await client.db('admin').command({ ping: 1 });
  } catch (cause) {
    throw new Error('MONGO_URL is set, but nothing answers there', { cause });
  } finally {
    await client.close();
  }
}

async function dropMade(url: string): Promise<void> {
  const client = new MongoClient(url);
  try {
    const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
    const ours = databases.filter(({ name }) => made.some((prefix) => name.startsWith(prefix)));
    await Promise.all(ours.map(({ name }) => client.db(name).dropDatabase()));
  } finally {
    await client.close();
  }
}

// A hook of the whole run: registered when the first suite that needs a server is loaded.
before('find a MongoDB server', async function () {
  this.timeout(DOWNLOAD_MS);
  await mongoUrl();
});

cleanUpAfterwards(async () => {
  const url = await mongoUrl();
  if (url !== undefined && made.length > 0) await dropMade(url);
  made.length = 0;
  // A process of a parallel run has more files to come; a mongod of its own ends with it.
  if (process.env.MOCHA_WORKER_ID === undefined) await server?.stop();
});
