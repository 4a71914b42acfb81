import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Bus, createMemoryBus, type NodeId } from './bus.js';
import { createMemoryLeases } from './leases.js';
import type { NatsBusOptions } from './natsBus.js';
import { type Cluster, createMemoryDevices, createMemoryNodes, type Self } from './nodes.js';

/**
 * Opens the shared state in the log's database, or that of a single process without a `url`. Throws the driver's error
 * if the database does not answer.
 */
export async function openCluster(url: string | undefined, self: Self, partitions: number): Promise<Cluster> {
  if (url !== undefined) {
    const { openMongoCluster } = await import('./mongoCluster.js');
    return openMongoCluster(url, self, partitions);
  }
  return {
    leases: createMemoryLeases(self.node, partitions),
    nodes: createMemoryNodes(self),
    devices: createMemoryDevices(self.node),
    close: async () => {},
  };
}

const NodeRecord = z.object({ node: z.string(), place: z.string() });

/**
 * Records this node in its data directory, and returns the previous node if it has certainly ended. The
 * caller must hold the directory's lock. On the same machine and boot, nobody else has held it since. A
 * copied or moved directory proves nothing, so that undefined is returned.
 */
export function recordNode(dataDir: string, node: NodeId): NodeId | undefined {
  const file = join(dataDir, 'node');
  const place = identifyDirectory(dataDir);
  if (place === undefined) return undefined;
  const last = readNodeRecord(file);
  // Renamed into place, so that no half-written record is ever read.
  writeFileSync(`${file}.new`, JSON.stringify({ node, place } satisfies z.infer<typeof NodeRecord>), {
    mode: 0o600,
  });
  renameSync(`${file}.new`, file);
  return last?.place === place ? last.node : undefined;
}

/** Frees the leases of the previous node, so that its partitions do not wait until they expire. */
export async function expirePredecessor(
  predecessor: NodeId,
  { nodes, leases }: Pick<Cluster, 'nodes' | 'leases'>,
  report: (message: string, error: unknown) => void,
): Promise<void> {
  try {
    await nodes.expire(predecessor);
    await leases.freeAllOf(predecessor);
  } catch (error) {
    report('cannot free the leases of the previous process; they expire by themselves', error);
  }
}

function readNodeRecord(file: string): z.infer<typeof NodeRecord> | undefined {
  try {
    return NodeRecord.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data;
  } catch {
    return undefined; // The first node here finds no record.
  }
}

/**
 * Identifies this directory on this machine since its boot. Returns undefined on systems that lack a boot id.
 */
function identifyDirectory(dataDir: string): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const { dev, ino } = statSync(dataDir, { bigint: true });
    return `${boot}/${dev}/${ino}`;
  } catch {
    return undefined;
  }
}

/** Opens the bus over these NATS servers, or that of a single process without servers. */
export async function openBus({
  servers,
  ...options
}: Omit<NatsBusOptions, 'servers'> & {
  readonly servers: NatsBusOptions['servers'] | undefined;
}): Promise<Bus> {
  if (!servers) return createMemoryBus(options.node, options.report);
  // Imported on demand: loading takes 0.1 s.
  const { NatsBus } = await import('./natsBus.js');
  return new NatsBus({ servers, ...options });
}
