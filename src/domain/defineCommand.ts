import { z } from 'zod';
import { forbidden, overloaded, type ParleyError } from '../base/errors.js';
import type { NewEventOf, SealedMessage, SealedNote, StreamDeclaration, Tie } from './defineEvent.js';
import type { Time } from './fields.js';
import type { KeyId, MessageRef, RoomId, UserId, WriterInRoom } from './ids.js';
import type { Message, Preferences } from './userMessageChat.js';

/** `refused`: the command changes nothing, and its sender gets this error. */
export type Decision<A> =
  | { readonly events: readonly NewEventOf<string, object>[]; readonly answer: A }
  | { readonly refused: ParleyError };

/** A message for `Facts.message`. */
export interface WantedMessage extends MessageRef {
  /** An edit of it, whose text is to be compared if it was made before. */
  readonly editId?: string;
}

/** The facts to look up before a command is decided. */
export interface Wants {
  /** Users for `Facts.exists`. */
  readonly users?: readonly UserId[];
  /** Users for `Facts.isActive`. */
  readonly devices?: readonly UserId[];
  readonly messages?: readonly WantedMessage[];
  /** Users whose own keys seal a field of the events. The command is refused if one was erased. */
  readonly ownKeys?: readonly UserId[];
  /** Groups whose keys seal or open a text. Their keys may be destroyed: see `Facts.isText`. */
  readonly groupKeys?: readonly RoomId[];
  /** Users for `Facts.groupsOf`. */
  readonly groupsOf?: readonly UserId[];
  /** Users for `Facts.blocksOf`. */
  readonly blocksOf?: readonly UserId[];
  /** Writers and rooms whose text keys seal or open a text. The command is refused if a writer was erased. */
  readonly textKeys?: readonly WriterInRoom[];
  /** Users for `Facts.preferencesOf`. */
  readonly preferences?: readonly UserId[];
  /** Users for `Facts.invitation`, whom `by` adds to a group. */
  readonly invited?: { readonly by: UserId; readonly users: readonly UserId[] };
}

/** Who are contacts: `open`: two if either has the other as a contact; `consent`: those whom I have. */
export type ContactRule = 'open' | 'consent';

/** What comes of adding a user to a group: `not_taken` if either blocks the other, or the user takes no such invitations. */
export type Invitation = 'taken' | 'not_taken' | 'not_found';

/** What a message said in one of its revisions. */
export interface MessageBody {
  /** Null if its key was destroyed. */
  readonly text: string | null;
  readonly mentions?: readonly string[];
}

/** A message that has the id asked for already, as it is now. */
export interface EarlierMessage extends SealedMessage {
  /** The body of the first revision (0), the present one, or that of the wanted edit. Only of the actor's own message. */
  bodyOf(rev: number): MessageBody;
  /** The data, as JSON. Only of the actor's own message. */
  openedData(): string | null;
  /** As clients get it. Only of the actor's own message. */
  opened(): Message;
}

/** The facts besides the stream's state that a decision may use. */
export interface Facts {
  /** The time of the commit. */
  readonly now: Time;
  /** Whether a wanted user is registered and not erased. */
  exists(user: UserId): boolean;
  /** Whether any node has an active device of a wanted user, or recently had one. */
  isActive(user: UserId): boolean;
  /** A wanted message, if it exists. */
  message(ref: MessageRef): EarlierMessage | undefined;
  /**
   * A user's preferences, of at most 2 s ago. If they were not wanted, they are looked up now and the command is
   * decided again, which stops its partition meanwhile: want them where the state tells that they will be needed.
   */
  preferencesOf(user: UserId): Preferences;
  /** Whether a wanted user may be added to a group by the actor, as of at most 2 s ago: also whether the user exists. */
  invitation(user: UserId): Invitation;
  /** The number of groups that a wanted user is in. It may be some seconds old. */
  groupsOf(user: UserId): number;
  /** The number of users whom a wanted user has blocked. It may be some seconds old. */
  blocksOf(user: UserId): number;
  /** Whether a note that a wanted group's key seals is this text. Undefined if that key was destroyed. */
  isText(note: SealedNote, text: string): boolean | undefined;
  readonly limits: DecisionLimits;
}

