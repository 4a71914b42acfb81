import type { StreamName } from '../../domain/ids.js';
import { findLastTrue } from '../../log/checkLog.js';

import type { Projection } from '../projection.js';
import type { Model, RowReader } from '../store/rowStore.js';

/** Where the events of one stretch of a stream lie. */
export interface StreamRow {
  /** Of the commits that hold them, ascending, each once. */
  readonly positions: readonly number[];
}

/** Events of a stream to a row. */
const CHUNK = 256;

/** The key of a stretch of a stream, counted from 0: keys of one stream sort by it. */
function chunkKey(stream: StreamName, chunk: number): string {
  const digits = chunk.toString(36);
  // Their number before the digits makes keys sort as their numbers do.
  return `${stream}#${digits.length.toString(36)}${digits}`;
}

/** Where to find a stream in the log, which is ordered by time alone. */
export const streamsModel: Model<StreamRow> = { name: 'streams', version: 1, indexes: {} };

/** The fold of streams: which stretch an event is in follows from its version. */
export const streamsProjection: Projection<StreamRow> = {
  model: streamsModel,
  keys: ({ stream, version }) => [chunkKey(stream, Math.floor((version - 1) / CHUNK))],
  evolve(value, { position }) {
    const positions = value?.positions ?? [];
    return positions.at(-1) === position ? { positions } : { positions: [...positions, position] };
  },
};

/** Rows that are looked at together. */
const LOOKS = 15;

/** The stream's positions, a row at a time, from the row on that has the first one behind `after`. */
export async function* positionsOf(
  rows: Pick<RowReader, 'get' | 'range'>,
  stream: StreamName,
  after: number,
): AsyncGenerator<readonly number[]> {
  const rowsOf = async (chunks: readonly number[]): Promise<(StreamRow | undefined)[]> => {
    const keys = chunks.map((chunk) => chunkKey(stream, chunk));
    const found = await rows.get(streamsModel, keys);
    return keys.map((key) => found.get(key)?.value ?? undefined);
  };
  let before = -1;
  if (after > 0) {
    const search = { low: -1, high: await newestOf(rows, stream), width: LOOKS };
    before = await findLastTrue(search, async (chunks) =>
      (await rowsOf(chunks)).map((row) => (row?.positions.at(-1) ?? 0) <= after),
    );
  }
  // Rows come one behind the other, without a hole.
  for (let chunk = before + 1; ; chunk++) {
    const [row] = await rowsOf([chunk]);
    if (!row) return;
    yield row.positions;
  }
}

/** The number of the stream's newest row; -1: it has none. */
async function newestOf(rows: Pick<RowReader, 'get' | 'range'>, stream: StreamName): Promise<number> {
  const [newest] = await rows.range(streamsModel, {
    after: `${stream}#`,
    // The character behind `#`.
    before: `${stream}$`,
    reverse: true,
    limit: 1,
  });
  return newest ? Number.parseInt(newest.key.slice(stream.length + 2), 36) : -1;
}
