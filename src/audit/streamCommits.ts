import { partitionOf, type StreamName } from '../events/ids.js';
import type { CheckedLog } from '../log/check.js';
import type { Commit } from '../log/log.js';
import type { RowReader } from '../projections/rows.js';
import { chunkKey, type StreamRow, streamsModel } from '../projections/streams/model.js';
import { type Between, commitsBetween, lastOf } from './commits.js';
import { textFilter } from './eventFilter.js';

/** Single commits that are read at once. */
const BATCH = 16;

/** What is read to find a stream. */
export interface StreamSource {
  readonly log: CheckedLog & { readonly partitions: number };
  readonly rows: Pick<RowReader, 'get' | 'range'>;
  /** The tree size up to which the read model `streams` has the partition; this much would do. */
  readonly indexed: (partition: number, size: number) => number | Promise<number>;
}

/**
 * The commits that hold events of a stream, in order, between two positions: found by the read model as far as it is
 * folded, from there on by reading the log.
 */
export async function* streamCommits(
  { log, rows, indexed }: StreamSource,
  stream: StreamName,
  { after, upTo }: Omit<Between, 'partition'>,
): AsyncGenerator<Commit> {
  const partition = partitionOf(stream, log.partitions);
  const [last] = await log.read(partition, upTo - 1, 1);
  if (!last) return;
  // Before the rows are read, so that they have all that is below it.
  const size = await indexed(partition, last.size);
  const isIndexed = (commit: Commit): boolean => commit.size <= size;
  const from = isIndexed(last) ? upTo : await lastOf(log, { partition, after, upTo }, isIndexed);
  let reached = after;
  for await (const positions of positionsOf(rows, stream, after)) {
    // A commit whose events are in two rows is in both.
    const wanted = positions.filter((position) => position > reached && position <= from);
    for (let at = 0; at < wanted.length; at += BATCH)
      yield* await readAll(log, partition, wanted.slice(at, at + BATCH));
    reached = positions.at(-1) ?? reached;
    if (reached >= from) break;
  }
  const isOfIt = textFilter({ stream });
  for await (const commit of commitsBetween(log, { partition, after: from, upTo }))
    if (commit.leaves.some(isOfIt)) yield commit;
}

async function readAll(log: CheckedLog, partition: number, positions: readonly number[]): Promise<Commit[]> {
  const pages = await Promise.all(positions.map((position) => log.read(partition, position - 1, 1)));
  return pages.flat();
}

/** The stream's positions, a row at a time, from the row on that has the first one behind `after`. */
async function* positionsOf(
  rows: StreamSource['rows'],
  stream: StreamName,
  after: number,
): AsyncGenerator<readonly number[]> {
  const [newest] = await rows.range(streamsModel, {
    after: `${stream}#`,
    // The character behind `#`.
    before: `${stream}$`,
    reverse: true,
    limit: 1,
  });
  if (!newest) return;
  // Rows come one behind the other, without a hole: that of the newest says how many there are.
  const count = Number.parseInt(newest.key.slice(stream.length + 2), 36) + 1;
  const row = async (chunk: number): Promise<readonly number[]> => {
    const key = chunkKey(stream, chunk);
    const found: StreamRow | null | undefined = (await rows.get(streamsModel, [key])).get(key)?.value;
    return found?.positions ?? [];
  };
  let [low, high] = [0, after === 0 ? 0 : count - 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (((await row(middle)).at(-1) ?? 0) > after) high = middle;
    else low = middle + 1;
  }
  for (let chunk = low; chunk < count; chunk++) yield row(chunk);
}
