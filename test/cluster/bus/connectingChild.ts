import { randomUUID } from 'node:crypto';
import { parseNatsServers } from '../../../src/base/config.js';
import { NatsBus } from '../../../src/cluster/natsBus.js';

// Says `connected`, or else what is in the way, of the servers in its one argument, and ends. A process of its own,
// as Node reads only at its start whom to trust.

const say = (text: string): void => {
  process.stdout.write(text, () => process.exit(0));
};

new NatsBus({
  servers: parseNatsServers(process.argv[2] ?? '') ?? [],
  logId: randomUUID(),
  node: randomUUID(),
  report: (_, error) => say(String(error)),
}).onConnection(() => say('connected'));
