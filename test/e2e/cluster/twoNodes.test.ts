import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { expectWhole, Ledger } from '../../faults/ledger.js';
import { eventually } from '../../support/eventually.js';
import { freshDatabase, mongoUrl } from '../../support/mongo.js';
import { natsUrl } from '../../support/nats.js';
import { type Device, newDevice, type Person, signUp } from '../../support/people.js';
import { type ServerProcess, startServer } from '../../support/server.js';

const PARTITIONS = 4;
/** Enough pairs that every partition has some rooms, and so each node. */
const PAIRS = 8;

/** Returns the number of partitions that a node owns, from its metrics. */
async function owned(node: ServerProcess): Promise<number> {
  const text = await (await fetch(`${node.url}/metrics`)).text();
  return Number(/^parley_partitions_owned (\d+)$/m.exec(text)?.[1]);
}

interface Pair {
  readonly sender: Device;
  readonly reader: Device;
  readonly roomId: string;
}

describe('two nodes on one MongoDB and one NATS', function () {
  this.timeout(300_000);
  const nodes: ServerProcess[] = [];
  const devices: Device[] = [];
  const pairs: Pair[] = [];
  const ledger = new Ledger();
  let env: Readonly<Record<string, string>>;

  const startNode = async () => {
    const node = await startServer({ engine: 'mongodb', env });
    nodes.push(node);
    return node;
  };
  const device = async (node: ServerProcess, person: Person) => {
    const made = await newDevice(node, person);
    devices.push(made);
    await made.client.ready;
    return made;
  };
  const spread = (...counts: number[]) =>
    eventually(`the nodes own ${counts.join(' and ')} partitions`, async () => {
      const living = nodes.slice(-counts.length);
      return (await Promise.all(living.map(owned))).join() === counts.join();
    });
  const sendAll = (text: string) =>
    Promise.all(pairs.map(({ sender, roomId }) => ledger.send(sender, roomId, text)));

  before(async function () {
    const nats = await natsUrl();
    if ((await mongoUrl()) === undefined || nats === undefined) this.skip();
    env = {
      MONGO_URL: await freshDatabase(),
      NATS_URL: nats,
      PARTITIONS: String(PARTITIONS),
      MASTER_KEY: randomBytes(32).toString('base64'),
      RATE_LIMIT: 'off',
    };
  });

  after(async () => {
    for (const each of devices) each.close();
    await Promise.all(nodes.map((node) => node.stop().catch(() => {})));
  });

  it('share the partitions when the second starts', async () => {
    await startNode();
    await spread(PARTITIONS);
    await startNode();
    await spread(PARTITIONS / 2, PARTITIONS / 2);
  });

  it('serve every room from both, and deliver on both', async () => {
    const [one, two] = nodes as [ServerProcess, ServerProcess];
    for (let n = 0; n < PAIRS; n++) {
      const [ada, ben] = [await signUp(one, `ada_${n}`), await signUp(two, `ben_${n}`)];
      const [sender, reader] = [await device(one, ada), await device(two, ben)];
      pairs.push({ sender, reader, roomId: await sender.chatWith(ben) });
    }
    for (let n = 0; n < 5; n++) await sendAll(`from one ${n}`);
    await Promise.all(pairs.map(({ reader, roomId }) => ledger.send(reader, roomId, 'from two')));
    for (const { sender, reader, roomId } of pairs) {
      await eventually('both have been pushed what the other wrote', () => {
        return reader.pushed.length === 5 && sender.pushed.length === 1;
      });
      for (const each of [sender, reader]) ledger.check(roomId, await each.history(roomId));
    }
  });

  it('release when one is stopped, and lose nothing in progress', async () => {
    const [, two] = nodes as [ServerProcess, ServerProcess];
    // Users on the other node may notice a pause, nothing else.
    const sending = (async () => {
      for (let n = 0; n < 20; n++) await sendAll(`while two stops ${n}`);
    })();
    for (const { reader } of pairs) reader.close();
    expect(await two.stop()).to.deep.equal({ code: 0, signal: null });
    nodes.pop();
    await sending;
    await spread(PARTITIONS);
    for (const { sender, roomId } of pairs) ledger.check(roomId, await sender.history(roomId));
  });

  it('continue without one that was killed', async () => {
    const three = await startNode();
    await spread(PARTITIONS / 2, PARTITIONS / 2);
    await three.kill('SIGKILL');
    nodes.pop();
    await sendAll('after one died');
    await spread(PARTITIONS);
    for (const { sender, roomId } of pairs) {
      const history = await sender.history(roomId);
      ledger.check(roomId, history);
      expectWhole(history);
    }
  });
});
