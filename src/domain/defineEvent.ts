import { z } from 'zod';
import type { Push, SealedMessage } from './definePush.js';
import type { Time } from './fields.js';
import {
  type Actor,
  type StreamKind,
  type StreamName,
  streamOf,
  type TextPlace,
  type UserId,
} from './ids.js';

/** A kind of stream, and the state that deciders keep of each stream of this kind. */
export interface StreamDeclaration<S> {
  readonly kind: StreamKind;
  /** The field of an event's data that repeats the stream's id. A leaf leaves it out. */
  readonly idField: string;
  /** The state before the first event. A state is a JSON value: it is stored as a row. */
  readonly initial: S;
}

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
}

/** The words of a transcript line. */
export interface Words {
  /** A user's name, or the id when there is no name. */
  who(id: string): string;
  /** A value in quotes on one line; `(erased)` for null. */
  quoted(value: unknown): string;
}

/** The one field of an event's data that is sealed. Its decider gives it in the clear, and the writer seals it. */
export interface SealedField<E> {
  readonly field: string;
  readonly owner: (event: E) => UserId;
  /** Additional data of AES-GCM: the sealed text opens nowhere else. */
  readonly context: (event: E) => string;
  /** Of a text with a key of its own. Without it the field is sealed with its owner's own key. */
  readonly place?: (event: E) => TextPlace;
}

/** What an event's pushes need beside the event. */
export interface Scene {
  /** The members of the event's room at its place in the log; empty for another kind of stream. */
  readonly members: readonly UserId[];
  /** The event's message as it is now, when it is no longer as the event says. */
  readonly message?: SealedMessage;
}

interface EventSpec<T extends string, D, S> {
  /** The stored shape. It never changes after a release: a new shape is a new type. */
  readonly data: z.ZodType<D>;
  readonly sealed?: SealedField<RecordedOf<T, D>>;
  /** Pure; never changes `state`. Without it the state stays as it is. */
  readonly evolve?: (state: S, event: RecordedOf<T, D>) => S;
  /** The event's pushes: live, after a gap and in a replay. Pure. Without it the event has none. */
  readonly push?: (event: RecordedOf<T, D>, scene: Scene) => readonly Push[];
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
  const of = (id: string, data: D) => ({ type, stream: streamOf(stream.kind, id), data });
  const field = spec.data instanceof z.ZodObject ? spec.data.shape[stream.idField] : undefined;
  const hasIdField = field !== undefined && field._zod.optin === undefined;
  return { declares: 'event', type, stream, of, hasIdField, ...spec };
}
