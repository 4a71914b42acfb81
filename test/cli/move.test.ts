import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'chai';
import { MongoClient } from 'mongodb';
import { openDataDir } from '../../src/app/dataDir.js';
import { fateOf, type MoveStep, moveSystem } from '../../src/app/moveSystem.js';
import { readConfig } from '../../src/base/settings.js';
import { openCluster } from '../../src/cluster/openCluster.js';
import { checkPartitionChain } from '../../src/log/checkLog.js';
import { buildCommit, type Head } from '../../src/log/commit.js';
import { openMongoLog } from '../../src/log/mongoLog.js';
import { COMMITS } from '../../src/log/mongoLogMeta.js';
import { type Engine, logFileOf, readFileOf } from '../../src/projections/store/engine.js';
import { vaultFileOf } from '../../src/vault/openVault.js';
import { TABLES_OF_THE_FILE, VAULT_TABLES } from '../../src/vault/vaultTables.js';
import { chatOf, hear, heard, Newcomer, say } from '../e2e/newcomer.js';
import { eventually } from '../support/eventually.js';
import { HostServer } from '../support/hostServer.js';
import { ask } from '../support/http.js';
import { isSoak, runs } from '../support/lanes.js';
import { freshDatabase, mongoUrl } from '../support/mongo.js';
import { parley } from '../support/parley.js';
import { commandLine } from '../support/program.js';
import { type Random, upTo, withSeed } from '../support/random.js';
import { dataAt, EGRESS, Receiver } from '../support/receiver.js';
import { rejection } from '../support/rejection.js';
import { DidNotStart, ServerProcess, startServer } from '../support/server.js';
import { tempDir } from '../support/tempDir.js';

const ENV = { PARTITIONS: '2', RATE_LIMIT: 'off' } as const;
const ONE_LINE = /^parley: [^\n]+\n$/;

/** A new data directory with nothing but the master key of another. */
function directoryWithKeyOf(dataDir: string): string {
  const dir = tempDir();
  copyFileSync(join(dataDir, 'master.key'), join(dir, 'master.key'));
  return dir;
}

async function hasMongo(): Promise<boolean> {
  return (await mongoUrl()) !== undefined;
}

/** What a server says that does not start. */
async function refusalOf(server: ServerProcess): Promise<string> {
  try {
    await server.start();
  } catch (error) {
    if (!(error instanceof DidNotStart)) throw error;
    return JSON.parse(error.log.trim().split('\n').at(-1) ?? '').msg;
  }
  await server.stop();
  throw new Error('it should not have started');
}

