import { badRequest, forbidden, notFound, ParleyError, unauthenticated } from '../base/errors.js';
import type { Answers, CommandOf, Decider, Decision } from './commands.js';
import type { NewEvent, Recorded, Sealed, Time } from './events.js';
import { pairOf, type RoomId, roomIdOf, streamOf, type UserId } from './ids.js';

/** A private room: its members never change, marks and `lastSeq` never go back. */
export interface Room {
  readonly exists: true;
  readonly roomId: RoomId;
  /** Ascending. */
  readonly members: readonly [UserId, UserId];
  readonly createdAt: Time;
  /** For whom the chat is active. */
  readonly active: readonly UserId[];
  /** The newest message's `seq`; 0 in an empty room. */
  readonly lastSeq: number;
  /** Read marks of both members. */
  readonly marks: Readonly<Record<UserId, number>>;
  /** Members who have been erased. */
  readonly erased?: readonly UserId[];
}
/** What deciding needs to know of a room. */
export type RoomState = { readonly exists: false } | Room;

/** A message with its text sealed: the core never sees the text. */
export type SealedSend = Omit<CommandOf<'send message'>, 'message'> & { readonly text: Sealed };
export type RoomCommand = CommandOf<'init chat' | 'read messages' | 'erase member'> | SealedSend;

/** What a room's state does not say. */
export interface RoomFacts {
  /** The time of the commit. */
  readonly now: Time;
  /** With `init chat`: the other user is registered and not erased. */
  readonly otherExists: boolean;
  /** With `send message`: the message that has this id already. */
  readonly earlier: EarlierMessage | undefined;
  /** With `send message`: the message replied to is in the room. */
  readonly replyExists: boolean;
}

export interface EarlierMessage {
  readonly senderId: UserId;
  readonly seq: number;
  readonly sentAt: Time;
  readonly replyTo?: string;
  /** Its text is the one being sent; false unless the sender is the same. */
  readonly sameText: boolean;
}

/** Where a message stands, now or since it was first sent. */
export interface SentAnswer {
  readonly seq: number;
  readonly sentAt: Time;
}
type RoomAnswer = Answers['init chat' | 'read messages' | 'erase member'] | SentAnswer;

/** Chats, messages and read marks. */
export const roomDecider: Decider<RoomCommand, RoomState, RoomFacts, RoomAnswer> = {
  initial: { exists: false },
  evolve: (state, event) => (state.exists ? evolveRoom(state, event) : created(state, event)),
  decide(command, state, facts) {
    if (command.kind === 'init chat') return initChat(command, state, facts);
    if (command.kind === 'erase member') return eraseMember(command, state);
    // To someone who is not a member, a room is as if it did not exist.
    if (!state.exists || !state.members.includes(command.actor))
      return { refused: notFound(`there is no room ${command.roomId}`) };
    if (state.erased?.includes(command.actor))
      return { refused: unauthenticated('this user has been erased') };
    return command.kind === 'send message' ? send(command, state, facts) : read(command, state);
  },
};

function created(state: RoomState, event: Recorded): RoomState {
  if (event.type !== 'RoomCreated') return state;
  const { roomId, members } = event.data;
  const marks = { [members[0]]: 0, [members[1]]: 0 };
  return { exists: true, roomId, members, createdAt: event.recordedAt, active: [], lastSeq: 0, marks };
}

function evolveRoom(room: Room, event: Recorded): Room {
  switch (event.type) {
    case 'ChatOpened':
      return { ...room, active: [...room.active, event.data.userId] };
    case 'MessageSent': {
      const { seq } = event.data;
      return grown(room, seq, { ...room.marks, [event.actor]: seq });
    }
    case 'MessagesRead':
      return { ...room, marks: { ...room.marks, [event.data.userId]: event.data.upTo } };
    case 'MemberErased':
      return { ...room, erased: [...(room.erased ?? []), event.data.userId] };
    default:
      return room;
  }
}

/** Field by field, as nearly all events come here: spreading the old state takes several times as long. */
const grown = (room: Room, lastSeq: number, marks: Room['marks']): Room =>
  room.erased
    ? { ...room, lastSeq, marks }
    : {
        exists: true,
        roomId: room.roomId,
        members: room.members,
        createdAt: room.createdAt,
        active: room.active,
        lastSeq,
        marks,
      };

