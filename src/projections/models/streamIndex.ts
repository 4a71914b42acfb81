import type { StreamName } from '../../domain/ids.js';
import { findLastTrue } from '../../log/checkLog.js';

import type { Projection } from '../projection.js';
import type { Model, RowReader } from '../store/rowStore.js';

/** The places of one chunk of a stream's events. */
export interface StreamRow {
  /** The positions of the commits that hold them, ascending, each once. */
  readonly positions: readonly number[];
}

/** Events of a stream in one row. */
const CHUNK_EVENTS = 256;

/** The key of a chunk, counted from 0. Keys of one stream sort by chunk. */
function chunkKey(stream: StreamName, chunk: number): string {
  const digits = chunk.toString(36);
  // The number of digits in front makes keys sort like numbers.
  return `${stream}#${digits.length.toString(36)}${digits}`;
}

/** Finds a stream in the log, which is ordered by time alone. */
export const streamsModel: Model<StreamRow> = { name: 'streams', version: 1, indexes: {} };

/** Folds the index of streams; an event's version gives its chunk. */
export const streamsProjection: Projection<StreamRow> = {
  model: streamsModel,
  keys: ({ stream, version }) => [chunkKey(stream, Math.floor((version - 1) / CHUNK_EVENTS))],
  evolve(value, { position }) {
    const positions = value?.positions ?? [];
    return positions.at(-1) === position ? { positions } : { positions: [...positions, position] };
  },
};

/** Rows that one step of the search reads. */
const SEARCH_WIDTH = 15;

/**
 * The stream's positions, a row at a time. Begins with the row that holds the first position behind `after`.
 */
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
    const search = { low: -1, high: await newestOf(rows, stream), width: SEARCH_WIDTH };
    before = await findLastTrue(search, async (chunks) =>
      (await rowsOf(chunks)).map((row) => (row?.positions.at(-1) ?? 0) <= after),
    );
  }
  // Chunks have no gap.
  for (let chunk = before + 1; ; chunk++) {
    const [row] = await rowsOf([chunk]);
    if (!row) return;
    yield row.positions;
  }
}

/** The number of the stream's newest chunk; -1 if there is none. */
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
