import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { eventually } from '../../support/eventually.js';
import { freshDatabase, mongoUrl } from '../../support/mongo.js';
import { newDevice, type Person, signUp } from '../../support/people.js';
import { RawSocket } from '../../support/rawSocket.js';
import { type ServerProcess, startServer } from '../../support/server.js';

const PAIRS = 6;

async function owned({ url }: ServerProcess): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  return Number(/^parley_partitions_owned (\d+)$/m.exec(metrics)?.[1]);
}

describe('two nodes on one MongoDB that are not connected to each other', function () {
  this.timeout(120_000);
  const nodes: ServerProcess[] = [];

  before(async function () {
    if ((await mongoUrl()) === undefined) this.skip();
    const env = {
      MONGO_URL: await freshDatabase(),
      PARTITIONS: '2',
      MASTER_KEY: randomBytes(32).toString('base64'),
    };
    nodes.push(await startServer({ engine: 'mongodb', env }));
    // Before the second node starts: it takes its share, whose rooms are then refused here.
    for (let n = 0; n < PAIRS; n++)
      pairs.push([await signUp(at(0), `ada_${n}`), await signUp(at(0), `ben_${n}`)]);
    nodes.push(await startServer({ engine: 'mongodb', env }));
    // During a release, both nodes may execute commands.
    await eventually('each owns a partition', async () =>
      (await Promise.all(nodes.map(owned))).every((count) => count === 1),
    );
  });

  const pairs: [Person, Person][] = [];
  const at = (n: number): ServerProcess => {
    const node = nodes[n];
    if (!node) throw new Error(`there is no node ${n}`);
    return node;
  };

  after(() => Promise.all(nodes.map((node) => node.stop())));

  it('each serve their own partitions, and refuse the rest as overloaded', async () => {
    const rooms = await Promise.all(
      pairs.map(async ([ada, ben]) => {
        const outcomes = await Promise.all(
          nodes.map(async (node) => {
            const device = await newDevice(node, ada);
            device.close();
            const socket = await RawSocket.open(node.wsUrl, device.token);
            const { error } = await socket.answer(socket.send('init chat', { friendId: ben.user.userId }));
            socket.close();
            return error?.code ?? 'done';
          }),
        );
        return outcomes.sort();
      }),
    );
    for (const outcomes of rooms) expect(outcomes).to.deep.equal(['done', 'overloaded']);
  });
});
