import { randomUUID } from 'node:crypto';
import type { Heads } from '../audit/proof/heads.js';
import { PacedCalls, systemClock } from '../base/clock.js';
import { limitsIn } from '../base/settings.js';
import type { Bus } from '../cluster/bus.js';
import type { Cluster } from '../cluster/nodes.js';
import type { Owners } from '../cluster/ownership.js';
import type { Projections } from '../projections/startProjections.js';
import { readModels } from '../writer/writerPorts.js';
import { Writers } from '../writer/writers.js';
import { type FoldAssignment, type Host, warnTo } from './lifecycle.js';
import type { Stores } from './openStores.js';

/** The least time between the commits of this process. Under load a message waits half of it, and one sync carries many. */
const COMMIT_INTERVAL_MS = 4;

/** The parts of a node that its writers use. */
export interface PartsOfWriters {
  readonly stores: Pick<Stores, 'engine' | 'vault'>;
  readonly reads: { readonly projections: Projections };
  readonly audit: { readonly heads: Heads; readonly assignment: FoldAssignment };
}

/** Makes the writers of this node. They take no partition over before they are started. */
export function createWriters(
  { config, logger, metrics, retirement }: Host,
  { stores: { engine, vault }, reads: { projections }, audit }: PartsOfWriters,
  bus: Bus,
  cluster: Cluster,
  setOwners: (owners: Owners) => void,
): Writers {
  const { reader, progress, storedCheckpoint } = projections;
  const report = warnTo(logger);
  const { onFatal } = retirement;
  return new Writers({
    ...{ node: bus.node, cluster },
    writer: {
      storage: {
        ...{ log: engine.log, bus, folding: progress },
        mayAppend: (partition) => audit.heads.check(partition),
      },
      lookups: {
        ...{ keys: vault.keys, reads: readModels(reader, engine.log.id, storedCheckpoint) },
        limits: limitsIn(config),
        // A single process needs no devices: it sets nobody offline who is active.
        ...(engine.location.kind === 'mongodb' ? { devices: cluster.devices } : {}),
      },
      environment: {
        ...{ clock: systemClock, pace: new PacedCalls(systemClock, COMMIT_INTERVAL_MS) },
        ...{ now: Date.now, newId: randomUUID },
      },
      events: { onFatal, report, onAppend: metrics.observeAppend },
    },
    events: {
      onOwners(owners) {
        setOwners(owners);
        audit.assignment.setOwners(owners);
        projections.own(audit.assignment.folded).catch((error: unknown) => {
          // A retired node's projections have stopped at the event that they cannot read.
          if (!retirement.isRetired) onFatal(error);
        });
      },
      onLeasesChanged: () => bus.broadcast({ kind: 'rebalance' }),
    },
  });
}
