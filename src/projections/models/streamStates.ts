import type { StreamName } from '../../domain/ids.js';
import { foldFor, type State } from '../../domain/streams.js';
import type { Projection } from '../projection.js';
import type { Model, Row, RowReader } from '../store/rowStore.js';

/** What deciding needs of a stream; the key is the stream's name. */
export interface StreamStateRow {
  /** The version of the stream's last event: the next one's less 1. */
  readonly version: number;
  readonly state: State;
}

/** For deciding; depends on no other read model. */
export const statesModel: Model<StreamStateRow> = { name: 'states', version: 1, indexes: {} };

/** The fold of states: the deciders' own. */
export const statesProjection: Projection<StreamStateRow> = {
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
): Promise<Map<string, Row<StreamStateRow>>> {
  return rows.get(statesModel, streams);
}

/** What `states` keeps of a stream; `offset` is that of the last event folded into it. */
export interface StoredState {
  readonly offset: number;
  /** `version`: the stream's last. `null`: a tombstone, which no stream has. */
  readonly value: { readonly version: number; readonly state: State } | null;
}
