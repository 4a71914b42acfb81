import type { Message } from './contract.js';
import type { Recorded, Sealed, Time } from './events.js';
import type { RoomId, UserId } from './ids.js';

/**
 * What an event means to people: who is pushed what. Sealed text is opened, and profiles are joined, at the edge.
 * `to` are users; the connection that caused it is left out by the gateway.
 */
export type Change =
  | {
      readonly push: 'add friend';
      readonly to: readonly UserId[];
      readonly members: readonly [UserId, UserId];
    }
  | {
      readonly push: 'init chat';
      readonly to: readonly UserId[];
      readonly room: RoomId;
      readonly members: readonly [UserId, UserId];
      readonly createdAt: Time;
    }
  | {
      readonly push: 'send message';
      readonly to: readonly UserId[];
      readonly room: RoomId;
      readonly message: SealedMessage;
    }
  | {
      readonly push: 'read messages';
      readonly to: readonly UserId[];
      readonly room: RoomId;
      readonly userId: UserId;
      readonly upTo: number;
    }
  | {
      readonly push: 'erase user';
      readonly to: readonly UserId[];
      readonly room: RoomId;
      readonly userId: UserId;
    }
  /** To those who have the subject among their contacts; not stored. */
  | {
      readonly push: 'get online info';
      readonly subject: UserId;
      readonly isOnline: boolean;
      readonly lastSeen: Time | null;
    };

/** A message with its text sealed, as rows and the bus hold it. */
export interface SealedMessage {
  readonly messageId: string;
  readonly roomId: RoomId;
  readonly seq: number;
  readonly senderId: UserId;
  readonly text: Sealed;
  readonly replyTo?: string;
  readonly sentAt: Time;
}

/** Pure, so that the live push, the one after a gap and the replay are the same. Undefined: nobody is pushed anything. */
export function changeOf(event: Recorded): Change | undefined {
  switch (event.type) {
    case 'FriendAdded':
      return { push: 'add friend', to: event.audience, members: event.data.members };
    case 'ChatOpened': {
      const { roomId: room, members, createdAt } = event.data;
      return { push: 'init chat', to: event.audience, room, members, createdAt };
    }
    case 'MessageSent':
      return {
        push: 'send message',
        to: event.audience,
        room: event.data.roomId,
        message: sealedMessage(event),
      };
    case 'MessagesRead': {
      const { roomId: room, userId, upTo } = event.data;
      return { push: 'read messages', to: event.audience, room, userId, upTo };
    }
    case 'UserWentOnline':
      return { push: 'get online info', subject: event.data.userId, isOnline: true, lastSeen: null };
    case 'UserWentOffline': {
      const { userId: subject, lastSeen } = event.data;
      return { push: 'get online info', subject, isOnline: false, lastSeen };
    }
    case 'MemberErased':
      return {
        push: 'erase user',
        to: event.audience,
        room: event.data.roomId,
        userId: event.data.userId,
      };
    case 'UserRegistered':
    case 'UserErased':
    case 'AuditorAppointed':
    case 'AuditorDismissed':
    case 'AuditRead':
    case 'RoomCreated':
      return undefined;
  }
}

/** The message that a `MessageSent` records. */
export function sealedMessage(event: Recorded<'MessageSent'>): SealedMessage {
  const { roomId, messageId, seq, text, replyTo } = event.data;
  return {
    messageId,
    roomId,
    seq,
    senderId: event.actor,
    text,
    ...(replyTo === undefined ? {} : { replyTo }),
    sentAt: event.recordedAt,
  };
}

/** The message as clients get it; a text of null is an erased one. */
export function openedMessage(sealed: SealedMessage, text: string | null): Message {
  const { messageId, roomId, seq, senderId, replyTo, sentAt } = sealed;
  return {
    messageId,
    roomId,
    seq,
    senderId,
    message: text,
    ...(replyTo === undefined ? {} : { replyTo }),
    sentAt,
    ...(text === null ? { erased: true as const } : {}),
  };
}

export interface MessageRef {
  readonly roomId: RoomId;
  readonly messageId: string;
}

/** A message of the history: its text sealed. */
export type StoredMessage = Omit<SealedMessage, 'roomId'>;

/** A message's name among all rooms. The id first: those of UUIDv7 grow with time, and an index of them at its end. */
export const messageTerm = (roomId: RoomId, messageId: string): string => `${messageId}/${roomId}`;
