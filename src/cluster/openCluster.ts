import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Bus, NodeId } from './bus.js';
import { memoryDevices } from './devices.js';
import { memoryLeases } from './leases.js';
import { memoryBus } from './localBus.js';
import type { NatsBusOptions } from './natsBus.js';
import { type Cluster, memoryNodes } from './nodes.js';

/**
 * This node's part of it, in the log's database; without a `url`, of the one process that there is. `knows` is
 * what it can read, as in `Living`. Throws what the driver throws when the database does not answer.
 */
export async function openCluster(
  url: string | undefined,
  node: NodeId,
  partitions: number,
  capabilities: readonly string[],
): Promise<Cluster> {
  if (url !== undefined) {
    const { openMongoCluster } = await import('./mongoCluster.js');
    return openMongoCluster(url, node, partitions, capabilities);
  }
  return {
    leases: memoryLeases(node, partitions),
    nodes: memoryNodes(node, capabilities),
    devices: memoryDevices(node),
    close: async () => {},
  };
}

const NodeRecord = z.object({ node: z.string(), place: z.string() });

/**
 * The node that ran in this data directory before, if it has surely ended; and leaves this node's sign for the next
 * one. To be called by whoever holds the directory's lock: on the machine that left the sign, since it was last
 * started, nobody else has held it since. The copy of a directory, or one that moved to another machine, says nothing.
 */
export function recordNode(dataDir: string, node: NodeId): NodeId | undefined {
  const file = join(dataDir, 'node');
  const place = identifyDirectory(dataDir);
  if (place === undefined) return undefined;
  const last = readNodeRecord(file);
  // Renamed into place: a sign that was half written would be no sign.
  writeFileSync(`${file}.new`, JSON.stringify({ node, place } satisfies z.infer<typeof NodeRecord>), {
    mode: 0o600,
  });
  renameSync(`${file}.new`, file);
  return last?.place === place ? last.node : undefined;
}

/** Frees what it held, as it has surely ended: else its partitions would wait until its leases expire. */
export async function expirePredecessor(
  predecessor: NodeId,
  { nodes, leases }: Pick<Cluster, 'nodes' | 'leases'>,
  report: (message: string, error: unknown) => void,
): Promise<void> {
  try {
    await nodes.expire(predecessor);
    await leases.freeAllOf(predecessor);
  } catch (error) {
    report('the leases of the process before this one must expire first', error);
  }
}

function readNodeRecord(file: string): z.infer<typeof NodeRecord> | undefined {
  try {
    return NodeRecord.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data;
  } catch {
    return undefined; // The first node here leaves the first one.
  }
}

/** This very directory, on this machine, since it was started; undefined on systems that do not tell. */
function identifyDirectory(dataDir: string): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const { dev, ino } = statSync(dataDir, { bigint: true });
    return `${boot}/${dev}/${ino}`;
  } catch {
    return undefined;
  }
}

/** The bus over these NATS servers; without any, of the one process that there is. */
export async function openBus({
  servers,
  ...options
}: Omit<NatsBusOptions, 'servers'> & {
  readonly servers: NatsBusOptions['servers'] | undefined;
}): Promise<Bus> {
  if (!servers) return memoryBus(options.node, options.report);
  // Loaded where it is used: that takes a tenth of a second.
  const { NatsBus } = await import('./natsBus.js');
  return new NatsBus({ servers, ...options });
}