/** Settings of the server that decisions depend on. */
export interface DecisionLimits {
  /** The most members of a group. */
  readonly groupSize: number;
  /** Who are contacts. */
  readonly contactRule: ContactRule;
  /** For how long after its sending a message can be edited; 0: never. */
  readonly editWindowMs: number;
  /** For how long after its sending its sender can delete it; 0: never. */
  readonly deleteWindowMs: number;
}

interface Deciding<C, S, A> {
  /** The id of the stream that the command is decided against. */
  readonly streamId: (command: C) => string;
  /** `state` and `rule` are given when the stream's state is in memory. It may change before the decision. */
  readonly wants?: (command: C, state?: S, rule?: ContactRule) => Wants;
  /** The field with the text that an event of the command seals. */
  readonly text?: keyof C & string;
  /** Pure: time, ids and facts come in. */
  readonly decide: (command: C, state: S, facts: Facts) => Decision<A>;
  /** False when a repeat could mean something else than the first call did. Default: true. */
  readonly isRepeatable?: (command: C) => boolean;
}

interface CommandSpec<K extends string, Z extends z.ZodRawShape, S, A>
  extends Deciding<CommandShape<K, Z>, S, A> {
  readonly fields: Z;
  /** The field that names the actor, or the actor of all these commands. */
  readonly actor: (keyof Z & string) | 'system';
}

/** What a command of any kind may have beside its fields. */
export interface CommandOrigin {
  /** The server key through which it comes. Its events name it. */
  readonly via?: KeyId;
}

/** A command as its decider gets it. */
export type CommandShape<K extends string, Z extends z.ZodRawShape> = { readonly kind: K } & CommandOrigin &
  Readonly<z.output<z.ZodObject<Z>>>;

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

/** A client's request, its `data` and its `answer`. */
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

/**
 * Why the host holds a new text back: it refuses it, with a word of its own, or it could not be asked. Absent: the text
 * passes, or the host is not asked.
 */
export const Held = z.strictObject({
  why: z.enum(['refused', 'not asked']),
  detail: z.string().exactOptional(),
});
export type Held = z.infer<typeof Held>;

/** The refusal of a new text that the host holds back; undefined if it passes. */
export function hostRefusal({ held }: { readonly held?: Held }): ParleyError | undefined {
  if (held === undefined) return undefined;
  return held.why === 'refused'
    ? forbidden('the host application does not permit this message', 'host', held.detail)
    : overloaded('the host application cannot be asked about this message');
}

/** The fields of a client's command: its data, its user as the actor, and what the host has said to it. */
type WithActor<Z extends z.ZodRawShape> = Z & { actor: z.ZodString; held: z.ZodExactOptional<typeof Held> };

interface ClientCommandSpec<N extends string, Z extends z.ZodRawShape, S, A, R extends z.ZodType>
  extends Deciding<CommandShape<N, WithActor<Z>>, S, A> {
  readonly data: Z;
  readonly answer: R;
  readonly note: string;
  /** It brings a new text, which the host is asked about first: see `hostRefusal`. */
  readonly asksHost?: true;
  /** What the command has made two users to each other: true for requests from its answer on. */
  readonly tie?: (command: CommandShape<N, WithActor<Z>>, answer: A) => Tie | undefined;
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
  readonly tie: ClientCommandSpec<N, Z, S, A, R>['tie'];
  readonly asksHost?: true;
}

/** A client's command whose answer follows from its decision, so that it needs no handler. */
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
  { data, answer, note, asksHost, tie, ...deciding }: ClientCommandSpec<N, Z, NoInfer<S>, A, R>,
): ClientCommandDeclaration<N, Z, S, A, R> {
  const { streamId, wants, text, decide, isRepeatable } = deciding;
  return {
    declares: 'command',
    kind: name,
    stream,
    // A request never has `held`: only the server sets it.
    fields: { ...data, actor: z.string(), held: Held.exactOptional() },
    actor: 'actor',
    request: request(name, { data: z.strictObject(data), answer, note }),
    tie,
    ...(asksHost ? { asksHost } : {}),
    streamId,
    decide,
    ...(wants ? { wants } : {}),
    ...(text ? { text } : {}),
    ...(isRepeatable ? { isRepeatable } : {}),
  };
}
