import type { RoomId, StreamName, UserId } from './ids.js';

/** AES-256-GCM: base64 of nonce (12 bytes), ciphertext and tag (16 bytes). Opened with its owner's data key. */
export type Sealed = string;
/** ISO 8601 in UTC with milliseconds. */
export type Time = string;

/**
 * What can happen, by type. A shape here never changes: a new shape is a new type with an upcaster.
 * The owner of sealed text is the event's actor; in `UserRegistered` the user of the stream.
 */
export interface EventData {
  /** Stream `user:<id>`. */
  UserRegistered: { userId: UserId; username: Sealed; backgroundColor: string };
  UserWentOnline: { userId: UserId };
  UserWentOffline: { userId: UserId; lastSeen: Time };
  /** What sealed their name and texts is destroyed after this; the actor is the user. */
  UserErased: { userId: UserId };
  AuditorAppointed: { userId: UserId };
  AuditorDismissed: { userId: UserId };
  /** Stream of the auditor, who is the actor: what they asked to be shown, as they asked for it. */
  AuditRead: { userId: UserId; resource: AuditResource; query: Readonly<Record<string, string>> };
  /** Stream `friendship:<id>`; the actor is who asked. `members` in ascending order. */
  FriendAdded: { members: readonly [UserId, UserId] };
  /** Stream `room:<id>`; pushed to nobody: a chat appears with `ChatOpened`. `members` in ascending order. */
  RoomCreated: { roomId: RoomId; roomType: 'PRIVATE'; members: readonly [UserId, UserId] };
  /**
   * The chat became active for one member; always before its first message, so that the chat they are shown
   * follows from the event. `createdAt` is the room's: the `recordedAt` of its `RoomCreated`, kept in the room's
   * state; a decider is given the commit's time as the fact `now`.
   */
  ChatOpened: { roomId: RoomId; userId: UserId; members: readonly [UserId, UserId]; createdAt: Time };
  MessageSent: { roomId: RoomId; messageId: string; seq: number; text: Sealed; replyTo?: string };
  MessagesRead: { roomId: RoomId; userId: UserId; upTo: number };
  /** The member was erased: nobody writes there any more. */
  MemberErased: { roomId: RoomId; userId: UserId };
}

/** What an auditor can be shown. */
export type AuditResource = 'events' | 'room' | 'user';

export type EventType = keyof EventData;

/** An event as its decider makes it. */
export type NewEvent = {
  [T in EventType]: {
    type: T;
    stream: StreamName;
    data: EventData[T];
    /** Whose connections it concerns; empty for presence, which goes to the subject's contacts. */
    audience: readonly UserId[];
  };
}[EventType];

/** An event as the log holds it. */
export type Recorded<T extends EventType = EventType> = {
  [K in T]: {
    readonly partition: number;
    /** Place in the partition: 0, 1, 2 … */
    readonly offset: number;
    readonly stream: StreamName;
    /** Place in the stream: 1, 2, 3 … */
    readonly version: number;
    readonly type: K;
    readonly data: EventData[K];
    readonly audience: readonly UserId[];
    readonly actor: UserId | 'system';
    readonly recordedAt: Time;
    readonly commandId: string;
  };
}[T];

/** What text is bound to when sealed (the additional data of AES-GCM): it opens nowhere else. */
export const sealContext = {
  username: (userId: UserId): string => `user:${userId}|UserRegistered|${userId}|username`,
  message: (roomId: RoomId, messageId: string): string => `room:${roomId}|MessageSent|${messageId}|text`,
};
