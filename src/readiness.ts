import type { Heads } from './audit/heads.js';
import type { Bus } from './bus/bus.js';
import type { Progress } from './projections/queries.js';
import type { Writers } from './threads/writers.js';

/** A command or a commit that has waited for so long says that its store is away; milliseconds. */
const STALLED_MS = 5000;

/** Whether the node can do its work, and which part of it cannot. */
export type Readiness = { readonly ok: boolean; readonly failing?: string };

/** What a node cannot work without. */
export interface Vital {
  /** It has met an event that a newer version wrote. */
  readonly isRetired: boolean;
  readonly heads: Pick<Heads, 'isBroken'>;
  readonly writers: Pick<Writers, 'oldestMs'>;
  readonly progress: Pick<Progress, 'lagMs'>;
  readonly bus: Pick<Bus, 'isConnected'>;
}

/** Whether all of it works now; else the first that does not. */
export function readinessOf({ isRetired, heads, writers, progress, bus }: Vital): Readiness {
  const failing = Object.entries({
    version: isRetired,
    log: heads.isBroken || writers.oldestMs > STALLED_MS,
    projections: progress.lagMs() > STALLED_MS,
    nats: !bus.isConnected,
  }).find(([, fails]) => fails);
  return failing ? { ok: false, failing: failing[0] } : { ok: true };
}
