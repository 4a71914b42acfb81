import type { StreamName } from '../../domain/ids.js';
import { foldFor, type State } from '../../domain/streams.js';
import type { Projection } from '../projection.js';
import type { Model, Row, RowReader } from '../store/rowStore.js';

/** What deciding needs of a stream; the key is the stream's name. */
export interface StateRow {
  /** The version of the stream's last event: the next one's less 1. */
  readonly version: number;
  readonly state: State;
}

/** For deciding; depends on no other read model. */
export const statesModel: Model<StateRow> = { name: 'states', version: 1, indexes: {} };

/** The fold of states: the deciders' own. */
export const statesProjection: Projection<StateRow> = {
  model: statesModel,
  keys: (event) => [event.stream],
  evolve(value, event) {
    const fold = foldFor(event.stream);
    return { version: event.version, state: fold.evolve(value?.state ?? fold.initial, event) };
  },
};

/** The states that have rows, by stream, as of the model's checkpoint; one query. */
export async function loadStates(
  rows: RowReader,
  streams: readonly StreamName[],
): Promise<Map<string, Row<StateRow>>> {
  return rows.get(statesModel, streams);
}

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
