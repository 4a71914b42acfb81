/** What a log says of itself; written once, when it is made. */
export interface LogMeta {
  /** UUID. */
  readonly logId: string;
  readonly partitions: number;
  /** Of what is stored; another one belongs to another version of this program. */
  readonly format: number;
}

/** The format this program reads and writes. */
export const FORMAT = 1;

/** The log cannot be used as asked; the message says what to change. Nothing was written. */
export class LogMismatch extends Error {
  override readonly name = 'LogMismatch';
}

/** Throws `LogMismatch` unless the log is of this format, has partitions and, if a number is asked for, has that many partitions. */
export function checkMeta(meta: LogMeta, partitions: number | undefined): void {
  if (meta.format !== FORMAT)
    throw new LogMismatch(`the log has format ${meta.format}, this program reads format ${FORMAT}`);
  if (!Number.isInteger(meta.partitions) || meta.partitions < 1)
    throw new LogMismatch(`the log says that it has ${meta.partitions} partitions`);
  if (partitions !== undefined && partitions !== meta.partitions)
    throw new LogMismatch(
      `the log was created with ${meta.partitions} partitions, which is fixed: PARTITIONS=${partitions} cannot be used with it`,
    );
}

/** Throws if there is no such partition: a defect of the caller. */
export function checkPartition(partition: number, partitions: number): void {
  if (!Number.isInteger(partition) || partition < 0 || partition >= partitions)
    throw new RangeError(`there is no partition ${partition}: the log has ${partitions}`);
}
