import type { NodeId } from '../bus/bus.js';
import { allWithin } from '../mongo.js';
import { mongoDevices } from './devicesMongo.js';
import { mongoLeases } from './leasesMongo.js';
import { clusterClient } from './mongoClient.js';
import type { Cluster } from './nodes.js';
import { mongoNodes } from './nodesMongo.js';

/** No call takes more than two attempts. */
const CALL_MS = 5000;

/** As `openCluster`, in the database at `url`. */
export async function openMongoCluster(
  url: string,
  node: NodeId,
  partitions: number,
  knows: readonly string[],
): Promise<Cluster> {
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
