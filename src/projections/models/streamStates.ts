import { foldFor, type State } from '../../domain/events.js';
import type { StreamName } from '../../domain/ids.js';
import type { Projection } from '../projection.js';
import type { Model, Row, RowReader } from '../store/rowStore.js';

/** The state that deciding a command needs; the key is the stream's name. */
export interface StreamStateRow {
  /** The version of the stream's last event. */
  readonly version: number;
  readonly state: State;
}

/** States for deciding commands. The model depends on no other one. */
export const statesModel: Model<StreamStateRow> = { name: 'states', version: 1, indexes: {} };

/** Folds states with the fold of the deciders. */
export const statesProjection: Projection<StreamStateRow> = {
  model: statesModel,
  keys: (event) => [event.stream],
  evolve(value, event) {
    const fold = foldFor(event.stream);
    return { version: event.version, state: fold.evolve(value?.state ?? fold.initial, event) };
  },
};

/** Loads the states that have rows, by stream, with one query. */
export async function loadStates(
  rows: RowReader,
  streams: readonly StreamName[],
): Promise<Map<string, Row<StreamStateRow>>> {
  return rows.get(statesModel, streams);
}

/** A stream's row as a writer reads it. `offset` is that of the last event folded into it. */
export interface StoredState {
  readonly offset: number;
  /** `version` is the stream's last one. `null` would be a tombstone, which no stream has. */
  readonly value: { readonly version: number; readonly state: State } | null;
}
