import { stat, statfs } from 'node:fs/promises';
import type { Time } from '../domain/fields.js';
import type { StorageFigures, StoredBytes } from '../http/operations.js';
import type { EventLog } from '../log/log.js';
import type { Progress } from '../projections/queryWaits.js';
import { type Engine, logFileOf, readFileOf } from '../projections/store/engine.js';
import type { HostSubscriptions } from '../subscriptions/hostSubscriptions.js';
import { vaultFileOf } from '../vault/openVault.js';
import { readLastBackup } from './dataDir.js';
import type { Host } from './lifecycle.js';
import type { Parts } from './phases.js';

/** Figures are this old at most. However many admins look, the stores are asked once in this time. */
const KEEP_MS = 5000;

/** The bytes of one kind of engine, with the disk that it fills. */
type Measured = Pick<StorageFigures, 'disk' | 'lastBackup'> & { readonly bytes: StoredBytes };

interface StorageParts {
  readonly engine: Engine;
  readonly log: Pick<EventLog, 'partitions' | 'tail' | 'places'>;
  readonly progress: Pick<Progress, 'folded' | 'lagMs'>;
  readonly subscriptions: Pick<HostSubscriptions, 'list'>;
  readonly measure: () => Promise<Measured>;
}

/** Measures what is stored. Reads the ends of the log, sizes of files and counters of a database, and scans nothing. */
export class StorageMeasurer {
  /** By partition: the first commit never changes. */
  readonly #oldest = new Map<number, Time>();
  #kept: { readonly until: number; readonly figures: Promise<StorageFigures> } | undefined;

  constructor(
    private readonly parts: StorageParts,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** What is stored, at most 5 s old. Rejects if the log cannot be read. */
  read(): Promise<StorageFigures> {
    const now = this.now();
    if (this.#kept && now < this.#kept.until) return this.#kept.figures;
    const figures = this.#measure();
    this.#kept = { until: now + KEEP_MS, figures };
    // The next request tries again.
    figures.catch(() => {
      if (this.#kept?.figures === figures) this.#kept = undefined;
    });
    return figures;
  }

  async #measure(): Promise<StorageFigures> {
    const { engine, log, progress, subscriptions, measure } = this.parts;
    const all = Array.from({ length: log.partitions }, (_, partition) => partition);
    const [{ bytes, ...place }, tails, firsts, listed] = await Promise.all([
      measure(),
      Promise.all(all.map((partition) => log.tail(partition))),
      Promise.all(all.map((partition) => this.#firstTime(partition))),
      subscriptions.list(),
    ]);
    const events = tails.reduce((sum, tail) => sum + (tail?.size ?? 0), 0);
    const behind = tails.map((tail, partition) =>
      Math.max(0, (tail?.size ?? 0) - progress.folded(partition)),
    );
    const lagEvents = behind.reduce((sum, lag) => sum + lag, 0);
    return {
      measuredAt: new Date().toISOString(),
      engine: engine.kind === 'sqlite' ? 'embedded' : 'mongodb',
      log: {
        ...{ partitions: log.partitions, events, bytes: bytes.log },
        oldest: firsts.flatMap((time) => time ?? []).toSorted()[0] ?? null,
        newest:
          tails
            .flatMap((tail) => tail?.recordedAt ?? [])
            .toSorted()
            .at(-1) ?? null,
      },
      vault: { bytes: bytes.vault },
      readModels: {
        ...{ bytes: bytes.readModels, events: events - lagEvents, lagEvents },
        lagSeconds: progress.lagMs() / 1000,
      },
      ...place,
      subscriptions: listed
        .filter(({ lagEvents: lag, failing, paused }) => lag > 0 || failing !== undefined || paused)
        .map(({ id, lagEvents: lag, lagSeconds, failing, paused }) => ({
          ...{ id, lagEvents: lag, lagSeconds, paused },
          ...(failing ? { failing } : {}),
        })),
    };
  }

  async #firstTime(partition: number): Promise<Time | undefined> {
    const known = this.#oldest.get(partition);
    if (known !== undefined) return known;
    const [first] = await this.parts.log.places(partition, [1]);
    if (first) this.#oldest.set(partition, first.recordedAt);
    return first?.recordedAt;
  }
}

/** Prepares the figures of a running system. */
export function prepareStorage(
  host: Pick<Host, 'logger' | 'closers'>,
  { stores, reads }: Pick<Parts, 'stores' | 'reads'>,
  subscriptions: Pick<HostSubscriptions, 'list'>,
): () => Promise<StorageFigures> {
  const { location: engine, log } = stores.engine;
  const { progress } = reads.projections;
  const prepared = prepareMeasure(engine, host);
  const measure = async () => (await prepared)();
  const measurer = new StorageMeasurer({ engine, log, progress, subscriptions, measure });
  return () => measurer.read();
}

/** The measure of this engine. A database is connected to with the first measurement. */
async function prepareMeasure(
  engine: Engine,
  { logger, closers }: Pick<Host, 'logger' | 'closers'>,
): Promise<() => Promise<Measured>> {
  if (engine.kind === 'sqlite') return () => measureFiles(engine.dataDir);
  const { openMongoCounters } = await import('../log/mongoLogMeta.js');
  const counters = openMongoCounters(engine.url);
  closers.add(() => counters.close());
  let isFailing = false;
  return async () => {
    try {
      const bytes = await counters.read();
      isFailing = false;
      return { bytes };
    } catch (err) {
      if (!isFailing) logger.warn({ err }, 'the database does not tell how large it is');
      isFailing = true;
      return { bytes: { log: null, vault: null, readModels: null } };
    }
  };
}

async function measureFiles(dataDir: string): Promise<Measured> {
  const [log, vault, readModels, disk, lastBackup] = await Promise.all([
    bytesOfFile(logFileOf(dataDir)),
    bytesOfFile(vaultFileOf(dataDir)),
    bytesOfFile(readFileOf(dataDir)),
    // The directory may be gone; `/ready` names it.
    statfs(dataDir).catch(() => undefined),
    readLastBackup(dataDir),
  ]);
  return {
    bytes: { log, vault, readModels },
    ...(disk ? { disk: { freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize } } : {}),
    ...(lastBackup ? { lastBackup } : {}),
  };
}

/** Of a database of SQLite, with what it has beside it; null if the file is gone. */
async function bytesOfFile(file: string): Promise<number | null> {
  const sizeOf = (name: string) =>
    stat(name).then(
      ({ size }) => size,
      () => undefined,
    );
  const [main, ...others] = await Promise.all(['', '-wal', '-shm'].map((suffix) => sizeOf(file + suffix)));
  return main === undefined ? null : others.reduce<number>((sum, size) => sum + (size ?? 0), main);
}
