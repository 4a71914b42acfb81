import type { Command } from './commands.js';
import type { Recorded } from './events.js';
import { friendshipIdOf, parseStream, roomIdOf, type StreamKind, type StreamName, streamOf } from './ids.js';
import { type RoomState, roomDecider } from './room.js';
import { type FriendshipState, friendshipDecider, type UserState, userDecider } from './user.js';

/** The decider's state of a stream; which one, the stream's kind says. */
export type State = UserState | RoomState | FriendshipState;

/** How the state of one kind of stream begins and goes on. */
export interface Fold {
  readonly initial: State;
  evolve(state: State, event: Recorded): State;
}

const folds: Readonly<Record<StreamKind, Fold>> = {
  user: foldOf(userDecider),
  room: foldOf(roomDecider),
  friendship: foldOf(friendshipDecider),
};

/** The fold of a stream's events into its decider's state. */
export const foldFor = (stream: StreamName): Fold => folds[parseStream(stream).kind];

/** The stream a command is decided against. */
export function streamOfCommand(command: Command): StreamName {
  switch (command.kind) {
    case 'register user':
    case 'go online':
    case 'go offline':
    case 'erase user':
    case 'appoint auditor':
    case 'dismiss auditor':
    case 'record audit read':
      return streamOf('user', command.userId);
    case 'add friend':
      return streamOf('friendship', friendshipIdOf(command.actor, command.friendId));
    case 'init chat':
      return streamOf('room', roomIdOf(command.actor, command.friendId));
    case 'send message':
    case 'read messages':
    case 'erase member':
      return streamOf('room', command.roomId);
  }
}

function foldOf<S extends State>(decider: {
  readonly initial: S;
  evolve(state: S, event: Recorded): S;
}): Fold {
  // A stream's states are all made by this fold.
  return { initial: decider.initial, evolve: (state, event) => decider.evolve(state as S, event) };
}
