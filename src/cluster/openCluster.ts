import type { NodeId } from '../bus/bus.js';
import { memoryDevices } from './devicesMemory.js';
import type { Cluster } from './nodes.js';

import { singleLeases, singleNode } from './single.js';

/**
 * This node's part of it, in the log's database; without a `url`, of the one process that there is. `knows` is
 * what it can read, as in `Living`. Throws what the driver throws when the database does not answer.
 */
export async function openCluster(
  url: string | undefined,
  node: NodeId,
  partitions: number,
  knows: readonly string[],
): Promise<Cluster> {
  if (url !== undefined) {
    const { openMongoCluster } = await import('./clusterMongo.js');
    return openMongoCluster(url, node, partitions, knows);
  }
  return {
    leases: singleLeases(node, partitions),
    nodes: singleNode(node, knows),
    devices: memoryDevices(node),
    close: async () => {},
  };
}
