import { setTimeout as pass } from 'node:timers/promises';
import type { Cluster } from './cluster.js';
import { type Fault, sayFault } from './faults.js';
import type { History } from './history.js';
import type { ClusterNode } from './node.js';
import type { Toxic } from './toxiproxy.js';

/** Lets faults happen at their times; resolves when all of them are over and every process runs again. */
export async function inflict(cluster: Cluster, faults: readonly Fault[], history: History): Promise<void> {
  await Promise.all(
    faults.map(async (fault) => {
      await pass(fault.at);
      history.add({ kind: 'fault', what: sayFault(fault) });
      await happen(cluster, fault);
      history.add({ kind: 'fault', what: `over: ${sayFault(fault)}` });
    }),
  );
}

async function happen(
  { nodes, nats }: Cluster,
  { kind, node: index = 0, forMs, delayMs = 0 }: Fault,
): Promise<void> {
  const node = nodes[index];
  if (!node) throw new Error(`there is no node ${index}`);
  switch (kind) {
    case 'killed':
      await node.end('SIGKILL');
      await pass(forMs);
      return node.start();
    case 'handed over':
      await node.end('SIGTERM');
      await pass(forMs);
      return node.start();
    case 'paused':
      node.signal('SIGSTOP');
      await pass(forMs);
      return node.signal('SIGCONT');
    case 'bus gone':
      await nats?.stop();
      await pass(forMs);
      return nats?.start();
    case 'cut off':
      await node.database?.cut();
      await pass(forMs);
      return node.database?.restore();
    case 'slow':
      return poisoned(node, latency(delayMs, delayMs / 2), forMs);
    case 'late':
      return poisoned(node, latency(delayMs, 0), forMs);
    case 'unheard':
      return poisoned(node, silence('upstream'), forMs);
    case 'mute':
      return poisoned(node, silence('downstream'), forMs);
    case 'reset':
      return poisoned(
        node,
        { type: 'reset_peer', stream: 'downstream', attributes: { timeout: delayMs } },
        forMs,
      );
  }
}

/** Nothing comes through; in the end, the connections end too. */
const silence = (stream: Toxic['stream']): Toxic => ({ type: 'timeout', stream, attributes: { timeout: 0 } });

const latency = (ms: number, jitter: number): Toxic => ({
  type: 'latency',
  stream: 'downstream',
  attributes: { latency: Math.round(ms), jitter: Math.round(jitter) },
});

async function poisoned(node: ClusterNode, toxic: Toxic, forMs: number): Promise<void> {
  await node.database?.poison(toxic);
  await pass(forMs);
  await node.database?.restore();
}
