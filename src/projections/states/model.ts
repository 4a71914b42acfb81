import { type FriendshipState, friendshipDecider } from '../../commands/friendship.js';
import { type RoomState, roomDecider } from '../../commands/room.js';
import { type UserState, userDecider } from '../../commands/user.js';
import { parseStream, type StreamKind, type StreamName } from '../../events/ids.js';
import type { Recorded } from '../../events/types.js';
import type { Projection } from '../projection.js';
import type { Model, Row, RowReader } from '../rows.js';

/** The decider's state of a stream: a room's, a user's or a friendship's, as the stream's name says. */
export type State = UserState | RoomState | FriendshipState;

/** What deciding needs of a stream; the key is the stream's name. */
export interface StateRow {
  /** The version of the stream's last event: the next one's less 1. */
  readonly version: number;
  readonly state: State;
}

/** For deciding; depends on no other read model. */
export const statesModel: Model<StateRow> = { name: 'states', version: 1, indexes: {} };

const folds: Readonly<Record<StreamKind, (state: State | undefined, event: Recorded) => State>> = {
  user: foldOf(userDecider),
  room: foldOf(roomDecider),
  friendship: foldOf(friendshipDecider),
};

/** The fold of states: the deciders' own. */
export const statesProjection: Projection<StateRow> = {
  model: statesModel,
  keys: (event) => [event.stream],
  evolve(value, event) {
    const state = folds[parseStream(event.stream).kind](value?.state, event);
    return { version: event.version, state };
  },
};

/** The states that have rows, by stream, as of the model's checkpoint; one query. */
export async function loadStates(
  rows: RowReader,
  streams: readonly StreamName[],
): Promise<Map<string, Row<StateRow>>> {
  return rows.get(statesModel, streams);
}

function foldOf<S extends State>(decider: { readonly initial: S; evolve(state: S, event: Recorded): S }) {
  // A stream's kind says what its state is, and its rows hold what this fold has made.
  return (state: State | undefined, event: Recorded) =>
    decider.evolve((state ?? decider.initial) as S, event);
}
