import { z } from 'zod';
import type { Sealed, Time } from './fields.js';
import type { Period } from './groups/groupState.js';
import type { Actor, KeyId, RoomId, StreamKind, StreamName, TextPlace, UserId } from './ids.js';
import type { Chat, User } from './userMessageChat.js';

/** The builders of declared events and of what they push. */

/** The topics by which auditors filter events. Each feature declares one. */
export const TOPICS = ['messages', 'people', 'groups', 'administration', 'audit'] as const;
export type Topic = (typeof TOPICS)[number];

/** A kind of stream, and the state that deciders keep of each stream of this kind. */
export interface StreamDeclaration<S> {
  readonly kind: StreamKind;
  /** The field of an event's data that repeats the stream's id. A leaf leaves it out. */
  readonly idField: string;
  /** The state before the first event. A state is a JSON value: it is stored as a row. */
  readonly initial: S;
  /** The part of a state that is stored in its row. Default: all of it. Events evolve this part by itself too. */
  readonly stored?: (state: S) => S;
}

/** The members of a group at an event's place, where nobody lists them. */
export interface GroupAudience {
  readonly group: RoomId;
  /** Only those who had joined before this offset. */
  readonly joinedBefore?: number;
  /** These users too. */
  readonly and?: readonly UserId[];
}

/** Whom a push is for. */
export type Audience = readonly UserId[] | GroupAudience;

export const isGroupAudience = (audience: Audience): audience is GroupAudience => 'group' in audience;

/** An event as its decider makes it. */
export interface NewEventOf<T extends string, D> {
  readonly type: T;
  readonly stream: StreamName;
  readonly data: D;
}

/** An event as the log holds it. */
export interface RecordedOf<T extends string, D> extends NewEventOf<T, D> {
  readonly partition: number;
  /** Place in the partition: 0, 1, 2 … */
  readonly offset: number;
  /** Place in the stream: 1, 2, 3 … */
  readonly version: number;
  readonly actor: Actor;
  readonly recordedAt: Time;
  readonly commandId: string;
  /** The server key through which it was caused, if one was. */
  readonly via?: KeyId;
}

/** The words of a transcript line. */
export interface Words {
  /** A user's name, or the id when there is no name. */
  who(id: string): string;
  /** A value in quotes on one line; `(erased)` for null. */
  quoted(value: unknown): string;
}

/** A field of an event's data that is sealed where it is a text. Its decider gives it in the clear, the writer seals it. */
export interface SealedField<E> {
  readonly field: string;
  readonly of: (event: E) => Sealing;
}

/** How the sealed field of an event is sealed. */
export interface Sealing {
  /** A user, or what `groupKeyOwner` gives. */
  readonly owner: string;
  /** Additional data of AES-GCM: the sealed text opens nowhere else. */
  readonly context: string;
  /** Of a text with a key of its own. Without it the field is sealed with its owner's own key. */
  readonly place?: TextPlace;
}

/**
 * What an event makes two users to each other. `contact`: `by` has `other` as a contact. `parted`: neither has the
 * other. `blocked` parts them, and `by` has blocked `other`.
 */
export interface Tie {
  readonly by: UserId;
  readonly other: UserId;
  readonly is: 'contact' | 'parted' | 'blocked' | 'unblocked';
}

/** What an event's pushes need beside the event. */
export interface Scene {
  /** The members of the event's room at its place in the log; empty for another kind of stream. */
  readonly members: Audience;
  /** In a replay of a group: when its user was a member. */
  readonly periods?: readonly Period[];
  /**
   * The event's message as it is now. In a replay: of `MessageSent` if it is no longer as it was sent, and of each
   * event that changes a message. Live: of events with `showsMessage`.
   */
  readonly message?: SealedMessage;
}

interface EventSpec<T extends string, D, S> {
  /** The stored shape. It never changes after a release: a new shape is a new type. */
  readonly data: z.ZodType<D>;
  readonly sealed?: readonly SealedField<RecordedOf<T, D>>[];
  /** Pure; never changes `state`. Without it the state stays as it is. */
  readonly evolve?: (state: S, event: RecordedOf<T, D>) => S;
  /** The event's pushes: live, after a gap and in a replay. Pure. Without it the event has none. */
  readonly push?: (event: RecordedOf<T, D>, scene: Scene) => readonly Push[];
  /** What the event makes two users to each other: each gateway knows it of its users. Pure. */
  readonly tie?: (event: RecordedOf<T, D>, scene: Scene) => Tie | undefined;
  /**
   * The event's effect on the message that its data names by `roomId`, `messageId` and `seq`. Pure. Rows of messages,
   * the last message of a chat, and the facts of deciders follow it.
   */
  readonly changes?: (message: SealedMessage, event: RecordedOf<T, D>) => SealedMessage;
  /** The live push shows the whole message too, which the writer sends along. */
  readonly showsMessage?: true;
  /** Subscriptions get it only if they name its type. */
  readonly isDeliveredIfNamed?: true;
  /** The event in the auditor's transcript. */
  readonly line: (event: RecordedOf<T, D>, words: Words) => string;
  /** The older type that this one replaces, and how each is read as the other. */
  readonly replaces?: Replaced;
}

