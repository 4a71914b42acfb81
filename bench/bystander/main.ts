import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { parseNatsServers } from '../../src/base/settings.js';
import { BusSeal } from '../../src/cluster/busSeal.js';
import { NatsBus } from '../../src/cluster/natsBus.js';
import { openCluster } from '../../src/cluster/openCluster.js';
import { Fanout } from '../../src/gateway/fanout.js';
import { openMongoLog } from '../../src/log/mongoLog.js';
import { deriveKeys } from '../../src/vault/masterKey.js';

/**
 * Does the work of a node that hosts no member of any room and owns no partition: receives every frame from the bus,
 * finds nobody to deliver it to, and advances its vector. Reads from the log whatever the bus loses. Sends `ready` to
 * the parent process once it follows the log. Answers every message from the parent with its counts of commits and
 * events.
 */
async function standBy(url: string, servers: string, masterKey: string): Promise<void> {
  const log = await openMongoLog({ url });
  const tails = await Promise.all(Array.from({ length: log.partitions }, (_, i) => log.tail(i)));
  const nobody = () => false;
  const idle = () => undefined;
  const fanout = new Fanout(
    tails.map((tail) => ({ position: tail?.position ?? 0, size: tail?.size ?? 0 })),
    {
      delivery: { deliver: idle },
      interest: {
        groups: { hasMembers: nobody, fold: idle },
        ring: { hosts: nobody },
        relations: { isWatched: nobody },
      },
      content: {
        profiles: { known: idle, load: async () => new Map() },
        texts: { messages: async () => [], notes: async () => [] },
        chats: { chat: async () => undefined },
      },
      source: { log, rooms: { members: async () => [] }, queries: { messagesAt: async () => [] } },
      observer: {
        logger: pino({ level: 'silent' }),
        metrics: { observePush: idle },
        onOffline: idle,
        onProfileChange: idle,
        onStop: (error) => {
          throw error;
        },
      },
    },
  );
  const report = (message: string, cause: unknown) => {
    throw new Error(message, { cause });
  };
  const node = randomUUID();
  const { bus: busKey } = deriveKeys(Buffer.from(masterKey, 'base64'));
  const seal = new BusSeal(node, busKey, log.id);
  // It reads the list of live nodes, but is not in it: it owns nothing.
  const cluster = await openCluster(url, { node, capabilities: [], seal }, log.partitions);
  await cluster.nodes.listLive();
  const bus = new NatsBus({ servers: parseNatsServers(servers) ?? [], logId: log.id, node, seal, report });
  let commits = 0;
  let events = 0;
  bus.subscribe((frame) => {
    commits++;
    events += frame.leaves.length;
    fanout.receive(frame);
  });
  bus.onNote((note) => {
    if (note.kind === 'logTails')
      for (const [partition, position] of note.tails) fanout.noteTail(partition, position);
  });
  process.on('message', () => process.send?.({ commits, events }));
  bus.onConnectionChange((isUp) => {
    if (isUp) process.send?.('ready');
  });
}

const { MONGO_URL = '', NATS_URL = '', MASTER_KEY = '' } = process.env;
await standBy(MONGO_URL, NATS_URL, MASTER_KEY);
