import type { NodeId } from '../bus/bus.js';
import { allWithin } from '../mongo.js';
import type { Devices } from './devices.js';
import { memoryDevices } from './devicesMemory.js';
import { mongoDevices } from './devicesMongo.js';
import type { Leases } from './leases.js';
import { mongoLeases } from './leasesMongo.js';
import { clusterClient } from './mongoClient.js';
import type { Nodes } from './nodes.js';
import { mongoNodes } from './nodesMongo.js';
import { singleLeases, singleNode } from './single.js';

/** No call takes more than two attempts. */
const CALL_MS = 5000;

/** What the nodes of one log agree on among themselves. */
export interface Cluster {
  readonly leases: Leases;
  readonly nodes: Nodes;
  readonly devices: Devices;
  close(): Promise<void>;
}

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
  if (url === undefined)
    return {
      leases: singleLeases(node, partitions),
      nodes: singleNode(node, knows),
      devices: memoryDevices(node),
      close: async () => {},
    };
  const client = clusterClient(url);
  try {
    const leases = await mongoLeases(client.db(), node, partitions);
    const nodes = allWithin(CALL_MS, mongoNodes(client.db(), node, knows));
    const devices = allWithin(CALL_MS, await mongoDevices(client.db(), node, nodes));
    return { leases: allWithin(CALL_MS, leases), nodes, devices, close: () => client.close() };
  } catch (error) {
    await client.close();
    throw error;
  }
}
