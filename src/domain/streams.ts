import { notFound, type ParleyError, unauthenticated } from '../base/errors.js';
import type { Decision, Facts } from './defineCommand.js';
import type { NewEventOf, StreamDeclaration } from './defineEvent.js';
import type { Time } from './fields.js';
import type { RoomId, UserId } from './ids.js';
import type { Preferences } from './userMessageChat.js';

/** What a user may be permitted beside the rights of every user. */
export const ROLES = ['auditor', 'moderator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** The state of a user that decisions use. */
export interface UserState {
  readonly registered: boolean;
  readonly online: boolean;
  readonly erased?: true;
  /** Absent for a user without a role. */
  readonly roles?: readonly Role[];
  /** Absent for a user who has changed none. */
  readonly preferences?: Preferences;
}

/** `user:<id>`: sign-up, presence, roles and the end of one user. */
export const userStream: StreamDeclaration<UserState> = {
  kind: 'user',
  idField: 'userId',
  initial: { registered: false, online: false },
};

/** What the two users of a pair are to each other, with or without a chat. */
export interface Ties {
  /** The users who have added the other one as a friend. Once one has, both are friends. */
  readonly added: readonly UserId[];
  /** The users who have the other one as a contact: they have added them, written to them or accepted their chat. */
  readonly contacts: readonly UserId[];
  /** The users who have blocked the other one. */
  readonly blocks: readonly UserId[];
}

/** A private room: its members never change, marks and `lastSeq` never go back. */
export interface Room extends Ties {
  readonly exists: true;
  readonly roomId: RoomId;
  /** Ascending. */
  readonly members: readonly [UserId, UserId];
  readonly createdAt: Time;
  /** The members for whom the chat is active. */
  readonly active: readonly UserId[];
  /** The newest message's `seq`; 0 in an empty room. */
  readonly lastSeq: number;
  /** Read marks of both members. */
  readonly marks: Readonly<Record<UserId, number>>;
  /** Members who have been erased. */
  readonly erased: readonly UserId[];
}

/** The state of a room that decisions use. A pair has ties before it has a chat. */
export type RoomState = (Ties & { readonly exists: false }) | Room;

/** `room:<id>`: a pair's chat, friendship, contact and blocks, their messages and read marks. */
export const roomStream: StreamDeclaration<RoomState> = {
  kind: 'room',
  idField: 'roomId',
  initial: { exists: false, added: [], contacts: [], blocks: [] },
};

/** An event's effect on a room that exists; one that does not exist stays so. */
export const inRoom =
  <E>(evolve: (room: Room, event: E) => Room) =>
  (state: RoomState, event: E): RoomState =>
    state.exists ? evolve(state, event) : state;

/** The users with this one among them. */
export const withUser = (users: readonly UserId[], user: UserId): readonly UserId[] =>
  users.includes(user) ? users : [...users, user];

type Changed = Decision<{ readonly changed: boolean }>;

/** `changed`: this command changed the state. */
export const unchanged: Changed = { events: [], answer: { changed: false } };
export const changed = (...events: readonly NewEventOf<string, object>[]): Changed => ({
  events,
  answer: { changed: true },
});

/** A decision about a user who exists: an unknown or erased one is `not_found`. */
export const existingUser =
  <C extends { readonly userId: UserId }, A>(
    decide: (command: C, state: UserState, facts: Facts) => Decision<A>,
  ) =>
  (command: C, state: UserState, facts: Facts): Decision<A> => {
    if (!state.registered) return { refused: notFound(`there is no user ${command.userId}`) };
    if (state.erased) return { refused: notFound(`user ${command.userId} is erased`) };
    return decide(command, state, facts);
  };

/** The other member of a private room. */
export const otherOf = ({ members: [a, b] }: Room, member: UserId): UserId => (member === a ? b : a);

/** The room of a member who may act in it. For other users the room does not exist. */
export function roomOfMember(
  state: RoomState,
  { actor, roomId }: { readonly actor: UserId; readonly roomId: RoomId },
): { readonly room: Room } | { readonly refused: ParleyError } {
  if (!state.exists || !state.members.includes(actor))
    return { refused: notFound(`there is no room ${roomId}`) };
  if (state.erased.includes(actor)) return { refused: unauthenticated('this user has been erased') };
  return { room: state };
}
