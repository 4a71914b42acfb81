import { foldFor, type State } from '../../commands/aggregates.js';
import type { StreamName } from '../../events/ids.js';
import type { Projection } from '../projection.js';
import type { Model, Row, RowReader } from '../rows.js';

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
