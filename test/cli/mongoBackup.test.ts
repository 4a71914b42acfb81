import { join } from 'node:path';
import { expect } from 'chai';
import { type Db, MongoClient } from 'mongodb';
import { chatOf, Newcomer, say } from '../e2e/newcomer.js';
import { startFresh } from '../support/engines.js';
import { eventually } from '../support/eventually.js';
import { ask } from '../support/http.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { parley } from '../support/parley.js';
import { RawSocket } from '../support/rawSocket.js';
import { type ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

const TALKERS = 8;
const PAGE = 500;

/** Copies a collection as `mongodump` does: page by page, while others write. */
async function copyCollection(from: Db, to: Db, name: string): Promise<void> {
  let page: object[] = [];
  const write = async () => {
    if (page.length > 0) await to.collection(name).insertMany(page);
    page = [];
  };
  for await (const document of from.collection(name).find()) {
    page.push(document);
    if (page.length >= PAGE) await write();
  }
  await write();
}

describe('a backup of MongoDB, a collection after the other: the log, then the vault', function () {
  this.timeout(180_000);
  let server: ServerProcess;
  let restored: ServerProcess | undefined;
  let ada: Newcomer;
  let ben: Newcomer;
  let roomId: string;
  /** By `seq`, what had been answered before the copy began; and what was deleted, before it or behind it. */
  const answered = new Map<number, string>();
  const deleted = new Set<number>();
  let isStopped = false;

  before('it is made while people write and delete', async function () {
    if ((await mongoUrl()) === undefined) return this.skip();
    server = await startFresh('mongodb', { env: { PARTITIONS: '2', RATE_LIMIT: 'off' } });
    [ada, ben] = [await Newcomer.at(server), await Newcomer.at(server)];
    const device = await ada.device();
    roomId = await chatOf(device, ben);
    const said = new Map<number, string>();
    const talk = async (talker: number) => {
      for (let n = 1; !isStopped; n++) {
        const text = `message ${n} of ${talker}`;
        const { seq, messageId } = await say(device, roomId, text);
        said.set(seq, text);
        if (n % 5 !== 0) continue;
        await device.persist('delete message', { roomId, messageId });
        deleted.add(seq);
      }
    };
    const talking = Promise.all(Array.from({ length: TALKERS }, (_, talker) => talk(talker)));
    await eventually('much is said', () => said.size > 200);
    for (const [seq, text] of said) answered.set(seq, text);
    const [from, to] = [server.env.MONGO_URL ?? '', await freshDatabase()];
    const [source, target] = [await new MongoClient(from).connect(), await new MongoClient(to).connect()];
    try {
      const [log, copy] = [source.db(), target.db()];
      for (const name of ['log', 'commits']) await copyCollection(log, copy, name);
      const more = deleted.size;
      await eventually('more is deleted before the vault is copied', () => deleted.size > more + 3);
      const vault = source.db(`${log.databaseName}_vault`);
      const vaultCopy = target.db(`${copy.databaseName}_vault`);
      for (const { name } of await vault.listCollections().toArray())
        await copyCollection(vault, vaultCopy, name);
    } finally {
      await source.close();
      await target.close();
    }
    const more = deleted.size;
    await eventually('more is deleted than the copy knows', () => deleted.size > more + 3);
    isStopped = true;
    await talking;
    await device.close();
    const list = join(tempDir(), 'erasures');
    expect(await parley(['backup', '--erasures', list], server.settings)).to.include({ code: 0 });
    await server.stop();
    const settings = { ...server.settings, MONGO_URL: to };
    const checked = await parley(['audit', 'check-log'], settings);
    expect({ code: checked.code, err: checked.err }).to.deep.equal({ code: 0, err: '' });
    const { code, err } = await parley(['restore', '--here', '--erasures', list], settings);
    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    const env = { ...server.env, MONGO_URL: to };
    restored = await startServer({ engine: 'mongodb', dataDir: server.dataDir, env });
  });
  after(async () => {
    isStopped = true;
    await server?.stop();
    await restored?.stop();
  });

  it('has all that was answered before it began, without what was deleted since', async () => {
    if (!restored) throw new Error('it does not run');
    const { username } = ada.user;
    const { body } = await ask(restored.url, 'POST /user/signin', {
      json: { username, password: ada.password },
    });
    const device = await RawSocket.open(restored.wsUrl, body.token);
    const found = new Map<number, string | null>();
    for (let after = 0, hasMore = true; hasMore; ) {
      const page = await device.request('fetch messages', { roomId, after, limit: 200 });
      for (const { seq, message } of page.messages) found.set(seq, message);
      after = page.messages.at(-1)?.seq ?? after;
      hasMore = page.hasMore;
    }
    await device.close();
    for (const [seq, text] of answered) expect(found.get(seq), text).to.equal(deleted.has(seq) ? null : text);
    for (const seq of deleted) expect(found.get(seq) ?? null, `the deleted message ${seq}`).to.equal(null);
  });

  it('verifies', async () => {
    const { code, out, err } = await parley(['audit', 'verify'], restored?.settings);
    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    expect(out).to.match(/\nverified: nothing is wrong\n$/);
  });
});
