import { conflict, forbidden, notFound, type ParleyError, unauthenticated } from '../base/errors.js';
import type { Decision, EarlierMessage, Facts } from './defineCommand.js';
import type { NewEventOf, StreamDeclaration } from './defineEvent.js';
import type { Time } from './fields.js';
import type { MessageRef, RoomId, UserId } from './ids.js';

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
}

/** `user:<id>`: sign-up, presence, roles and the end of one user. */
export const userStream: StreamDeclaration<UserState> = {
  kind: 'user',
  idField: 'userId',
  initial: { registered: false, online: false },
};

/** A private room: its members never change, marks and `lastSeq` never go back. */
export interface Room {
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
  /** The members who have added the other one as a friend. */
  readonly added: readonly UserId[];
  /** The ids of the pinned messages, in the order of pinning. */
  readonly pins: readonly string[];
}

/** The state of a room that decisions use. A pair can be friends before they have a chat. */
export type RoomState = { readonly exists: false; readonly added: readonly UserId[] } | Room;

/** `room:<id>`: a pair's chat and friendship, their messages and read marks. */
export const roomStream: StreamDeclaration<RoomState> = {
  kind: 'room',
  idField: 'roomId',
  initial: { exists: false, added: [] },
};

/** An event's effect on a room that exists; one that does not exist stays so. */
export const inRoom =
  <E>(evolve: (room: Room, event: E) => Room) =>
  (state: RoomState, event: E): RoomState =>
    state.exists ? evolve(state, event) : state;

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

/** Whether the user may see the message of this `seq`: a member of a pair sees all. */
export const canSee = ({ lastSeq }: Room, _user: UserId, seq: number): boolean => seq >= 1 && seq <= lastSeq;

/** Whether the user is an admin of a group: a pair has none. */
export const isRoomAdmin = (_room: Room, _user: UserId): boolean => false;

/** Whether the user may pin messages: in a pair both may. */
export const mayPin = (_room: Room, _user: UserId): boolean => true;

/** The message that a command of a member changes, and its room. It was neither deleted nor erased. */
export function messageOfMember(
  state: RoomState,
  command: { readonly actor: UserId } & MessageRef,
  facts: Facts,
): { readonly room: Room; readonly message: EarlierMessage } | { readonly refused: ParleyError } {
  const found = roomOfMember(state, command);
  if ('refused' in found) return found;
  const { room } = found;
  const { actor, messageId } = command;
  const message = facts.message(command);
  if (!message || !canSee(room, actor, message.seq))
    return { refused: notFound(`there is no message ${messageId} in this room`) };
  if (message.deleted || room.erased.includes(message.senderId))
    return { refused: conflict(`message ${messageId} was deleted`, 'gone') };
  return { room, message };
}

/** The refusal of anything new in a private room whose other member was erased; undefined while both are there. */
export const refusalIfEnded = ({ erased }: Room): { readonly refused: ParleyError } | undefined =>
  erased.length > 0 ? { refused: forbidden('the other member has been erased') } : undefined;
