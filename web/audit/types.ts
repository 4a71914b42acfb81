import type { Message, User } from '../../src/client/index.js';

/** An event as auditors are shown it. */
export interface EventRow {
  readonly partition: number;
  readonly offset: number;
  readonly stream: string;
  readonly version: number;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly erased?: true;
  readonly actor: string;
  readonly recordedAt: string;
  readonly commandId: string;
}

/** A room, as of some time. */
export interface RoomThen {
  readonly room: PastRoom;
  readonly members: readonly User[];
  readonly messages: readonly Message[];
  readonly readUpTo: Readonly<Record<string, number>>;
}

/** A room that there was. */
export interface PastRoom {
  readonly roomId: string;
  readonly memberIds: readonly string[];
  readonly createdAt: string;
}

/** A person, as of some time. */
export interface UserThen {
  readonly user: User;
  readonly friends: readonly User[];
  readonly rooms: readonly PastRoom[];
  readonly isOnline: boolean;
  readonly lastSeen: string | null;
}
