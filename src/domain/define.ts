import { z } from 'zod';
import type { ParleyError } from '../base/errors.js';
import { type RoomId, type StreamKind, type StreamName, streamOf, type UserId } from './ids.js';
import type { Time, User } from './shapes.js';

/**
 * How a feature is declared. Each file of this folder that is named in `features.ts` exports the events, commands,
 * requests and pushes of one feature. Types, dispatch, documents and look-ups are derived from these declarations.
 */

/** AES-256-GCM: base64 of nonce (12 bytes), ciphertext and tag (16 bytes). Opened with its owner's data key. */
export type Sealed = string;

/** Who caused an event. `system` stands for the server and for its operator. */
export type Actor = UserId | 'system';

/** A kind of stream, and the state that deciders keep of each stream of this kind. */
export interface StreamDeclaration<S> {
  readonly kind: StreamKind;
  /** The state before the first event. A state is a JSON value: it is stored as a row. */
  readonly initial: S;
}

/** An event as its decider makes it. */
export interface NewEventOf<T extends string, D> {
  readonly type: T;
  readonly stream: StreamName;
  readonly data: D;
  /** Whose connections it concerns. Empty for presence, which goes to the contacts of its subject. */
  readonly audience: readonly UserId[];
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
}

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

/** The words of a transcript line. */
export interface Words {
  /** A user's name, or the id when there is no name. */
  who(id: string): string;
  /** A value in quotes on one line; `(erased)` for null. */
  quoted(value: unknown): string;
}

/** The one field of an event's data that is sealed with a user's own key. */
export interface SealedField<E> {
  readonly field: string;
  readonly owner: (event: E) => UserId;
  /** Additional data of AES-GCM: the sealed text opens nowhere else. */
  readonly context: (event: E) => string;
}

interface EventSpec<T extends string, D, S> {
  /** The stored shape. It never changes after a release: a new shape is a new type. */
  readonly data: z.ZodType<D>;
  readonly sealed?: SealedField<RecordedOf<T, D>>;
  /** Pure; never changes `state`. Without it the state stays as it is. */
  readonly evolve?: (state: S, event: RecordedOf<T, D>) => S;
  /** Pure. What the event means to people, live, after a gap and in a replay. Without it nobody is told. */
  readonly push?: (event: RecordedOf<T, D>) => readonly Push[];
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
  readonly of: (id: string, data: D, audience?: readonly UserId[]) => NewEventOf<T, D>;
}

/** Declares a type of event of one kind of stream. */
export function event<T extends string, D, S>(
  type: T,
  stream: StreamDeclaration<S>,
  spec: EventSpec<T, D, NoInfer<S>>,
): EventDeclaration<T, D, S> {
  const of = (id: string, data: D, audience: readonly UserId[] = []) => ({
    type,
    stream: streamOf(stream.kind, id),
    data,
    audience,
  });
  return { declares: 'event', type, stream, of, ...spec };
}

/** `refused`: the command changes nothing and its sender is told why. */
export type Decision<A> =
  | { readonly events: readonly NewEventOf<string, object>[]; readonly answer: A }
  | { readonly refused: ParleyError };

/** What is looked up before a command is decided. */
export interface Wants {
  /** Users of whom must be known whether they exist. */
  readonly users?: readonly UserId[];
  /** Users of whom must be known whether another device is active. */
  readonly devices?: readonly UserId[];
  readonly messages?: readonly MessageRef[];
}

export interface MessageRef {
  readonly roomId: RoomId;
  readonly messageId: string;
}

/** A message that has the id asked for already. */
export interface EarlierMessage {
  readonly senderId: UserId;
  readonly seq: number;
  readonly sentAt: Time;
  readonly replyTo?: string;
  /** Whether it has this text. False unless the command's actor sent it. */
  hasText(text: string): boolean;
}

/** What is true beside the stream's state when a command is decided. */
export interface Facts {
  /** The time of the commit. */
  readonly now: Time;
  /** The field that the command `seals`, sealed. */
  readonly sealed: Sealed;
  /** Whether a wanted user is registered and not erased. */
  exists(user: UserId): boolean;
  /** Whether some node has an active device of a wanted user, or had a moment ago. */
  isActive(user: UserId): boolean;
  /** A wanted message, if it exists. */
  message(ref: MessageRef): EarlierMessage | undefined;
}

/** The one field of a command that is sealed with a user's own key before anything is decided. */
export interface Seals<C> {
  readonly text: (command: C) => string;
  readonly owner: (command: C) => UserId;
  readonly context: (command: C) => string;
}

interface Deciding<C, S, A> {
  /** The id of the stream that the command is decided against. */
  readonly streamId: (command: C) => string;
  readonly wants?: (command: C) => Wants;
  readonly seals?: Seals<C>;
  /** Pure: time, ids and facts come in. */
  readonly decide: (command: C, state: S, facts: Facts) => Decision<A>;
  /** False when a repeat could mean something else than the first call did. Default: true. */
  readonly isRepeatable?: (command: C) => boolean;
}

interface CommandSpec<K extends string, Z extends z.ZodRawShape, S, A>
  extends Deciding<CommandShape<K, Z>, S, A> {
  readonly fields: Z;
  readonly actor: (command: CommandShape<K, Z>) => Actor;
}

