import type { Message, User } from '@parley/client';

/** An event as the server shows it to auditors. */
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
  readonly via?: string;
}

/** A room at a point in time. */
export interface PastRoom {
  readonly room: RoomInfo;
  readonly members: readonly User[];
  readonly messages: readonly Message[];
  readonly readUpTo: Readonly<Record<string, number>>;
}

interface RoomInfo {
  readonly roomId: string;
  readonly roomType: 'PRIVATE' | 'GROUP';
  readonly memberIds: readonly string[];
  readonly createdAt: string;
  /** Of a group; null when it is erased. */
  readonly name?: string | null;
}

/** A user at a point in time. */
export interface PastUser {
  readonly user: User;
  readonly friends: readonly User[];
  readonly rooms: readonly RoomInfo[];
  readonly isOnline: boolean;
  readonly lastSeen: string | null;
}
