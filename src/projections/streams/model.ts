import type { StreamName } from '../../events/ids.js';
import type { Projection } from '../projection.js';
import type { Model } from '../rows.js';

/** Where the events of one stretch of a stream lie. */
export interface StreamRow {
  /** Of the commits that hold them, ascending, each once. */
  readonly positions: readonly number[];
}

/** Events of a stream to a row. */
const CHUNK = 256;

/** The key of a stretch of a stream, counted from 0: keys of one stream sort by it. */
export function chunkKey(stream: StreamName, chunk: number): string {
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
