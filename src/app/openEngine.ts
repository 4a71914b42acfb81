import type { Config } from '../base/config.js';
import { type AddressLimit, createMemoryAddressLimit } from '../base/rateLimits.js';
import type { NodeId } from '../cluster/bus.js';
import { recordNode } from '../cluster/openCluster.js';
import { fileHeartbeat, type Heartbeat } from '../gateway/presenceReconciler.js';
import { lockDataDir } from '../log/dataDir.js';
import { openSqliteLog } from '../log/embeddedLog.js';
import type { EventLog } from '../log/log.js';
import { type Engine, logFileOf, mongoLog } from '../projections/store/engine.js';
import { WriterThreadClient } from '../writer/writerThreadClient.js';

/** Where everything durable is, opened. */
export interface OpenEngine {
  readonly place: Engine;
  /** The log as its one writer has it open. */
  readonly writers: WriterThreadClient;
  /** The same log, to be read. */
  readonly log: Omit<EventLog, 'append'>;
  /** The node that ran in this data directory before, if it has surely ended. */
  readonly predecessor: NodeId | undefined;
  /** When this system last lived; undefined where nodes tell that of each other. */
  readonly heartbeat: Heartbeat | undefined;
  /** Of sign-ups and sign-ins; undefined: there is none. */
  readonly addressLimit: AddressLimit | undefined;
}

type Closing = (close: () => unknown) => void;

/**
 * Opens the engine that the settings name; owns the data directory from before the first file of it is touched.
 * What must be closed is handed to `closing` as it is opened. Throws `DataDirInUse`, `LogMismatch`,
 * `StorageError`, or what the database's driver throws.
 */
export async function openEngine(config: Config, node: NodeId, closing: Closing): Promise<OpenEngine> {
  const lock = lockDataDir(config.DATA_DIR);
  closing(() => lock.release());
  const predecessor = recordNode(config.DATA_DIR, node);
  const place = placeOf(config);
  const writers = await WriterThreadClient.open({ engine: place, node, partitions: config.PARTITIONS });
  closing(() => writers.stop());
  const log = await openLog(place);
  closing(() => log.close());
  const heartbeat = place.kind === 'sqlite' ? fileHeartbeat(place.dataDir) : undefined;
  const addressLimit = await openAddressLimit(place, config.AUTH_RATE_LIMIT, closing);
  return { place, writers, log, predecessor, heartbeat, addressLimit };
}

/** Where these settings put log and read models. */
export const placeOf = ({
  MONGO_URL: url,
  DATA_DIR: dataDir,
}: Pick<Config, 'MONGO_URL' | 'DATA_DIR'>): Engine =>
  url === undefined ? { kind: 'sqlite', dataDir } : { kind: 'mongodb', url };

const openLog = (place: Engine): Promise<EventLog> =>
  place.kind === 'sqlite'
    ? openSqliteLog({ file: logFileOf(place.dataDir), readOnly: true })
    : mongoLog({ url: place.url });

async function openAddressLimit(
  place: Engine,
  allowance: Config['AUTH_RATE_LIMIT'],
  closing: Closing,
): Promise<AddressLimit | undefined> {
  if (allowance === 'off') return undefined;
  if (place.kind === 'sqlite') return createMemoryAddressLimit(allowance, () => performance.now());
  const { openMongoAddressLimit } = await import('../cluster/mongoAddressLimit.js');
  return openMongoAddressLimit(place.url, allowance, closing);
}