/** An older type of event and its rule. */
export interface Replaced {
  readonly type: string;
  /** Pure. Turns what was stored under the older type into this type's data. */
  readonly upcast: (old: unknown) => unknown;
  /** Pure. Written instead while some node does not know this type. Without it such an event is refused until then. */
  readonly downcast?: (data: unknown) => unknown;
}

export interface EventDeclaration<T extends string, D, S> extends EventSpec<T, D, S> {
  readonly declares: 'event';
  readonly type: T;
  readonly stream: StreamDeclaration<S>;
  /** Makes the event for the stream of this id. */
  readonly of: (id: string, data: D) => NewEventOf<T, D>;
  /** Whether the data always has the `idField` of the stream. */
  readonly hasIdField: boolean;
}

/** Declares a type of event of one kind of stream. */
export function event<T extends string, D, S>(
  type: T,
  stream: StreamDeclaration<S>,
  spec: EventSpec<T, D, NoInfer<S>>,
): EventDeclaration<T, D, S> {
  const of = (id: string, data: D) => ({ type, stream: `${stream.kind}:${id}` as const, data });
  const field = spec.data instanceof z.ZodObject ? spec.data.shape[stream.idField] : undefined;
  const hasIdField = field !== undefined && field._zod.optin === undefined;
  return { declares: 'event', type, stream, of, hasIdField, ...spec };
}

/** One emoji, and the users who have reacted with it, in the order in which they did. */
export type ReactionsOf = readonly [emoji: string, users: readonly UserId[]];

/** A message with its texts sealed, as rows and the bus hold it. */
export interface SealedMessage {
  readonly messageId: string;
  readonly roomId: RoomId;
  readonly seq: number;
  readonly senderId: UserId;
  /** Null when the message was deleted. */
  readonly text: Sealed | null;
  /** The integrator's data, as JSON. */
  readonly data?: Sealed;
  readonly replyTo?: string;
  /** User ids, or `all`. */
  readonly mentions?: readonly string[];
  readonly sentAt: Time;
  /** The number of edits. */
  readonly rev?: number;
  readonly editedAt?: Time;
  /** The ids of its edits, in order. */
  readonly edits?: readonly string[];
  /** What an edited message said at first. */
  readonly first?: { readonly text: Sealed; readonly mentions?: readonly string[] };
  /** In the order of the first reaction of each emoji. */
  readonly reactions?: readonly ReactionsOf[];
  readonly pinned?: true;
  /** Who deleted it. */
  readonly deleted?: { readonly by: Actor };
}

/** A sealed text that is not a message's, with all that its seal is bound to. */
export interface SealedNote extends Pick<Sealing, 'owner' | 'context'> {
  readonly sealed: Sealed;
}

/** What a push shows beside its event: profiles, chats and opened texts. All are as they are now. */
export interface Shown {
  user(id: UserId): User;
  /** A chat as this user sees it. */
  chat(roomId: RoomId, user: UserId): Chat;
  /** Null when the text's key was destroyed. */
  text(sealed: Sealed): string | null;
}

/** A push with a cursor, which a client that was away receives later. */
export interface StoredPush {
  readonly name: string;
  readonly to: Audience;
  /** The message that `data` is about: of a group, only those see it in one of whose windows it lies. */
  readonly seq?: number;
  /** Connections that have left this room do not receive it. */
  readonly room?: RoomId;
  /** The profiles that `data` shows. */
  readonly users?: readonly UserId[];
  /** The message whose text `data` shows. */
  readonly message?: SealedMessage;
  /** Other texts that `data` shows. */
  readonly notes?: readonly SealedNote[];
  /** The chat that `data` shows to the one user whom the push is for. */
  readonly chat?: { readonly roomId: RoomId; readonly userId: UserId };
  /** It tells what this user has read: others receive it only while they are told of this user's activity. */
  readonly readBy?: UserId;
  /** This user stops typing in `room`, without a push that says so. */
  readonly endsTypingOf?: UserId;
  /** A replay sends another push instead: the message as it is now. */
  readonly onlyLive?: true;
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

/**
 * A push of a user's profile as it is now, to the user and to those who share a chat or a friendship with them. It is
 * not stored.
 */
export interface ProfilePush {
  readonly name: string;
  readonly profileOf: UserId;
}

export type Push = StoredPush | ContactsPush | ProfilePush;

/** Returns true for a push with a cursor. */
export const isStoredPush = (push: Push): push is StoredPush => 'to' in push;

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
