import type { z } from 'zod';
import type { Sealed, Time } from './fields.js';
import type { Actor, RoomId, UserId } from './ids.js';
import type { User } from './userMessageChat.js';

/** A message with its text sealed, as rows and the bus hold it. */
export interface SealedMessage {
  readonly messageId: string;
  readonly roomId: RoomId;
  readonly seq: number;
  readonly senderId: UserId;
  /** Null when the message was deleted. */
  readonly text: Sealed | null;
  readonly replyTo?: string;
  readonly sentAt: Time;
  /** Who deleted it. */
  readonly deleted?: { readonly by: Actor };
}

/** What a push shows beside its event: profiles, and the opened text of its message. Both are as they are now. */
export interface Shown {
  user(id: UserId): User;
  /** Null when the text's key was destroyed. */
  text(sealed: Sealed): string | null;
}

/** A push with a cursor, which a client that was away receives later. */
export interface StoredPush {
  readonly name: string;
  readonly to: readonly UserId[];
  /** Connections that have left this room do not receive it. */
  readonly room?: RoomId;
  /** The profiles that `data` shows. */
  readonly users?: readonly UserId[];
  /** The message whose text `data` shows. */
  readonly message?: SealedMessage;
  /** These two have become contacts of each other. */
  readonly contacts?: readonly [UserId, UserId];
  /** This user stops typing in `room`, without a push that says so. */
  readonly endsTypingOf?: UserId;
  /** Of all missed pushes with this key only the newest is sent after a gap. */
  readonly onlyNewest?: string;
  readonly data: (shown: Shown) => object;
}

/** A push to everybody who has `about` among their contacts. It is not stored. */
export interface ContactsPush {
  readonly name: string;
  readonly about: UserId;
  readonly data: object;
}

export type Push = StoredPush | ContactsPush;

export interface PushDeclaration<N extends string, D extends z.ZodType> {
  readonly declares: 'push';
  readonly name: N;
  /** Whether it has a cursor and is sent later to who was away. */
  readonly isStored: boolean;
  /** It is not stored, and has a cursor. */
  readonly hasCursor?: true;
  readonly data: D;
  /** For the documents. */
  readonly note: string;
  /** The push of an event: a stored one. */
  readonly of: (
    push: Omit<StoredPush, 'name' | 'data'> & { readonly data: (shown: Shown) => z.output<D> & object },
  ) => StoredPush;
}

/** Declares what the server pushes under one name. */
export function push<N extends string, D extends z.ZodType>(
  name: N,
  spec: Pick<PushDeclaration<N, D>, 'isStored' | 'hasCursor'> & { readonly data: D; readonly note: string },
): PushDeclaration<N, D> {
  return { declares: 'push', name, of: (push) => ({ name, ...push }), ...spec };
}
