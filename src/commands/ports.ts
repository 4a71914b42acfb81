import type { Bus } from '../bus/bus.js';
import type { Clock } from '../clock.js';
import type { Devices } from '../cluster/devices.js';
import type { Held } from '../cluster/leases.js';
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

/** What a writer must know of the lease by which it owns its partition. */
export type Lease = Pick<Held, 'epoch' | 'validUntil'>;

/** All that the writers of one process share. */
export interface WriterDeps {
  readonly log: EventLog;
  readonly bus: Pick<Bus, 'publish'>;
  readonly keys: Pick<KeyStore, 'keys'>;
  /** Rejects if the partition is not what was signed of it: nothing may then be appended. Where heads are signed. */
  readonly mayAppend?: (partition: number) => Promise<void>;
  readonly reads: ReadModels;
  /** Where there are several nodes: which users are still active on one. */
  readonly devices?: Pick<Devices, 'elsewhere'>;
  readonly folding: Folding;
  /** Its `now` is that of the leases. */
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A new UUID. */
  readonly newId: () => string;
  /** The log can no longer be written: the process must stop. Called once a writer at most. */
  readonly onFatal: (error: unknown) => void;
  /** Whether every living node can read events of this type, which may be an old one; no other is written. */
  readonly isKnownToAll: (type: string) => boolean;
  /** The partition went to another writer while the lease could not be shown to be valid: it takes nothing any more. */
  readonly onDeposed: (partition: number) => void;
  /** Something failed and was dealt with: to be logged. */
  readonly report: (message: string, error: unknown) => void;
  /** After each append that is not a fence; `ms` from handing it over to its outcome. */
  readonly onAppend?: (appended: { partition: number; events: number; ms: number }) => void;
}
