import type { z } from 'zod';
import {
  type Audience,
  isGroupAudience,
  isStoredPush,
  type NewEventOf,
  type Push,
  type RecordedOf,
  type Replaced,
  type Scene,
  type SealedField,
  type SealedMessage,
  type Sealing,
  type StoredPush,
  type StreamDeclaration,
  type Tie,
  type Words,
} from './defineEvent.js';
import { declaredEvents, type EventDeclared } from './features.js';
import { type Period, periodAt, sawAt } from './groups/groupState.js';
import { type MessageRef, parseStream, type StreamName, type UserId } from './ids.js';

/** Derived from the declared events: their types, states, pushes and sealed fields. */

export type EventType = EventDeclared['type'];

/** The stored data, by type. */
export type EventData = { [E in EventDeclared as E['type']]: z.output<E['data']> };

/** An event as its decider makes it. */
export type NewEvent = { [T in EventType]: NewEventOf<T, EventData[T]> }[EventType];

/** An event as the log holds it. */
export type Recorded<T extends EventType = EventType> = { [K in T]: RecordedOf<K, EventData[K]> }[T];

/** The state of a stream that deciders use; its kind gives the type. */
export type State = EventDeclared extends { stream: infer S }
  ? S extends StreamDeclaration<infer T>
    ? T
    : never
  : never;

/** A declaration as it is used for an event of any type. */
export interface AnyEvent {
  readonly type: EventType;
  readonly stream: StreamDeclaration<State>;
  readonly data: z.ZodType;
  readonly sealed?: readonly SealedField<Recorded>[];
  readonly evolve?: (state: State, event: Recorded) => State;
  readonly push?: (event: Recorded, scene: Scene) => readonly Push[];
  readonly tie?: (event: Recorded, scene: Scene) => Tie | undefined;
  readonly changes?: (message: SealedMessage, event: Recorded) => SealedMessage;
  readonly showsMessage?: true;
  readonly isDeliveredIfNamed?: true;
  readonly line: (event: Recorded, words: Words) => string;
  readonly hasIdField: boolean;
  readonly replaces?: Replaced;
}

// A declaration is given only events of its own type and states of its own kind of stream.
const declarations = new Map(
  declaredEvents.map((event) => [event.type as string, event as unknown as AnyEvent]),
);

/** All types of event, in the order of their declaration. */
export const eventTypes: readonly EventType[] = declaredEvents.map(({ type }) => type);

/** The types that a subscription gets which names none. */
export const deliveredTypes: readonly EventType[] = eventTypes.filter(
  (type) => declarationOf(type).isDeliveredIfNamed === undefined,
);

export const isEventType = (type: string): type is EventType => declarations.has(type);

/** The declaration of an event type. Throws for one that is not declared. */
export function declarationOf(type: EventType): AnyEvent {
  const declaration = declarations.get(type);
  if (!declaration) throw new Error(`no event of type ${type} is declared`);
  return declaration;
}

/** How the state of one kind of stream begins and goes on. */
export interface Fold {
  readonly initial: State;
  /** See `StreamDeclaration.stored`. */
  stored(state: State): State;
  evolve(state: State, event: Recorded): State;
}

const evolve = (state: State, event: Recorded): State =>
  declarationOf(event.type).evolve?.(state, event) ?? state;

// The state of a stream is given to the declaration of its own kind only.
const kinds = new Map(
  declaredEvents.map(({ stream }) => [stream.kind, stream as unknown as StreamDeclaration<State>]),
);

/** The declaration of the kind of a stream. Throws for a kind of which no event is declared. */
export function kindOf(stream: StreamName): StreamDeclaration<State> {
  const kind = kinds.get(parseStream(stream).kind);
  if (!kind) throw new Error(`no event of the stream ${stream} is declared`);
  return kind;
}

/** The fold of a stream's events into its deciders' state. */
export function foldFor(stream: StreamName): Fold {
  const { initial, stored = (state) => state } = kindOf(stream);
  return { initial, stored, evolve };
}

/** The pushes of an event: the same live, after a gap and in a replay. */
export const pushesOf = (event: Recorded, scene: Scene): readonly Push[] =>
  declarationOf(event.type).push?.(event, scene) ?? [];

/** What an event makes two users to each other; undefined: nothing new. */
export const tieOf = (event: Recorded, scene: Scene): Tie | undefined =>
  declarationOf(event.type).tie?.(event, scene);

/** The stored pushes of an event to one user: at most one, or a client cut off between two would lose the second. */
export const pushesTo = (user: UserId, event: Recorded, scene: Scene): StoredPush[] =>
  pushesOf(event, scene)
    .filter(isStoredPush)
    .filter((push) => isFor(user, push, event.offset, scene.periods ?? []));

/** Whether a push of an event at this offset is for a user who was a member of its group in these periods. */
export function isFor(
  user: UserId,
  { to, seq }: Pick<StoredPush, 'to' | 'seq'>,
  offset: number,
  periods: readonly Period[],
): boolean {
  if (!isGroupAudience(to)) return to.includes(user);
  if (to.and?.includes(user)) return true;
  const period = periodAt(periods, offset);
  if (!period || period.joined >= (to.joinedBefore ?? Number.POSITIVE_INFINITY)) return false;
  return seq === undefined || sawAt(periods, seq, offset);
}

const nobody: readonly UserId[] = [];

/** A message and its place in its room. */
export interface MessagePlace extends MessageRef {
  readonly seq: number;
}

/** The message that an event changes; undefined of most events. */
export function changedBy(event: Recorded): MessagePlace | undefined {
  // The data of an event with `changes` names the message.
  return declarationOf(event.type).changes ? (event.data as MessagePlace) : undefined;
}

/** The message after an event that changes it. Pure. */
export const changeMessage = (message: SealedMessage, event: Recorded): SealedMessage =>
  declarationOf(event.type).changes?.(message, event) ?? message;

/** The message that the live push of an event shows, and which its writer sends along. */
export const shownBy = (event: Recorded): MessagePlace | undefined =>
  declarationOf(event.type).showsMessage ? changedBy(event) : undefined;

/** The members of a room in this state, whom its events are pushed to; none of another stream. */
export function membersIn(state: State): Audience {
  if (!('exists' in state) || !state.exists) return nobody;
  return state.roomType === 'GROUP' ? { group: state.roomId } : state.members;
}

/** A sealed field: of an event before it is sealed, its plain text. */
export interface SealedText extends Sealing {
  /** The field of the event's data. */
  readonly field: string;
  readonly text: string;
}

const NO_FIELDS: readonly SealedText[] = [];

/** The sealed fields that an event has. */
export function sealedTextsOf(event: Recorded): readonly SealedText[] {
  const { sealed } = declarationOf(event.type);
  if (!sealed) return NO_FIELDS;
  const data = event.data as Readonly<Record<string, unknown>>; // Data is an object.
  return sealed.flatMap(({ field, of }) => {
    const text = data[field];
    return typeof text === 'string' ? [{ ...of(event), field, text }] : [];
  });
}
