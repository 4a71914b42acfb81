import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { MongoClient } from 'mongodb';
import { Campaign, RoundFailed } from './campaign.js';
import type { ClusterOptions } from './cluster.js';
import { measureOutage } from './outage.js';

const usage = `Plays rounds of faults against nodes in processes of their own, and checks all that clients saw.

  npm run faults -- [--seed S] [--rounds N] [--nodes N] [--embedded] [--outage]

  --seed      of the first round; the next ones follow it (default: a new one)
  --rounds    how many (default 1)
  --nodes     on MONGO_URL and, with more than one, a NATS server of their own (default 3)
  --embedded  one node on the embedded engine
  --outage    measures the time without service when a node is killed, and when it is stopped

TOXIPROXY_SERVER and NATS_SERVER are the binaries of both; \`tools/services up\` prints all three variables.`;

/** Databases of this run, to be dropped at its end. */
const made: string[] = [];

function options(nodes: number, isEmbedded: boolean): ClusterOptions {
  if (isEmbedded) return { nodes: 1 };
  const { MONGO_URL, NATS_SERVER, TOXIPROXY_SERVER } = process.env;
  if (MONGO_URL === undefined) throw new Error('set MONGO_URL, or give --embedded');
  if (nodes > 1 && NATS_SERVER === undefined) throw new Error('set NATS_SERVER, or give --nodes 1');
  const name = `parley_faults_${randomBytes(6).toString('hex')}`;
  made.push(name);
  return {
    nodes,
    database: MONGO_URL.replace(/^(mongodb(?:\+srv)?:\/\/[^/?]+)\/?[^?]*/, `$1/${name}`),
    ...(nodes > 1 && NATS_SERVER !== undefined ? { natsServer: NATS_SERVER } : {}),
    ...(TOXIPROXY_SERVER === undefined ? {} : { toxiproxyServer: TOXIPROXY_SERVER }),
  };
}

async function dropMade(): Promise<void> {
  const { MONGO_URL } = process.env;
  if (MONGO_URL === undefined || made.length === 0) return;
  const client = new MongoClient(MONGO_URL);
  try {
    const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
    const ours = databases.filter(({ name }) => made.some((prefix) => name.startsWith(prefix)));
    await Promise.all(ours.map(({ name }) => client.db(name).dropDatabase()));
  } finally {
    await client.close();
  }
}

const say = (text: string): boolean => process.stdout.write(`${text}\n`);

async function outages(campaign: Campaign, seed: number): Promise<void> {
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const { longestMs, moved, partitions } = await measureOutage(await campaign.cluster(), signal, seed);
    const seconds = (longestMs / 1000).toFixed(2);
    say(`${signal}: at most ${seconds} s without service; ${moved} of ${partitions} partitions moved`);
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: `${Math.floor(Math.random() * 2 ** 32)}` },
      rounds: { type: 'string', default: '1' },
      nodes: { type: 'string', default: '3' },
      embedded: { type: 'boolean', default: false },
      outage: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(usage);
    return;
  }
  const campaign = new Campaign(async () => options(Number(values.nodes), values.embedded));
  const leave = async (): Promise<void> => {
    await campaign.stop();
    await dropMade();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void leave().finally(() => process.exit(1)));
  let failed = 0;
  try {
    for (let n = 0; n < Number(values.rounds); n++) {
      const seed = Number(values.seed) + n;
      try {
        const { faults, history } = await campaign.play(seed);
        say(`seed ${seed}: well, ${history.entries.length} entries; ${faults.join('; ')}`);
      } catch (error) {
        if (!(error instanceof RoundFailed)) throw error;
        failed++;
        say(error.message);
        if (error.cause) say(String((error.cause as Error).stack ?? error.cause)); // What was thrown is an error.
      }
    }
    if (values.outage) await outages(campaign, Number(values.seed));
  } finally {
    await leave();
  }
  say(`${values.rounds} rounds, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

await main();
