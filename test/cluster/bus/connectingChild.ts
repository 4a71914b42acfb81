import { randomBytes, randomUUID } from 'node:crypto';
import { parseNatsServers } from '../../../src/base/settings.js';
import { BusSeal } from '../../../src/cluster/busSeal.js';
import { NatsBus } from '../../../src/cluster/natsBus.js';

// Prints `connected`, or the error, for the servers in its argument. A separate process, because Node reads
// its trusted certificates only at start.

const say = (text: string): void => {
  process.stdout.write(text, () => process.exit(0));
};

const [logId, node] = [randomUUID(), randomUUID()];
new NatsBus({
  servers: parseNatsServers(process.argv[2] ?? '') ?? [],
  logId,
  node,
  seal: new BusSeal(node, randomBytes(32), logId),
  report: (_, error) => say(String(error)),
}).onConnectionChange(() => say('connected'));