function initChat(
  { actor, friendId }: CommandOf<'init chat'>,
  state: RoomState,
  { now, otherExists }: RoomFacts,
): Decision<Answers['init chat']> {
  if (actor === friendId) return { refused: badRequest('one cannot chat with oneself') };
  if (!otherExists || (state.exists && state.erased))
    return { refused: notFound(`there is no user ${friendId}`) };
  const roomId = roomIdOf(actor, friendId);
  if (state.exists && state.active.includes(actor))
    return { events: [], answer: { roomId, isNewActive: false } };
  const answer = { roomId, isNewActive: true };
  if (state.exists) return { events: [chatOpened(state, actor)], answer };
  const members = pairOf(actor, friendId);
  const roomCreated: NewEvent = {
    type: 'RoomCreated',
    stream: streamOf('room', roomId),
    data: { roomId, roomType: 'PRIVATE', members },
    audience: [],
  };
  return { events: [roomCreated, chatOpened({ roomId, members, createdAt: now }, actor)], answer };
}

function chatOpened(room: Pick<Room, 'roomId' | 'members' | 'createdAt'>, userId: UserId): NewEvent {
  const { roomId, members, createdAt } = room;
  return {
    type: 'ChatOpened',
    stream: streamOf('room', roomId),
    data: { roomId, userId, members, createdAt },
    audience: [userId],
  };
}

function send(command: SealedSend, room: Room, facts: RoomFacts): Decision<SentAnswer> {
  const { actor, roomId, messageId, text, replyTo } = command;
  const { earlier } = facts;
  if (earlier) {
    if (earlier.senderId === actor && earlier.sameText && earlier.replyTo === replyTo)
      return { events: [], answer: { seq: earlier.seq, sentAt: earlier.sentAt } };
    return {
      refused: new ParleyError('conflict', `message ${messageId} exists with another body or sender`),
    };
  }
  if (room.erased) return { refused: forbidden('the other member has been erased') };
  if (replyTo !== undefined && !facts.replyExists) {
    const message = 'must be the id of an earlier message in the room';
    return { refused: badRequest(`replyTo ${message}`, [{ path: 'replyTo', message }]) };
  }
  const seq = room.lastSeq + 1;
  const events: NewEvent[] = [];
  for (const member of room.members) if (!room.active.includes(member)) events.push(chatOpened(room, member));
  const data = { roomId, messageId, seq, text };
  events.push({
    type: 'MessageSent',
    stream: streamOf('room', roomId),
    data: replyTo === undefined ? data : { ...data, replyTo },
    audience: room.members,
  });
  return { events, answer: { seq, sentAt: facts.now } };
}

function read(command: CommandOf<'read messages'>, room: Room): Decision<Answers['read messages']> {
  const { actor, roomId } = command;
  const upTo = command.upTo ?? room.lastSeq;
  if (upTo > room.lastSeq) {
    const message = `must be at most the newest seq, ${room.lastSeq}`;
    return { refused: badRequest(`upTo ${message}`, [{ path: 'upTo', message }]) };
  }
  const mark = room.marks[actor] ?? 0;
  if (upTo <= mark) return { events: [], answer: { upTo: mark, unread: room.lastSeq - mark } };
  const moved: NewEvent = {
    type: 'MessagesRead',
    stream: streamOf('room', roomId),
    data: { roomId, userId: actor, upTo },
    audience: room.members,
  };
  return { events: [moved], answer: { upTo, unread: room.lastSeq - upTo } };
}

/** A room that is not there, or not theirs, has no such member: so said, that whoever asks may go on. */
function eraseMember(
  { roomId, userId }: CommandOf<'erase member'>,
  room: RoomState,
): Decision<Answers['erase member']> {
  if (!room.exists || !room.members.includes(userId) || room.erased?.includes(userId))
    return { events: [], answer: { changed: false } };
  const erased: NewEvent = {
    type: 'MemberErased',
    stream: streamOf('room', roomId),
    data: { roomId, userId },
    audience: room.members,
  };
  return { events: [erased], answer: { changed: true } };
}
