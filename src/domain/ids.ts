import { v5 as uuidv5 } from 'uuid';

/** A UUID in lower case. */
export type UserId = string;
/** A UUID in lower case. Of a private room it is derived from its pair of members, of a group its creator chose it. */
export type RoomId = string;
/** The `stream` of an event: `user:<id>`, `room:<id>` for a pair's chat and friendship, or `policy:<log id>`. */
export type StreamName = `${StreamKind}:${string}`;
export type StreamKind = 'user' | 'room' | 'policy';

// Fixed for ever: another namespace would give every pair a second room.
const ROOMS = '9f5d7a0e-6f0e-4c3b-8a54-6d0b3f1c2e71';

const pairName = (a: UserId, b: UserId): string => (a < b ? `${a}/${b}` : `${b}/${a}`);

/** The one private room of two users (UUIDv5 of the ordered pair), whoever asks. */
export const roomIdOf = (a: UserId, b: UserId): RoomId => uuidv5(pairName(a, b), ROOMS);

/** The stream that holds the events of one thing. */
export const streamOf = (kind: StreamKind, id: string): StreamName => `${kind}:${id}`;

/** Splits a stream's name. */
export function parseStream(stream: StreamName): { kind: StreamKind; id: string } {
  const colon = stream.indexOf(':');
  // A StreamName starts with a kind by construction.
  return { kind: stream.slice(0, colon) as StreamKind, id: stream.slice(colon + 1) };
}

/** Whether a room's id is that of a group. The id of a private room is derived, and has another version. */
export const isGroupId = (roomId: RoomId): boolean => roomId[14] === '4' || roomId[14] === '7';

const GROUP_KEY_PREFIX = 'group:';
/** The owner of the key of a group's name in the vault. No user has such an id, whatever id a group was given. */
export const groupKeyOwner = (roomId: RoomId): string => `${GROUP_KEY_PREFIX}${roomId}`;
/** Whether this is what `groupKeyOwner` gives: ids of users have no such prefix. */
export const isGroupKeyOwner = (owner: string): boolean => owner.startsWith(GROUP_KEY_PREFIX);

/** Two users in ascending order, as events name them. */
export const pairOf = (a: UserId, b: UserId): readonly [UserId, UserId] => (a < b ? [a, b] : [b, a]);

/** Who caused an event. `system` stands for the server, for its operator and for the host application. */
export type Actor = UserId | 'system';

/** A UUID in lower case: the name of a server key, not its secret. */
export type KeyId = string;

export interface MessageRef {
  readonly roomId: RoomId;
  readonly messageId: string;
}

/** A writer in a room; the keys of their texts there belong together. */
export interface WriterInRoom {
  readonly owner: UserId;
  readonly roomId: RoomId;
}

/** The place of a text in its writer's tree of keys. */
export interface TextPlace {
  readonly roomId: RoomId;
  /** The message's `seq`. */
  readonly seq: number;
  /** The revision of the text, 0 for the first. */
  readonly rev: number;
}