/** What a statement gives in the column `name`. */
function namesIn(file: string, statement: string): string[] {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return db
      .prepare(statement)
      .all()
      .map(({ name }: { name: string }) => name);
  } finally {
    db.close();
  }
}
const tablesOf = (file: string): string[] =>
  namesIn(file, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");

describe('a system that is moved to MongoDB, and back into a directory', function () {
  this.timeout(180_000);
  let server: ServerProcess;
  /** Where it runs now. */
  const place = {
    get url() {
      return server.url;
    },
    get wsUrl() {
      return server.wsUrl;
    },
    get settings() {
      return server.settings;
    },
  };
  let [ada, ben, eve]: Newcomer[] = [];
  const people = () => {
    if (!ada || !ben || !eve) throw new Error('nobody has signed up');
    return { ada, ben, eve };
  };
  let roomId: string;
  let groupId: string;
  let receiver: Receiver;
  let host: HostServer;
  let secret: string;
  /** The texts that were sent, in the order in which the subscription must get them. */
  const sent: string[] = [];
  /** From before the first move. */
  let held: {
    readonly partition: number;
    readonly proof: { readonly offset: number; readonly size: number; readonly hashes: string[] };
    readonly checkpoints: readonly string[];
    readonly key: string;
    readonly events: unknown;
    readonly messageId: string;
    readonly sessions: string;
  };
  /** Ben's device is away during each move. It has not heard these. */
  let cursor: string;
  const unheard: string[] = [];
  let mongo: string;

  const auditorAsks = (path: string) => ask(server.url, `GET ${path}`, { token: people().ada.token });
  /** One with events enough for a proof of the fourth. */
  const largestPartition = async () => {
    const heads = await Promise.all([0, 1].map((p) => auditorAsks(`/audit/log/${p}/checkpoint`)));
    const [one = 0, two = 0] = heads.map(({ text }) => Number(text.split('\n')[1]));
    return one > two ? 0 : 1;
  };
  const speak = async (...texts: string[]): Promise<void> => {
    const phone = await people().ada.device();
    for (const text of texts) {
      await say(phone, roomId, text);
      sent.push(text);
      unheard.push(text);
    }
    await phone.close();
  };
  const received = () => dataAt(receiver.received, 'text');
  const allReceived = () => eventually('all is delivered', () => received().length >= sent.length);

  before(
    'people talk, edit, delete and are erased; a head is signed and a host subscribes',
    async function () {
      if (!(await hasMongo())) return this.skip();
      server = await startServer({ engine: 'sqlite', env: { ...ENV, ...EGRESS } });
      mongo = await freshDatabase();
      receiver = await Receiver.start();
      [ada, ben, eve] = [await Newcomer.at(place), await Newcomer.at(place), await Newcomer.at(place)];
      const me = people().ada;
      expect(await parley(['role', 'auditor', me.user.username ?? ''], server.settings)).to.include({
        code: 0,
      });
      host = await HostServer.of(place);
      secret = await host.subscribe('all', { url: receiver.url, types: ['MessageSent'] });
      const phone = await me.device();
      roomId = await chatOf(phone, people().ben);
      groupId = randomUUID();
      const memberIds = [people().ben.userId, people().eve.userId];
      await phone.request('create group', { roomId: groupId, name: 'The secret name', memberIds });
      const messageId = randomUUID();
      await phone.request('send message', { roomId, messageId, message: 'kept' });
      const edited = await say(phone, roomId, 'before the edit');
      const { messageId: editedId } = edited;
      await phone.request('edit message', {
        roomId,
        messageId: editedId,
        editId: randomUUID(),
        message: 'edited',
      });
      const { messageId: deletedId } = await say(phone, roomId, 'deleted');
      await phone.request('delete message', { roomId, messageId: deletedId });
      sent.push('kept', 'before the edit', 'deleted');
      const json = { password: people().eve.password };
      const erased = await ask(server.url, `DELETE /user/${people().eve.userId}`, {
        token: people().eve.token,
        json,
      });
      expect(erased.status).to.equal(204);
      await allReceived();
      const tablet = await people().ben.device();
      cursor = tablet.cursor;
      await tablet.close();
      await phone.close();
      const partition = await largestPartition();
      const checkpoints = await Promise.all(
        [0, 1].map(async (p) => (await auditorAsks(`/audit/log/${p}/checkpoint`)).text),
      );
      const { body: proof } = await auditorAsks(`/audit/log/${partition}/proof?offset=3`);
      const { text: key } = await auditorAsks('/audit/log/key');
      const { body } = await auditorAsks(`/audit/events?stream=room:${roomId}&limit=200`);
      const { out: sessions } = await parley(
        ['user', 'sessions', people().ben.user.username ?? ''],
        server.settings,
      );
      held = { partition, proof, checkpoints, key, events: body.events, messageId, sessions };
    },
  );
  after(async () => {
    await server?.stop();
    await receiver?.close();
  });

  /** All that must be as before, on whichever engine the system runs now. */
  function staysTheSame(round: string): void {
    it('keeps people signed in, and their passwords', async () => {
      const { ben: him } = people();
      await (await him.device()).close();
      const again = await him.signedIn();
      await again.device.close();
      expect((await parley(['user', 'sessions', him.user.username ?? ''], server.settings)).out).to.include(
        held.sessions.trim().split('\n').at(-1),
      );
    });

    it('gives a device that resumes what it missed, once, and goes on live', async () => {
      const tablet = await people().ben.device(cursor);
      await speak(`live ${round}`);
      await hear(tablet, `live ${round}`);
      expect(heard(tablet)).to.deep.equal(unheard.splice(0));
      cursor = tablet.cursor;
      await tablet.close();
    });

    it('answers a repeated message as before, and refuses another with its id', async () => {
      const phone = await people().ada.device();
      const { messageId } = held;
      const { message } = await phone.request('send message', { roomId, messageId, message: 'kept' });
      expect(message).to.include({ seq: 1, message: 'kept' });
      expect((await phone.refusal('send message', { roomId, messageId, message: 'other' })).code).to.equal(
        'conflict',
      );
      await phone.close();
    });

    it('shows what was edited, and neither what was deleted nor who was erased', async () => {
      const phone = await people().ada.device();
      const { messages } = await phone.request('fetch messages', { roomId });
      expect(messages.slice(0, 3).map(({ message }) => message)).to.deep.equal(['kept', 'edited', null]);
      const { chats } = await phone.request('get active chats', {});
      const group = chats.find((chat) => chat.roomId === groupId);
      expect(group).to.include({ name: 'The secret name', members: 2 });
      await phone.close();
      const { body } = await auditorAsks(`/user/${people().eve.userId}`);
      expect(body.user).to.include({ username: null, erased: true });
      const json = { username: people().eve.user.username, password: people().eve.password };
      expect((await ask(server.url, 'POST /user/signin', { json })).status).to.equal(401);
    });

    it('proves by an old head what it proved before, and signs with the same key', async () => {
      const { partition } = held;
      const { offset, size } = held.proof;
      const { body } = await auditorAsks(`/audit/log/${partition}/proof?offset=${offset}&size=${size}`);
      expect({ ...body, checkpoint: '' }).to.deep.equal({ ...held.proof, checkpoint: '' });
      expect((await auditorAsks('/audit/log/key')).text).to.equal(held.key);
      const { body: events } = await auditorAsks(`/audit/events?stream=room:${roomId}&limit=200`);
      const before = held.events as unknown[]; // The answer has a list.
      expect(events.events.slice(0, before.length)).to.deep.equal(before);
    });

    it('goes on with a subscription from its place, signed with its secret', async () => {
      await speak(`for the host ${round}`);
      await allReceived();
      expect(received()).to.deep.equal(sent);
      expect(secret).to.match(/^whsec_/);
      expect(await host.subscription('all')).to.not.have.property('failing');
    });
  }

  /** Something is said that Ben's device misses, and the server stops. */
  async function stopBefore(round: string): Promise<void> {
    await speak(`missed before ${round}`, `and this ${round}`);
    await allReceived();
    await server.stop();
  }

  async function verify(): Promise<void> {
    const files = held.checkpoints.map((note) => {
      const file = join(tempDir(), 'checkpoint');
      writeFileSync(file, note);
      return file;
    });
    const since = files.flatMap((file) => ['--since', file]);
    const { code, out, err } = await parley(['audit', 'verify', ...since], server.settings);
    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    expect(out).to.match(/\nverified: nothing is wrong\n$/);
  }

  describe('on MongoDB', () => {
    before(async () => {
      const { code, err } = await parley(['move', '--to', mongo], server.settings);
      expect(code).to.equal(1);
      expect(err, 'while it runs').to.match(ONE_LINE).and.include('is in use by another process');
      await stopBefore('there');
      const moved = await parley(['move', '--to', mongo], server.settings);
      expect({ code: moved.code, err: moved.err }).to.deep.equal({ code: 0, err: '' });
      expect(moved.out).to.match(
        /^\d+ events and \d+ rows of the vault are in mongodb:\/\/\S+, and are verified there\n/,
      );
      expect(moved.out).to.match(
        /\nthe system in [^\n]* does not start again, [^\n]* delete log\.db\*, vault\.db\* and read\.db\* there, but keep master\.key\n/,
      );
      expect(moved.out).to.match(
        /\nnext: MONGO_URL=<that URL> parley serve, with the same master key [^\n]*\n$/,
      );
      expect(await refusalOf(server), 'the source').to.match(/was moved to mongodb:\/\/\S+; set MONGO_URL/);
      const again = await parley(['move', '--to', mongo], server.settings);
      expect(again.code).to.equal(1);
      expect(again.err).to.match(ONE_LINE).and.include('already');
      const backup = await parley(['backup', join(tempDir(), 'copy')], server.settings);
      expect(backup.code).to.equal(1);
      expect(backup.err).to.match(ONE_LINE).and.include('was moved to');
      const other = { ...server.env, MONGO_URL: await freshDatabase() };
      expect(
        await refusalOf(new ServerProcess({ engine: 'mongodb', dataDir: server.dataDir, env: other })),
      ).to.include('but MONGO_URL is another database');
      // The directory still has the master key.
      const env = { ...server.env, MONGO_URL: mongo };
      server = await startServer({ engine: 'mongodb', dataDir: server.dataDir, env });
    });
    staysTheSame('there');
    it('verifies, from heads that were kept from before', verify);

    it('has decided on every table and collection that there is', async () => {
      const { dataDir } = server;
      const tables = [logFileOf(dataDir), readFileOf(dataDir)].flatMap(tablesOf);
      expect(tables).to.include.members(['commits_1', 'messages_v1', 'checkpoints']);
      expect(tables.filter((table) => fateOf(table) === undefined)).to.deep.equal([]);
      const client = await new MongoClient(mongo).connect();
      try {
        const { databaseName } = client.db();
        const of = async (name: string) =>
          (await client.db(name).listCollections().toArray()).map(({ name }) => name);
        const collections = await of(databaseName);
        expect(collections).to.include.members(['commits', 'messages_v1', 'leases', 'members']);
        expect(collections.filter((name) => fateOf(name) === undefined)).to.deep.equal([]);
        const names = VAULT_TABLES.map(({ name }) => name);
        expect(names).to.include.members(await of(`${databaseName}_vault`));
        expect([...names, ...TABLES_OF_THE_FILE]).to.have.members(tablesOf(vaultFileOf(dataDir)));
      } finally {
        await client.close();
      }
    });
  });

  describe('in a directory again', () => {
    before(async () => {
      const { MONGO_URL: _, ...env } = server.env;
      const running = await parley(['move', '--to', tempDir()], server.settings);
      expect(running.code).to.equal(1);
      expect(running.err, 'while it runs').to.match(ONE_LINE).and.include('server runs on this database');
      await stopBefore('back');
      const dataDir = directoryWithKeyOf(server.dataDir);
      let moved = await parley(['move', '--to', dataDir], server.settings);
      // A stop waits 2 s for the database to note that the server has left; else it counts as running for 10 s.
      await eventually('the server counts as stopped', async () => {
        if (!moved.err.includes('server runs on this database')) return true;
        moved = await parley(['move', '--to', dataDir], server.settings);
        return false;
      });
      expect({ code: moved.code, err: moved.err }).to.deep.equal({ code: 0, err: '' });
      expect(moved.out).to.match(/ delete that database and the one of its vault\n/);
      expect(readdirSync(dataDir)).to.have.members(['lock', 'log.db', 'master.key', 'vault.db']);
      expect(await refusalOf(server), 'the source').to.include(`was moved to ${dataDir}`);
      server = await startServer({ engine: 'sqlite', dataDir, env });
    });
    staysTheSame('back');
    it('verifies, from heads that were kept from before', verify);
  });
});

const STEPS: readonly MoveStep[] = [
  'begun',
  'log copied',
  'vault copied',
  'verified',
  'source marked',
  'target opened',
];
const CRASH = new Error('the process ended here');
/** A move that is killed takes about this long. */
const KILL_WITHIN_MS = 1500;

describe('parley move that is cut off', function () {
  this.timeout(180_000);
  /** A stopped system. */
  let origin: ServerProcess;
  before(async function () {
    if (!(await hasMongo())) return this.skip();
    origin = await startServer({ engine: 'sqlite', env: ENV });
    const [ada, ben] = [await Newcomer.at(origin), await Newcomer.at(origin)];
    const phone = await ada.device();
    const roomId = await chatOf(phone, ben);
    await Promise.all(Array.from({ length: 400 }, (_, i) => say(phone, roomId, `message ${i}`)));
    await phone.close();
    await origin.stop();
  });

  function copyOfOrigin(): string {
    const dir = tempDir();
    for (const name of readdirSync(origin.dataDir))
      if (name !== 'lock') cpSync(join(origin.dataDir, name), join(dir, name));
    return dir;
  }

  /** Whether a server may start with these settings. */
  async function starts(settings: NodeJS.ProcessEnv): Promise<boolean> {
    try {
      (await openDataDir(readConfig(settings))).release();
      return true;
    } catch {
      return false;
    }
  }

  async function headsOf(url: string): Promise<Head[]> {
    const log = await openMongoLog({ url });
    try {
      const heads = Array.from({ length: log.partitions }, (_, partition) =>
        checkPartitionChain(log, partition),
      );
      return await Promise.all(heads);
    } finally {
      await log.close();
    }
  }

  const crashAt = (last: MoveStep) => ({
    onStep(step: MoveStep) {
      if (step === last) throw CRASH;
    },
  });

  /** Ends the move at each step, one after the other. Until the source is marked it starts, and then the target does. */
  async function crashAtEachStep(
    settings: NodeJS.ProcessEnv,
    to: Engine,
    target: NodeJS.ProcessEnv,
  ): Promise<void> {
    for (const step of STEPS) {
      expect(await rejection(moveSystem(readConfig(settings), to, crashAt(step)))).to.equal(CRASH);
      const isMarked = STEPS.indexOf(step) >= STEPS.indexOf('source marked');
      expect(await starts(settings), `the source, after "${step}"`).to.equal(!isMarked);
      if (!isMarked) expect(await starts(target), `the target, after "${step}"`).to.equal(false);
      if (step === 'source marked') {
        expect(await moveSystem(readConfig(settings), to), 'nothing is left to copy').to.not.have.property(
          'copied',
        );
        break;
      }
    }
    expect(await starts(target), 'the target').to.equal(true);
    expect(String(await rejection(moveSystem(readConfig(settings), to)))).to.include('already');
  }

  it('goes on in both directions after a crash at each step', async () => {
    const dataDir = copyOfOrigin();
    const url = await freshDatabase();
    const there = { DATA_DIR: directoryWithKeyOf(dataDir), MONGO_URL: url };
    await crashAtEachStep({ DATA_DIR: dataDir }, { kind: 'mongodb', url }, there);
    const back = directoryWithKeyOf(dataDir);
    const heads = await headsOf(url);
    await crashAtEachStep(there, { kind: 'sqlite', dataDir: back }, { DATA_DIR: back });
    // A node that was paused during the move still has its head and its lease.
    const log = await openMongoLog({ url });
    const cluster = await openCluster(url, { node: randomUUID(), capabilities: [] }, log.partitions);
    try {
      for (const head of heads) {
        const recordedAt = new Date().toISOString();
        const late = buildCommit({ head, id: randomUUID(), epoch: head.epoch, recordedAt, leaves: [] });
        expect((await log.append(late.commit)).kind).to.equal('lost');
        expect(await cluster.leases.acquire(head.partition)).to.equal(undefined);
      }
    } finally {
      await cluster.close();
      await log.close();
    }
  });

  it('finds a copy that was altered, and leaves the source as it is', async () => {
    const config = readConfig({ DATA_DIR: copyOfOrigin() });
    const url = await freshDatabase();
    const to: Engine = { kind: 'mongodb', url };
    expect(await rejection(moveSystem(config, to, crashAt('log copied')))).to.equal(CRASH);
    const client = await new MongoClient(url).connect();
    try {
      const commits = client.db().collection(COMMITS);
      const altered = await commits.findOneAndUpdate(
        { $expr: { $lt: ['$firstOffset', '$size'] } },
        { $inc: { epoch: 1 } },
      );
      expect(altered).to.not.equal(null);
    } finally {
      await client.close();
    }
    const { code, err } = await parley(['move', '--to', url], { DATA_DIR: config.DATA_DIR });
    expect(code).to.equal(1);
    expect(err)
      .to.match(ONE_LINE)
      .and.match(/has a wrong (?:epoch|hash); the system is where it was, .*/);
    expect(await starts({ DATA_DIR: config.DATA_DIR })).to.equal(true);
  });

  it('takes over what the source did meanwhile: messages, and keys that it destroyed', async () => {
    const source = new ServerProcess({ engine: 'sqlite', dataDir: copyOfOrigin(), env: ENV });
    const url = await freshDatabase();
    const to: Engine = { kind: 'mongodb', url };
    const config = readConfig({ ...source.settings });
    await source.start();
    const eve = await Newcomer.at(source);
    await source.stop();
    expect(await rejection(moveSystem(config, to, crashAt('verified')))).to.equal(CRASH);
    await source.start();
    const json = { password: eve.password };
    expect((await ask(source.url, `DELETE /user/${eve.userId}`, { token: eve.token, json })).status).to.equal(
      204,
    );
    await source.stop();
    await moveSystem(config, to);
    const client = await new MongoClient(url).connect();
    try {
      const vault = client.db(`${client.db().databaseName}_vault`);
      const key = await vault.collection<{ _id: string }>('keys').findOne({ _id: eve.userId });
      expect(key).to.include({ own: null, roots: null });
      expect(
        await vault.collection('sessions').countDocuments({ userId: eve.userId, endedAt: null }),
      ).to.equal(0);
    } finally {
      await client.close();
    }
  });

  /** Kills the command again and again, and then lets it end. */
  async function killAgainAndAgain(
    random: Random,
    settings: Record<string, string>,
    to: string,
  ): Promise<void> {
    for (let kill = 0; kill < runs(2); kill++) {
      const child = spawn(process.execPath, [commandLine, 'move', '--to', to], {
        env: settings,
        stdio: 'ignore',
      });
      const ended = once(child, 'close');
      await Promise.race([ended, delay(upTo(KILL_WITHIN_MS, random))]);
      child.kill('SIGKILL');
      await ended;
    }
    const { code, err } = await parley(['move', '--to', to], settings);
    // A kill may have come after the end.
    if (code !== 0) expect(err).to.include('already');
  }

  it('ends with a whole copy after kills at any moment', () =>
    withSeed(async (random) => {
      const dataDir = copyOfOrigin();
      const url = await freshDatabase();
      const settings = { DATA_DIR: dataDir };
      await killAgainAndAgain(random, settings, url);
      const log = await parley(['audit', 'check-log'], settings);
      const copy = await parley(['audit', 'check-log'], { ...settings, MONGO_URL: url });
      expect(copy).to.deep.equal({ code: 0, out: log.out, err: '' });
      if (!isSoak) return;
      const back = directoryWithKeyOf(dataDir);
      await killAgainAndAgain(random, { ...settings, MONGO_URL: url }, back);
      const again = await parley(['audit', 'check-log'], { DATA_DIR: back });
      expect(again.code, again.err).to.equal(0);
    }));

  it('is refused in one line by a place that is not empty, or has a part of another system', async () => {
    const dataDir = copyOfOrigin();
    const url = await freshDatabase();
    const other = await startServer({ engine: 'sqlite' });
    await other.stop();
    await rejection(
      moveSystem(readConfig({ ...other.settings }), { kind: 'mongodb', url }, crashAt('log copied')),
    );
    const { code, err } = await parley(['move', '--to', url], { DATA_DIR: dataDir });
    expect(code).to.equal(1);
    expect(err)
      .to.match(ONE_LINE)
      .and.match(/is not empty: it has the collection \w+; name a database/);
    expect(await starts({ DATA_DIR: dataDir })).to.equal(true);
    await moveSystem(readConfig({ ...other.settings }), { kind: 'mongodb', url });
    const full = tempDir();
    writeFileSync(join(full, 'mine'), '');
    const back = await parley(['move', '--to', full], { DATA_DIR: other.dataDir, MONGO_URL: url });
    expect(back.code).to.equal(1);
    expect(back.err).to.match(ONE_LINE).and.include('is not empty: it has mine;');
    expect(readdirSync(full)).to.deep.equal(['mine']);
    const closed = tempDir();
    mkdirSync(join(closed, 'lock'));
    for (const [place, what] of [
      [closed, 'the file lock cannot be made in'],
      ['/proc/parley', 'the directory /proc/parley cannot be made'],
    ] as const) {
      const refused = await parley(['move', '--to', place], { DATA_DIR: other.dataDir, MONGO_URL: url });
      expect(refused.code).to.equal(1);
      expect(refused.err).to.match(ONE_LINE).and.include(`--to: ${what}`).and.include(place);
      expect(refused.err).to.match(/the user of this process \(uid \d+\) must be allowed to write there/);
    }
    expect(await starts({ DATA_DIR: other.dataDir, MONGO_URL: url })).to.equal(true);
  });

  it('needs a system, its master key and a place that it knows', async () => {
    const empty = tempDir();
    const [url, unknown] = [await freshDatabase(), 'postgres://127.0.0.1/parley'];
    for (const [args, env, expected] of [
      [['--to', url], { DATA_DIR: empty }, [1, /DATA_DIR \(.*\) holds no log/]],
      [['--to', unknown], { DATA_DIR: origin.dataDir }, [2, /must be a directory, or the URL/]],
      [['--to', 'mongodb://127.0.0.1'], { DATA_DIR: origin.dataDir }, [2, /must be a directory, or the URL/]],
      [[], { DATA_DIR: origin.dataDir }, [2, /required option/]],
      [['--to', empty], { DATA_DIR: origin.dataDir }, [2, /--to is a directory, and so is DATA_DIR/]],
      [['--to', url], { DATA_DIR: empty, MONGO_URL: url }, [2, /MONGO_URL is set/]],
      [
        ['--to', url],
        { DATA_DIR: origin.dataDir, MASTER_KEY: `${'A'.repeat(43)}=` },
        [1, /another master key/],
      ],
    ] as const) {
      const { code, out, err } = await parley(['move', ...args], env);
      expect([code, out], err).to.deep.equal([expected[0], '']);
      expect(err)
        .to.match(expected[1])
        .and.match(/^[^\n]+\n$/);
    }
    expect(readdirSync(empty)).to.deep.equal([]);
    expect(existsSync(join(origin.dataDir, 'moved'))).to.equal(false);
  });
});
