import { conflict, forbidden, notFound, type ParleyError, unauthenticated } from '../base/errors.js';
import type { Decision, EarlierMessage, Facts } from './defineCommand.js';
import type { NewEventOf, StreamDeclaration } from './defineEvent.js';
import type { Time } from './fields.js';
import { type Group, isAdminRole, isInWindows, membersOf, windowsOf } from './groups/groupState.js';
import type { MessageRef, RoomId, UserId } from './ids.js';
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
  readonly suspended?: true;
  /** Whether the host application, or its issuer, has an id of its own for the user. */
  readonly linked?: true;
  /** When the user was last suspended, or restored; absent for a user who never was. */
  readonly suspendedOrRestoredAt?: Time;
  /** The user's reports of the last day. */
  readonly reports?: readonly ReportMark[];
  /** Decisions of the user's reports within the last hour, so that of two at the same time one counts. */
  readonly decisions?: readonly ReportMark[];
}

/** When something was done with a report. */
export interface ReportMark {
  readonly reportId: string;
  readonly at: Time;
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
  readonly roomType: 'PRIVATE';
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
  /** The ids of the pinned messages, in the order of pinning. */
  readonly pins: readonly string[];
}

/** The state of a pair, which has ties before it has a chat. */
export type PairState = (Ties & { readonly exists: false }) | Room;

/** The state of a room that decisions use. */
export type RoomState = PairState | Group;

export const isGroup = (state: object): state is Group => 'roomType' in state && state.roomType === 'GROUP';

/** `room:<id>`: a pair's chat, friendship, contact and blocks or a group, its messages and read marks. */
export const roomStream: StreamDeclaration<RoomState> = {
  kind: 'room',
  idField: 'roomId',
  initial: { exists: false, added: [], contacts: [], blocks: [] },
  // A row for each member holds the members.
  stored: (state) => (isGroup(state) && state.members ? { ...state, members: undefined } : state),
};

/** An event's effect on a pair's room that exists; any other state stays as it is. */
export const inPair =
  <E>(evolve: (room: Room, event: E) => Room) =>
  (state: RoomState, event: E): RoomState =>
    state.exists && state.roomType === 'PRIVATE' ? evolve(state, event) : state;

/** An event's effect on a group; any other state stays as it is. */
export const inGroup =
  <E>(evolve: (group: Group, event: E) => Group) =>
  (state: RoomState, event: E): RoomState =>
    isGroup(state) ? evolve(state, event) : state;

/** The state of a room with other pins; any other state stays as it is. */
export const withPins = (state: RoomState, pins: readonly string[]): RoomState =>
  state.exists ? { ...state, pins } : state;

/** The state of a pair, for commands whose stream follows from two users: no group can have its id. */
export function pairIn(state: RoomState): PairState {
  if (isGroup(state)) throw new TypeError(`room ${state.roomId} is a group`);
  return state;
}

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

type InRoom = { readonly actor: UserId; readonly roomId: RoomId };
type Refused = { readonly refused: ParleyError };

/**
 * The room of a member who may act in it. For other users the room does not exist. Who has left a group may see what
 * they saw, and do nothing more.
 */
export function roomOfMember(
  state: RoomState,
  { actor, roomId }: InRoom,
): { readonly room: Room | Group } | Refused {
  if (isGroup(state)) {
    const member = membersOf(state).get(actor);
    if (!member) return noRoom(roomId);
    if (member.role === undefined) return { refused: notMember() };
    return { room: state };
  }
  if (!state.exists || !state.members.includes(actor)) return noRoom(roomId);
  if (state.erased.includes(actor)) return { refused: unauthenticated('this user has been erased') };
  return { room: state };
}

const noRoom = (roomId: RoomId): Refused => ({ refused: notFound(`there is no room ${roomId}`) });

/** The refusal of a command to a group that its actor has left. */
export const notMember = (): ParleyError => forbidden('you have left this group', 'not_member');

/** Whether a member of the room may see its message of this `seq`. */
export function canSee(room: Room | Group, user: UserId, seq: number): boolean {
  if (seq < 1 || seq > room.lastSeq) return false;
  if (room.roomType === 'PRIVATE') return room.members.includes(user);
  const member = membersOf(room).get(user);
  return member?.role !== undefined && isInWindows(windowsOf(member), seq);
}

/** Whether the user is an owner or an admin of the room. A private room has none. */
export const isRoomAdmin = (room: Room | Group, user: UserId): boolean =>
  room.roomType === 'GROUP' && isAdminRole(membersOf(room).roleOf(user));

/** Whether the user may pin messages: in a pair both may, in a group its admins. */
export const mayPin = (room: Room | Group, user: UserId): boolean =>
  room.roomType === 'PRIVATE' || isRoomAdmin(room, user);

/** Whether somebody who has written in the room was erased since. */
const isErasedIn = (room: Room | Group, sender: UserId): boolean =>
  room.roomType === 'PRIVATE' ? room.erased.includes(sender) : !membersOf(room).get(sender)?.hasWritten;

/** The message that a command of a member changes, and its room. It was not deleted, and its sender not erased. */
export function messageOfMember(
  state: RoomState,
  command: { readonly actor: UserId } & MessageRef,
  facts: Facts,
): { readonly room: Room | Group; readonly message: EarlierMessage } | Refused {
  const found = roomOfMember(state, command);
  if ('refused' in found) return found;
  const { room } = found;
  const { actor, messageId } = command;
  const message = facts.message(command);
  if (!message || !canSee(room, actor, message.seq))
    return { refused: notFound(`there is no message ${messageId} in this room`) };
  if (message.deleted || isErasedIn(room, message.senderId))
    return { refused: conflict(`message ${messageId} was deleted`, 'gone') };
  return { room, message };
}

/** The refusal of anything new in a private room where a member was erased or blocks the other; undefined elsewhere. */
export function refusalIfEnded(room: Room | Group, actor: UserId): Refused | undefined {
  if (room.roomType === 'GROUP') return undefined;
  if (room.erased.length > 0) return { refused: forbidden('the other member has been erased', 'erased') };
  if (room.blocks.length === 0) return undefined;
  const isMine = room.blocks.includes(actor);
  return { refused: isMine ? forbidden('you have blocked the other member', 'blocked') : notTaken() };
}

/** The refusal to a user whom the other member does not take this from. */
export const notTaken = (): ParleyError =>
  forbidden('the other member does not take this from you', 'not_taken');
