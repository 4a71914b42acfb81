import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { MongoClient } from 'mongodb';
import { connect, type NatsConnection } from 'nats';
import { eventually } from '../../support/eventually.js';
import { freshDatabase, mongoUrl } from '../../support/mongo.js';
import { natsUrl } from '../../support/nats.js';
import { type Device, newDevice, signUp } from '../../support/people.js';
import { type ServerProcess, startServer } from '../../support/server.js';

/** Copies log and vault under running servers, as a backup or a test system is made. */
async function copySystem(from: string, to: string): Promise<void> {
  const [source, target] = [new MongoClient(from), new MongoClient(to)];
  const copy = async (suffix: string) => {
    const [old, copied] = [source, target].map((client) => client.db(`${client.db().databaseName}${suffix}`));
    for (const { name } of (await old?.listCollections({}, { nameOnly: true }).toArray()) ?? []) {
      const documents = (await old?.collection(name).find().toArray()) ?? [];
      if (documents.length > 0) await copied?.collection(name).insertMany(documents);
    }
  };
  try {
    await copy('');
    await copy('_vault');
  } finally {
    await Promise.all([source.close(), target.close()]);
  }
}

describe('a system whose NATS others use too', function () {
  this.timeout(180_000);
  const closing: (() => unknown)[] = [];
  let env: Record<string, string>;

  before(async function () {
    const nats = await natsUrl();
    if ((await mongoUrl()) === undefined || nats === undefined) this.skip();
    env = {
      ...{ MONGO_URL: await freshDatabase(), NATS_URL: nats, PARTITIONS: '2' },
      MASTER_KEY: randomBytes(32).toString('base64'),
    };
  });
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function start(more: Record<string, string> = {}): Promise<ServerProcess> {
    const server = await startServer({ engine: 'mongodb', env: { ...env, ...more } });
    closing.push(() => server.stop());
    return server;
  }
  async function deviceAt(server: ServerProcess, person: Parameters<typeof newDevice>[1]): Promise<Device> {
    const device = await newDevice(server, person);
    closing.push(() => device.close());
    await device.client.ready;
    return device;
  }
  const textsOf = ({ pushed }: Device): string[] => pushed.map(({ message }) => String(message));

  it('is disturbed neither by a copy of its database nor by what was recorded', async () => {
    const [one, two] = [await start(), await start()];
    const [ada, ben] = [await signUp(one, 'ada_shared'), await signUp(two, 'ben_shared')];
    const [sender, reader] = [await deviceAt(one, ada), await deviceAt(two, ben)];
    const roomId = await sender.chatWith(ben);
    await sender.say(roomId, 'before the copy');
    await eventually('it is pushed', () => reader.pushed.length === 1);

    const spy: NatsConnection = await connect({ servers: new URL(env.NATS_URL ?? '').host });
    closing.push(() => spy.close());
    const tape: { subject: string; data: Uint8Array }[] = [];
    spy.subscribe('parley.>', { callback: (_, { subject, data }) => tape.push({ subject, data }) });
    await spy.flush();

    const MONGO_URL = await freshDatabase();
    await copySystem(env.MONGO_URL ?? '', MONGO_URL);
    const copy = await start({ MONGO_URL });
    const there = await deviceAt(copy, ada);
    const benThere = await deviceAt(copy, ben);
    await there.say(roomId, 'in the copy');
    const textsThere = async () => (await benThere.history(roomId)).map(({ message }) => message);
    await eventually('it is pushed in the copy', () => textsOf(benThere).includes('in the copy'));
    await eventually('it is in the history there', async () => (await textsThere()).includes('in the copy'));

    await sender.say(roomId, 'after the copy');
    await eventually('the true one is pushed', () => textsOf(reader).includes('after the copy'));
    for (const { subject, data } of [...tape]) spy.publish(subject, data);
    await spy.flush();
    await sender.say(roomId, 'after the recording');
    await eventually('the next is pushed', () => textsOf(reader).includes('after the recording'));

    const sent = ['before the copy', 'after the copy', 'after the recording'];
    expect(textsOf(reader)).to.deep.equal(sent);
    const history = async () => (await reader.history(roomId)).map(({ message }) => message);
    await eventually('all are in the history', async () => (await history()).length === sent.length);
    expect(await history()).to.deep.equal(sent);
    expect(await textsThere()).to.deep.equal(['before the copy', 'in the copy']);
    for (const server of [one, two, copy]) {
      const ready = await fetch(`${server.url}/ready`);
      expect(ready.status, await ready.text()).to.equal(200);
    }
  });
});
