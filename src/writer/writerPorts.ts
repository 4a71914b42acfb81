import type { Clock } from '../base/clock.js';
import type { Bus } from '../cluster/bus.js';
import type { Devices } from '../cluster/devices.js';
import type { HeldLease } from '../cluster/leases.js';
import type { EventLog } from '../log/log.js';
import type { FoldProgress, ReadModels } from '../projections/decisionReads.js';
import type { KeyStore } from '../vault/vault.js';

/** What a writer must know of the lease by which it owns its partition. */
export type Lease = Pick<HeldLease, 'epoch' | 'validUntil'>;

/** All that the writers of one process share. */
export interface WriterDeps {
  readonly log: EventLog;
  readonly bus: Pick<Bus, 'publish'>;
  readonly keys: Pick<KeyStore, 'keys'>;
  /** Rejects if the partition is not what was signed of it: nothing may then be appended. Where heads are signed. */
  readonly mayAppend?: (partition: number) => Promise<void>;
  readonly reads: ReadModels;
  /** Where there are several nodes: which users are still active on one. */
  readonly devices?: Pick<Devices, 'findActive'>;
  readonly folding: FoldProgress;
  /** Its `now` is that of the leases. */
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A new UUID. */
  readonly newId: () => string;
  /** The log can no longer be written: the process must stop. Called once a writer at most. */
  readonly onFatal: (error: unknown) => void;
  /** Whether every living node can read events of this type, which may be an old one; no other is written. */
  readonly isKnownToAll: (type: string) => boolean;
  /** The partition went to another writer while the lease could not be shown to be valid: it takes nothing any more. */
  readonly onDeposed: (partition: number) => void;
  /** Something failed and was dealt with: to be logged. */
  readonly report: (message: string, error: unknown) => void;
  /** After each append that is not a fence; `ms` from handing it over to its outcome. */
  readonly onAppend?: (appended: { partition: number; events: number; ms: number }) => void;
}
