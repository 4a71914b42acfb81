import type { Clock } from '../base/clock.js';
import type { Bus } from '../cluster/bus.js';
import type { Devices } from '../cluster/devices.js';
import type { HeldLease } from '../cluster/leases.js';
import type { EventLog } from '../log/log.js';
import type { FoldProgress, ReadModels } from '../projections/decisionReads.js';
import type { KeyStore } from '../vault/vault.js';

/** The part of a lease that a writer reads. */
export type Lease = Pick<HeldLease, 'epoch' | 'validUntil'>;

/** Everything that the writers of one process share. */
export interface WriterDeps {
  readonly storage: WriterStorage;
  readonly lookups: DecisionLookups;
  readonly environment: WriterEnvironment;
  readonly events: WriterEvents;
}

/** Where a writer appends and publishes, and how far the read models have folded its log. */
export interface WriterStorage {
  readonly log: EventLog;
  readonly bus: Pick<Bus, 'publish'>;
  readonly folding: FoldProgress;
  /** Rejects if the partition does not extend its signed head: nothing may be appended. Absent if heads are unsigned. */
  readonly mayAppend?: (partition: number) => Promise<void>;
}

/** Everything that is looked up before a command is decided. */
export interface DecisionLookups {
  readonly reads: ReadModels;
  readonly keys: Pick<KeyStore, 'getKeys'>;
  /** Users with an active device on any node. Absent in a single process. */
  readonly devices?: Pick<Devices, 'findActive'>;
}

/** Time, ids and the capabilities of the cluster. */
export interface WriterEnvironment {
  /** Its `now` is the clock of the leases. */
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Returns a new UUID. */
  readonly newId: () => string;
  /** Returns true if every live node can read this event type, in the version it names. No other type is written. */
  readonly isKnownToAll: (type: string) => boolean;
}

/** The receiver of a writer's failures and measurements. */
export interface WriterEvents {
  /** Called at most once a writer, when the log cannot be written any more: the process must stop. */
  readonly onFatal: (error: unknown) => void;
  /** Called when another writer took the partition while the lease was not provably valid. This writer stops. */
  readonly onDeposed: (partition: number) => void;
  /** Logs a failure that was handled. */
  readonly report: (message: string, error: unknown) => void;
  /** Called after each append except fences; `ms` is the time from the call to its outcome. */
  readonly onAppend?: (appended: { partition: number; events: number; ms: number }) => void;
}
