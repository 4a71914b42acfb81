import type { Bus } from '../bus/bus.js';
import type { SealedMessage } from '../events/changes.js';
import type { RoomId, StreamName, UserId } from '../events/ids.js';
import type { EventLog } from '../log/log.js';
import type { KeyStore } from '../vault/vault.js';
import type { State } from './aggregates.js';

/** What `states` keeps of a stream; `offset` is that of the last event folded into it. */
export interface StateRow {
  readonly offset: number;
  /** `version`: the stream's last. `null`: a tombstone, which no stream has. */
  readonly value: { readonly version: number; readonly state: State } | null;
}

export interface MessageRef {
  readonly roomId: RoomId;
  readonly messageId: string;
}

/** A message of the history: its text sealed. */
export type StoredMessage = Omit<SealedMessage, 'roomId'>;

/** A message's name among all rooms. The id first: those of UUIDv7 grow with time, and an index of them at its end. */
export const messageTerm = (roomId: RoomId, messageId: string): string => `${messageId}/${roomId}`;

/** What a writer reads. Whatever rejects here makes the commands that need it `overloaded`. */
export interface ReadModels {
  /** Of these streams those that have a row, by name. */
  states(streams: readonly StreamName[]): Promise<ReadonlyMap<string, StateRow>>;
  /** Of these messages those that are in the history, by `messageTerm`. */
  messages(asked: readonly MessageRef[]): Promise<ReadonlyMap<string, StoredMessage>>;
  /** Of these users those that are registered and not erased. */
  existing(users: readonly UserId[]): Promise<ReadonlySet<UserId>>;
  /** A position up to which both `states` and `messages` have stored everything. */
  foldedPosition(partition: number): Promise<number>;
}

/** How far the read models are; a part of `Progress`. */
export interface Folding {
  /** The tree size that a model has stored: what is read from it later includes every offset below. */
  folded(model: 'states' | 'messages', partition: number): number;
  /** Milliseconds that the slowest model is behind. */
  lagMs(): number;
  /** Called whenever some model has advanced; returns the function that stops it. */
  onAdvance(handler: () => void): () => void;
}

/** All that the writers of one process share. */
export interface WriterDeps {
  readonly log: EventLog;
  readonly bus: Pick<Bus, 'publish'>;
  readonly keys: Pick<KeyStore, 'keys'>;
  readonly reads: ReadModels;
  readonly folding: Folding;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A new UUID. */
  readonly newId: () => string;
  /** The log can no longer be written: the process must stop. Called once a writer at most. */
  readonly onFatal: (error: unknown) => void;
  /** Something failed and was dealt with: to be logged. */
  readonly report: (message: string, error: unknown) => void;
  /** After each append that is not a fence; `ms` from handing it over to its outcome. */
  readonly onAppend?: (appended: { partition: number; events: number; ms: number }) => void;
}
