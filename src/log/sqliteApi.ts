import type { PackedCommit } from './codec.js';
import { AppendError } from './log.js';
import { type LogFile, openLogFile } from './sqliteReader.js';
import { type PackedOutcome, SqliteStore } from './sqliteStore.js';

/** Which file, and how. */
export interface StoreOptions {
  readonly file: string;
  readonly partitions: number | undefined;
  readonly readOnly: boolean;
}

/** The store's calls, as one thread offers them to another, or to itself. */
export type StoreApi = ReturnType<typeof makeStoreApi>;

/** Nothing is opened before `open`. */
export function makeStoreApi({ file, partitions, readOnly }: StoreOptions) {
  let log: LogFile | SqliteStore | undefined;
  const opened = (): LogFile | SqliteStore => {
    if (!log) throw new Error('the log is not open');
    return log;
  };
  const store = (): SqliteStore => {
    if (log instanceof SqliteStore) return log;
    throw new AppendError('the log was opened to be read only');
  };
  return {
    open() {
      log = readOnly ? openLogFile(file, partitions) : new SqliteStore(file, partitions);
      return log.meta;
    },
    append(commit: PackedCommit): { outcome: PackedOutcome; walGrowth: number } {
      const outcome = store().append(commit);
      return { outcome, walGrowth: store().walGrowth };
    },
    read: (partition: number, after: number, limit: number) => opened().rows.read(partition, after, limit),
    places: (partition: number, positions: readonly number[]) => opened().rows.places(partition, positions),
    tail: (partition: number) => opened().rows.tail(partition),
    checkpoint: () => store().checkpoint(),
    close: () => log?.close(),
  };
}