/** A command as its decider gets it. */
export type CommandShape<K extends string, Z extends z.ZodRawShape> = { readonly kind: K } & Readonly<
  z.output<z.ZodObject<Z>>
>;

export interface CommandDeclaration<K extends string, Z extends z.ZodRawShape, S, A>
  extends CommandSpec<K, Z, S, A> {
  readonly declares: 'command';
  readonly kind: K;
  readonly stream: StreamDeclaration<S>;
}

/** Declares a command that the server itself or its operator gives. */
export function command<K extends string, Z extends z.ZodRawShape, S, A>(
  kind: K,
  stream: StreamDeclaration<S>,
  spec: CommandSpec<K, Z, NoInfer<S>, A>,
): CommandDeclaration<K, Z, S, A> {
  return { declares: 'command', kind, stream, ...spec };
}

/** A client's request: `data` is what it sends, `answer` what it gets. */
export interface RequestDeclaration<N extends string, D extends z.ZodType, A extends z.ZodType> {
  readonly declares: 'request';
  readonly name: N;
  readonly data: D;
  readonly answer: A;
  /** For the documents. */
  readonly note: string;
}

/** Declares a request that is no command: it has a handler in the gateway. */
export function request<N extends string, D extends z.ZodType, A extends z.ZodType>(
  name: N,
  spec: { readonly data: D; readonly answer: A; readonly note: string },
): RequestDeclaration<N, D, A> {
  return { declares: 'request', name, ...spec };
}

/** The fields of a client's command: what it sends, and its user as the actor. */
type WithActor<Z extends z.ZodRawShape> = Z & { actor: z.ZodString };

interface ClientCommandSpec<N extends string, Z extends z.ZodRawShape, S, A, R extends z.ZodType>
  extends Deciding<CommandShape<N, WithActor<Z>>, S, A> {
  readonly data: Z;
  readonly answer: R;
  readonly note: string;
  /** Two users whom the command has made contacts of each other. */
  readonly contacts?: (
    command: CommandShape<N, WithActor<Z>>,
    answer: A,
  ) => readonly [UserId, UserId] | undefined;
}

interface PlainCommandSpec<N extends string, Z extends z.ZodRawShape, S, A, R extends z.ZodType>
  extends ClientCommandSpec<N, Z, S, A, R> {
  /** The client's answer; `revision` is that of the command. */
  readonly reply: (command: CommandShape<N, WithActor<Z>>, answer: A, revision: string) => z.output<R>;
}

export interface ClientCommandDeclaration<
  N extends string,
  Z extends z.ZodRawShape,
  S,
  A,
  R extends z.ZodType,
> extends CommandDeclaration<N, WithActor<Z>, S, A> {
  readonly request: RequestDeclaration<N, z.ZodObject<Z, z.core.$strict>, R>;
  readonly contacts: ClientCommandSpec<N, Z, S, A, R>['contacts'];
}

/** A client's command whose answer follows from what was decided: it needs no handler. */
export interface PlainCommandDeclaration<N extends string, Z extends z.ZodRawShape, S, A, R extends z.ZodType>
  extends ClientCommandDeclaration<N, Z, S, A, R> {
  readonly isPlain: true;
  readonly reply: PlainCommandSpec<N, Z, S, A, R>['reply'];
}

/** Declares a command that clients send over the socket under the same name. */
export function clientCommand<N extends string, Z extends z.ZodRawShape, S, A, R extends z.ZodType>(
  name: N,
  stream: StreamDeclaration<S>,
  spec: PlainCommandSpec<N, Z, NoInfer<S>, A, R>,
): PlainCommandDeclaration<N, Z, S, A, R> {
  return { ...completedCommand(name, stream, spec), isPlain: true, reply: spec.reply };
}

/** Declares a client's command whose answer a handler of the gateway completes from the read models. */
export function completedCommand<N extends string, Z extends z.ZodRawShape, S, A, R extends z.ZodType>(
  name: N,
  stream: StreamDeclaration<S>,
  { data, answer, note, contacts, ...deciding }: ClientCommandSpec<N, Z, NoInfer<S>, A, R>,
): ClientCommandDeclaration<N, Z, S, A, R> {
  const { streamId, wants, seals, decide, isRepeatable } = deciding;
  return {
    declares: 'command',
    kind: name,
    stream,
    fields: { ...data, actor: z.string() },
    // `fields` has an actor, which the compiler does not see through the generic shape.
    actor: (command: object) => (command as { readonly actor: UserId }).actor,
    request: request(name, { data: z.strictObject(data), answer, note }),
    contacts,
    streamId,
    decide,
    ...(wants ? { wants } : {}),
    ...(seals ? { seals } : {}),
    ...(isRepeatable ? { isRepeatable } : {}),
  };
}

export interface PushDeclaration<N extends string, D extends z.ZodType> {
  readonly declares: 'push';
  readonly name: N;
  /** Whether it has a cursor and is sent later to who was away. */
  readonly isStored: boolean;
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
  spec: { readonly isStored: boolean; readonly data: D; readonly note: string },
): PushDeclaration<N, D> {
  return { declares: 'push', name, of: (push) => ({ name, ...push }), ...spec };
}
